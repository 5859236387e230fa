"""``impasto replay``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli import options
from impasto.cli.info import MASKS, config_of, is_texture, naming, sources, told_threads
from impasto.cli.messages import message
from impasto.cli.options import argument, option, output_option, switch
from impasto.errors import InputError, InvalidImageError, UsageError, WeightsNotFoundError
from impasto.image.files import expanded, quoted, read_bytes

if TYPE_CHECKING:
    from impasto.config.stylize import StylizeConfig
    from impasto.runs.result import Result
    from impasto.transfer.stylization import Stylization

EXAMPLES = """
impasto replay cat-waves.png -o again.png
impasto replay cat-waves.png -o moved.png --content photos/cat.jpg
"""

LOSSLESS = (".png", ".tif", ".tiff")

_FLAGS = ("content", "style", "encoder")
_WORDS = {
    "regions": ("auto", "rest"),
    "style_regions": ("all",),
    "subject": ("auto", "off"),
}


@dataclass(frozen=True)
class Recipe:
    """What a picture says of how it was made, with its inputs found again.

    ``steps`` is where that run was stopped, None if it came to its end. ``warnings`` tell of what
    is not as it was.
    """

    picture: Path
    metadata: dict[str, Any]
    content: str | None  # None: a texture
    styles: list[str]
    config: StylizeConfig
    threads: int | None
    steps: int | None
    depth: int
    warnings: list[str]


def replay(
    picture: Path = argument("A picture of impasto's.", "PICTURE"),
    output: Path = output_option("Where the new one goes.", "FILE", default=...),
    content: str | None = option("The content picture, if it has moved.", "FILE"),
    style: list[str] | None = option(
        "The style picture, if it has moved; once for each of several.", "FILE"
    ),
    encoder: str | None = option("The weights of the encoder, if they were a file.", "FILE"),
    threads: int | None = option("CPU threads.  [default: as many as then]", "N", min=1),
    max_pixels: int | None = options.MAX_PIXELS,
    overwrite: bool = options.OVERWRITE,
    resume: bool = options.RESUME,
    as_json: bool = options.AS_JSON,
    quiet: bool = switch("Only errors and warnings.", "-q", "--quiet"),
) -> None:
    """Make a picture again from what is written in it.

    Content, styles and masks are looked for where they lay, seen from the picture, then by their
    names beside the picture and in the current folder; they must be the same files, byte for byte,
    unless --content or --style names others. A picture may be a stranger's: of the files that it
    names, only those in its own folder, in the current one and below are read. Nothing is
    downloaded. Says whether the pixels are the same again.
    """
    from impasto.cli.outputs import Outputs
    from impasto.cli.run import checked, execute, report_result
    from impasto.transfer.stylization import Stylization

    with naming(picture):
        recipe = read_recipe(picture, content=content, style=style, encoder=encoder)
    depth = recipe.depth if output.suffix.lower() in LOSSLESS else 8
    outputs = checked(
        Outputs(expanded(output), depth=depth, overwrite=overwrite),
        [recipe.content, *recipe.styles, picture],
        recipe.config,
        resume=resume,
    )
    warnings = list(recipe.warnings)

    def make(**where: Any) -> Stylization:
        with _nothing_downloaded(recipe.config.encoder):
            run = Stylization(
                recipe.content, recipe.styles, recipe.config, max_pixels=max_pixels, **where
            )
        warnings.extend(differences(recipe.metadata, run.metadata()))
        for warning in warnings:
            message(f"warning: {warning}")
        return run

    result, _ = execute(
        make,
        outputs,
        threads=threads or recipe.threads,
        resume=resume,
        quiet=quiet,
        stop_after=recipe.steps,
    )
    same = is_same(result, recipe)
    told = {"identical": same, "warnings": warnings}
    report_result(result, outputs, told, as_json=as_json, quiet=quiet)
    verdict = f"the pixels are {'the same as' if same else 'not the same as'} in {picture}"
    if same is None:
        verdict = f"{picture} is stored with losses; its pixels cannot be compared"
    message(verdict, quiet=quiet or as_json)


def read_recipe(
    picture: Path,
    *,
    content: str | None = None,
    style: Sequence[str] | None = None,
    encoder: str | None = None,
) -> Recipe:
    """How ``picture`` was made, with its inputs found and checked.

    Inputs that are given are taken even if they are others. Raises InputError where one is not
    found, has changed since, or lies where the picture may not send us; InvalidImageError where
    the picture tells nonsense; UsageError where it does not tell enough.
    """
    from impasto.image.io import read_image, read_metadata
    from impasto.machine.devices import most_threads

    metadata = read_metadata(picture)
    config = config_of(metadata)
    texture = is_texture(metadata)
    if texture and content is not None:
        raise UsageError(f"{picture} is a texture and has no content", "leave out --content")
    told_styles = sources(metadata, "style")
    if style and len(style) != len(told_styles):
        raise UsageError(
            f"{picture} was made from {len(told_styles)} styles, and {len(style)} were given",
            "give --style once for each",
        )
    given: Sequence[str | None] = style or [None] * len(told_styles)
    inputs = [("style", told, name) for told, name in zip(told_styles, given, strict=True)]
    if not texture:
        [told_content] = sources(metadata, "content")[:1] or [{}]
        inputs.append(("content", told_content, content))
    found = [find(role, told, picture) if name is None else name for role, told, name in inputs]
    warnings = [
        f"--{role} {name} is not the picture that was used then"
        for role, told, name in inputs
        if name not in (None, told.get("swatch")) and not _is_file_of(name, told.get("sha256"))
    ]
    threads = told_threads(metadata)
    steps = metadata.get("steps") if metadata.get("finished") is False else None
    if steps is not None and not (type(steps) is int and steps >= 0):
        raise InvalidImageError(f"steps is {str(steps)[:20]!r}", "it cannot be repeated")
    return Recipe(
        picture=picture,
        metadata=metadata,
        content=None if texture else found.pop(),
        styles=found,
        config=_with_files(config, metadata, picture, encoder),
        threads=None if threads is None else min(threads, most_threads()),
        steps=steps,
        depth=read_image(picture).depth,
        warnings=warnings,
    )


def _with_files(
    config: StylizeConfig, metadata: dict[str, Any], picture: Path, encoder: str | None
) -> StylizeConfig:
    """The settings with the files that they name where these lie now.

    What the settings themselves say of files counts for nothing: a place counts only together with
    the hash of what lies there.
    """
    from impasto.config.stylize import STARTS
    from impasto.encoders import ENCODERS

    changes: dict[str, Any] = {}
    for role in MASKS:
        words = _WORDS.get(role, ())
        places = [
            str(told["word"]) if told.get("word") in words else find(role, told, picture)
            for told in sources(metadata, role)
        ]
        if places:
            changes[role] = places[0] if role in ("keep", "subject") else places
        elif getattr(config, role) not in (None, *words):
            raise InputError(f"its {role} is named without a checksum", "it cannot be repeated")
    if config.init not in STARTS:
        [told_init] = sources(metadata, "init")[:1] or [{}]
        changes["init"] = find("init", told_init, picture)
    if encoder is not None:
        changes["encoder"] = encoder
    elif config.encoder not in ENCODERS:
        told_encoder = {"path": config.encoder, "sha256": _at(metadata, "encoder.sha256")}
        changes["encoder"] = find("encoder", told_encoder, picture)
    if config.max_memory is not None:  # a picture may ask for less than there is, not for more
        import torch

        from impasto.optim.memory import memory_budget

        free = memory_budget(None, torch.device("cpu")) / 2**30
        changes["max_memory"] = min(config.max_memory, max(0.1, free))
    return config.with_changes(**changes)


@contextmanager
def _nothing_downloaded(encoder: str) -> Iterator[None]:
    """Weights that are not here are not fetched because a picture says so."""
    from impasto.encoders.weights import OFFLINE_VARIABLE

    before = os.environ.get(OFFLINE_VARIABLE)
    os.environ[OFFLINE_VARIABLE] = "1"
    try:
        yield
    except WeightsNotFoundError:
        raise InputError(
            f"the picture was made with {encoder}, whose weights are not here",
            "replay downloads nothing: see impasto weights, and impasto weights download",
        ) from None
    finally:
        if before is None:
            del os.environ[OFFLINE_VARIABLE]
        else:
            os.environ[OFFLINE_VARIABLE] = before


def differences(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What is other than it was, in words, as far as pixels may depend on it.

    >>> list(differences({"impasto": "0.1.0"}, {"impasto": "0.2.0"}))
    ['impasto was 0.1.0, is 0.2.0: the pixels may differ']
    """
    machine = (f"machine.{name}" for name in ("torch", "device", "dtype", "cpu", "threads"))
    for path in ("impasto", "encoder.name", "encoder.sha256", "size", *machine):
        old, new = _at(then, path), _at(now, path)
        if old is not None and new is not None and old != new:
            what = path.removeprefix("machine.").replace(".", "'s ")
            yield f"{what} was {_short(old)}, is {_short(new)}: the pixels may differ"
    for before, after in zip(sources(then, "style"), sources(now, "style"), strict=False):
        swatch = before.get("swatch")
        repainted = before.get("sha256") != after.get("sha256")
        if swatch is not None and swatch == after.get("swatch") and repainted:
            yield f"the swatch {swatch} has changed since"


