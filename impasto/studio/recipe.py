"""What is ordered: pictures by their ids, settings; and the command line that makes the same."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from impasto.config.base import Settings, literals, type_hints
from impasto.config.dream import DreamConfig
from impasto.config.presets import PRESETS, WHAT_FOR, get_preset
from impasto.config.quick import QuickConfig
from impasto.config.stylize import CONTENT_SETTINGS, STARTS, StylizeConfig
from impasto.config.texts import flag_of, kind_of, render
from impasto.errors import ConfigError, UsageError
from impasto.image.swatches import SWATCHES
from impasto.studio.store import Store

KINDS: dict[str, type[Settings]] = {
    "paint": StylizeConfig,
    "texture": StylizeConfig,
    "dream": DreamConfig,
    "quick": QuickConfig,
    "plan": StylizeConfig,
    "subject": QuickConfig,
}
"""Kind of job -> its settings: paint is stylize, plan what it would take (or a texture, where there
is no content), subject a map of what the photo is of."""

TYPES = {int: "whole", float: "number", str: "text"}
FUNCTIONS = {"paint": "stylize", "quick": "quick", "texture": "texture", "dream": "deepdream"}
"""Kinds that make a picture to keep -> what makes it in Python; the command is called alike."""

INSTANT = ("quick", "plan", "subject")
"""Kinds that are over in about a second, and come before paintings."""

MASKS = ("subject", "keep", "regions")

WORDS: dict[str, tuple[str, ...]] = {
    "encoder": ("mini",),
    "init": STARTS,
    "subject": ("auto", "off"),
    "keep": (),
    "regions": ("auto",),
    "style_regions": ("all",),
}
"""Settings that may name files elsewhere; from the service only these words are taken. Files are
masks, and those are given by their ids."""

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "texture": CONTENT_SETTINGS,
    "dream": ("frames", "zoom", "rotate", "frame_steps"),  # sequences are no pictures
}
"""Settings that a kind of job does not take here."""

REST = "rest"
MOST_STYLES = 8


@dataclass(frozen=True)
class Recipe:
    """What a job is to make. ``styles`` are names of swatches or ids of pictures; ``masks`` ids, by
    role; ``start`` is a job whose picture is gone on with."""

    kind: str
    content: str = ""
    styles: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    masks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    preset: str = "default"
    start: str = ""
    screen: bool = False
    """Whether the photo's copy at screen size is enough."""

    def config(self) -> Any:
        """The settings. Raises ConfigError and UnknownNameError for bad ones."""
        if wrong := [name for name in LEFT_OUT.get(self.kind, ()) if name in self.settings]:
            raise ConfigError(f"{wrong[0]} is given for a {self.kind}", "leave it out")
        config: Any = KINDS[self.kind]()
        if isinstance(config, StylizeConfig):
            config = get_preset(self.preset)
        for name, allowed in WORDS.items():
            given = self.settings.get(name)
            words = given if isinstance(given, list | tuple) else [] if given is None else [given]
            if refused := [word for word in words if word not in allowed]:
                told = " or ".join(allowed) or "a mask that was uploaded"
                raise ConfigError(f"{name} is {refused[0]!r}", f"here it may be {told}")
        try:
            config = config.with_changes(**self.settings)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigError(
                f"the settings cannot be read ({error})", "see /v1/settings"
            ) from None
        if config_encoder(config) not in WORDS["encoder"]:
            raise ConfigError(
                f"the encoder is {config_encoder(config)}, which does not ship with impasto",
                "use impasto stylize",
            )
        return config

    def check(self, store: Store) -> None:
        """Raise what is wrong with it: InputError for a picture that is not there, ConfigError."""
        self.config()
        self._check_parts()
        if self.content:
            store.picture(self.content)
        for style in self.styles:
            if style not in SWATCHES:
                store.picture(style)
        for role, ids in self.masks.items():
            if role not in MASKS:
                raise ConfigError(f"there are no masks {role!r}", f"use {', '.join(MASKS)}")
            if role != "regions" and len(ids) != 1:
                raise ConfigError(f"{role} has {len(ids)} masks", "give one")
            for one in ids:
                if one != REST or role != "regions":
                    store.picture(one)
        if self.start and not result_path(store, self.start).is_file():
            raise UsageError(f"the job {self.start} has no picture yet", "wait for its end")

    def to_json(self) -> dict[str, Any]:
        """Plain values; :meth:`from_json` is the opposite."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """A recipe from what JSON made of it."""
        masks = {role: tuple(ids) for role, ids in values.get("masks", {}).items()}
        return cls(**{**values, "styles": tuple(values.get("styles", ())), "masks": masks})

    def _check_parts(self) -> None:
        """Raise ConfigError for parts that its kind does not take, or lacks."""
        kind, count = self.kind, len(self.styles)
        if not self.content and kind not in ("texture", "plan"):
            raise ConfigError("there is no content", "give the id of a photo")
        if self.content and kind == "texture":
            raise ConfigError("there is a content for a texture", "leave it out")
        if kind == "dream" and (count or self.start):
            raise ConfigError("there are styles or a start for a dream", "leave them out")
        if kind not in ("subject", "dream") and not 1 <= count <= MOST_STYLES:
            raise ConfigError(f"there are {count} styles", f"give 1 to {MOST_STYLES}")
        if self.masks and (kind == "dream" or not self.content):
            raise ConfigError("there are masks without a content to paint", "leave them out")

    # --- the same by hand ------------------------------------------------------------------------

    def files(self, store: Store) -> dict[str, Path]:
        """Name -> file, for each file that the command line names."""
        found: dict[str, Path] = {}
        for identifier in self._ids():
            picture = store.picture(identifier)
            found[_free_name(picture.name, found)] = store.picture_path(picture)
        if self.start:
            found["start.png"] = result_path(store, self.start)
        return found

    def names(self, store: Store) -> dict[str, str]:
        """Id or swatch -> the name that it has on the command line."""
        found: dict[str, Path] = {}
        names = {style: style for style in self.styles if style in SWATCHES}
        for identifier in self._ids():
            names[identifier] = _free_name(store.picture(identifier).name, found)
            found[names[identifier]] = Path()
        return names

    def command(self, store: Store, threads: int | None) -> str:
        """The line for a shell in a folder that has :meth:`files`."""
        names = self.names(store)
        verb = "dream" if self.kind == "dream" else FUNCTIONS[self.kind]
        words = ["impasto", verb, *(names[one] for one in self._pictures())]
        if self._has_preset():
            words += ["--preset", self.preset]
        for name, value in self._told(names).items():
            words += [flag_of(name), render(value)]
        if threads:
            words += ["--threads", str(threads)]
        words += ["-o", self.output_name(names)]
        return shlex.join(words)

    def python(self, store: Store, threads: int | None) -> str:
        """The same as lines of Python."""
        names = self.names(store)
        styles = [names[style] for style in self.styles]
        given: list[Any] = [names[self.content]] if self.content else []
        if styles:
            given += [styles[0]] if len(styles) == 1 else [styles]
        arguments = [repr(one) for one in given]
        if self._has_preset():
            arguments.append(f"impasto.get_preset({self.preset!r})")
        arguments += [f"{name}={value!r}" for name, value in self._told(names).items()]
        call = f"impasto.{FUNCTIONS[self.kind]}({', '.join(arguments)})"
        lines = ["import impasto", "", f"{call}.save({self.output_name(names)!r})", ""]
        if threads:
            lines[1:2] = ["import torch", "", f"torch.set_num_threads({threads})"]
        return "\n".join(lines)

    def output_name(self, names: Mapping[str, str], suffix: str = ".png") -> str:
        """What the picture is called: by the photo and the styles, or by what it is."""
        parts = [names[one] for one in self._pictures()]
        parts += [self.kind] if self.kind in ("texture", "dream") else []
        return "-".join(Path(part).stem for part in parts)[:80] + suffix

    def _pictures(self) -> list[str]:
        return [self.content, *self.styles] if self.content else list(self.styles)

    def _has_preset(self) -> bool:
        return KINDS[self.kind] is StylizeConfig and self.preset != "default"

    def _ids(self) -> Iterator[str]:
        masks = [one for role in MASKS for one in self.masks.get(role, ())]
        once = dict.fromkeys([*self._pictures(), *masks])
        yield from (one for one in once if one not in SWATCHES and one != REST)

    def _told(self, names: Mapping[str, str]) -> dict[str, Any]:
        config = self.config()
        base = get_preset(self.preset) if self._has_preset() else type(config)()
        standard = base.to_dict()
        told = {name: v for name, v in config.to_dict().items() if v != standard[name]}
        for role, ids in self.masks.items():
            files = [names.get(one, one) for one in ids]
            told[role] = files if role == "regions" else files[0]
        if self.start:
            told["init"] = "start.png"
        return told


def config_encoder(config: Settings) -> str:
    """The encoder that settings name, "mini" where they name none."""
    return str(getattr(config, "encoder", "mini"))


def result_path(store: Store, job: str) -> Path:
    """Where the picture of a job lies."""
    return store.job_folder(job) / "picture.png"


def can_write_mp4() -> bool:
    """Whether the evolution comes as MP4, too: with the extra ``video``."""
    return find_spec("av") is not None


def describe_settings(kind: str) -> list[dict[str, Any]]:
    """The settings of a kind of job, group by group, as the page shows them: name, help, type,
    default, range and choices."""
    config = KINDS[kind]
    standard = config().to_dict()
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in fields(config):  # type: ignore[arg-type]  # each is a dataclass
        if item.name in LEFT_OUT.get(kind, ()):
            continue
        if item.name in WORDS and item.name not in ("init", "subject"):
            continue
        held = kind_of(item.name, config)
        choices = WORDS.get(item.name) or literals(type_hints(config)[item.name])
        limits = {x: item.metadata[x] for x in ("least", "most") if x in item.metadata}
        groups.setdefault(config.group_of(item.name), []).append(
            {
                "name": item.name,
                "help": item.metadata["help"],
                "type": TYPES[held.element],
                "list": held.is_list,
                "optional": held.optional,
                "choices": list(choices),
                "default": standard[item.name],
                **limits,
            }
        )
    return [{"name": name, "settings": settings} for name, settings in groups.items()]


def describe_presets() -> list[dict[str, Any]]:
    """The presets that the service can paint with, and what each changes."""
    usable = {k: v for k, v in PRESETS.items() if config_encoder(v) in WORDS["encoder"]}
    return [
        {"name": name, "good_for": WHAT_FOR.get(name, ""), "settings": config.changes()}
        for name, config in usable.items()
    ]


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """``name``, or with a number where another file has it."""
    path, number, found = Path(name), 2, name
    while found in taken:
        found, number = f"{path.stem}-{number}{path.suffix}", number + 1
    return found