def is_same(result: Result, recipe: Recipe) -> bool | None:
    """Whether the result has the same pixels as the picture; None where that cannot be told."""
    import torch

    from impasto.image.io import encode_image, read_image

    if recipe.picture.suffix.lower() not in LOSSLESS:
        return None
    before = read_image(recipe.picture)
    after = read_image(encode_image(result.image, alpha=result.alpha, depth=before.depth))
    pairs = [(before.pixels, after.pixels), (before.alpha, after.alpha)]
    return all(
        old is new if old is None or new is None else bool(torch.equal(old, new))
        for old, new in pairs
    )


def find(role: str, told: dict[str, Any], picture: Path) -> str:
    """The file or swatch that was ``told`` for ``role``, where it lies now."""
    if "swatch" in told:
        return _swatch(role, told, picture)
    if "path" not in told:
        hint = f"give --{role}" if role in _FLAGS else "it cannot be repeated"
        raise UsageError(f"the picture does not tell where its {role} lies", hint)
    place = _place(role, told["path"])
    candidates = [picture.parent / place, place, picture.parent / place.name, Path(place.name)]
    there = [path for path in candidates if _is_ours(path, picture)]
    for path in there:
        if _is_file_of(path, told.get("sha256")):
            return str(path)
    if there:
        raise InputError(
            f"{quoted(there[0])} is not the {role} that it was made from: it has changed since",
            _remedy(role, "give the right one, or this one, with --{role}", "put it back"),
        )
    raise InputError(
        f"its {role}, {quoted(place)}, is neither in its folder nor in this one",
        _remedy(role, "say where it is with --{role}", "put it back, or copy it to its folder"),
    )


def _swatch(role: str, told: dict[str, Any], picture: Path) -> str:
    from impasto.image.swatches import SWATCHES

    name, wanted = told["swatch"], told.get("sha256")
    if not isinstance(name, str) or name not in SWATCHES:
        raise InputError(
            f"there is no swatch {str(name)[:40]!r}",
            _remedy(role, "give a picture or a swatch with --{role}", "it cannot be repeated"),
        )
    if Path(name).is_file():
        if _is_file_of(name, wanted):
            return name
        raise InputError(f"a file hides the swatch {name}", "work in another folder")
    if hashlib.sha256(SWATCHES[name].read_bytes()).hexdigest() != wanted:
        raise InputError(
            f"the swatch {name} has changed since {picture} was made from it",
            f"take it as it is now with --{role} {name}",
        )
    return name


def _place(role: str, told: Any) -> Path:
    """The place that metadata tells, if it is one; InvalidImageError where it is none."""
    try:
        if isinstance(told, str) and len(told) > 0 and b"\0" not in os.fsencode(told):
            return Path(told)
    except UnicodeEncodeError:  # a lone surrogate
        pass
    raise InvalidImageError(f"the place of its {role} is none: {str(told)[:40]!r}", "")


def _is_ours(path: Path, picture: Path) -> bool:
    """Whether a stranger's picture may name this file: a plain one in the picture's folder, in the
    current one or below, wherever links lead; nothing hidden."""
    try:
        real = path.resolve()
        roots = [picture.parent.resolve(), Path.cwd().resolve()]
        below = [real.relative_to(root) for root in roots if real.is_relative_to(root)]
        visible = any(not any(x.startswith(".") for x in one.parts) for one in below)
        return visible and real.is_file()
    except (OSError, RuntimeError, ValueError):  # too long a name, a loop of links
        return False


def _remedy(role: str, hint: str, otherwise: str) -> str:
    return hint.format(role=role) if role in _FLAGS else otherwise


def _is_file_of(path: str | Path, sha256: Any) -> bool:
    if not os.path.isfile(expanded(path)):
        return False
    return bool(hashlib.sha256(read_bytes(path)).hexdigest() == sha256)


def _at(metadata: Any, path: str) -> Any:
    for key in path.split("."):
        metadata = metadata.get(key) if isinstance(metadata, dict) else None
    return metadata


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text
