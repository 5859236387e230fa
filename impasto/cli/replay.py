"""``impasto replay``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli.info import MASKS, config_of, is_texture, sources
from impasto.cli.messages import message
from impasto.cli.options import AsJson, MaxPixels, Overwrite, Resume, output_flag
from impasto.errors import InputError, UsageError
from impasto.image.files import expanded

if TYPE_CHECKING:
    from impasto.config.stylize import StylizeConfig
    from impasto.runs.result import Result
    from impasto.transfer.stylization import Stylization

app = typer.Typer()

EXAMPLES = """
impasto replay cat-waves.png -o again.png
impasto replay cat-waves.png -o again.png --content photos/cat.jpg
"""

LOSSLESS = (".png", ".tif", ".tiff")


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
    warnings: list[str] = field(default_factory=list)


@app.command(epilog=EXAMPLES)
def replay(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture of impasto's.")],
    output: Annotated[Path, output_flag("Where the new one goes.")],
    content: Annotated[
        str | None, typer.Option(metavar="FILE", help="The content picture, if it has moved.")
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="The style picture, if it has moved; once for each of several."
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="CPU threads.  [default: as many as then]"),
    ] = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors and warnings.")] = False,
) -> None:
    """Make a picture again from what is written in it.

    Content, styles and masks are looked for where they lay, seen from the picture, then by their
    names beside the picture and in the current folder; they must be the same files, byte for byte,
    unless --content or --style names others. Says whether the pixels are the same again.
    """
    from impasto.cli.outputs import Outputs, installed_files, settings_files
    from impasto.cli.run import checked, execute, report_result
    from impasto.transfer.stylization import Stylization

    recipe = read_recipe(picture, content=content, style=style)
    depth = recipe.depth if output.suffix.lower() in LOSSLESS else 8
    pictures = [x for x in (recipe.content, *recipe.styles) if x is not None]
    outputs = checked(
        Outputs(expanded(output), depth=depth, overwrite=overwrite),
        [*pictures, picture, *settings_files(recipe.config), *installed_files()],
        resume=resume,
    )
    warnings = list(recipe.warnings)

    def make(**where: Any) -> Stylization:
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
    extra: dict[str, Any] = {"identical": same, "warnings": warnings}
    report_result(result, outputs, extra, as_json=as_json, quiet=quiet)
    message(_verdict(same, picture), quiet=quiet or as_json)


def read_recipe(
    picture: Path, *, content: str | None = None, style: Sequence[str] | None = None
) -> Recipe:
    """How ``picture`` was made, with its inputs found and checked.

    Inputs that are given are taken even if they are others. Raises InputError where one is not
    found, or has changed since; UsageError where the picture does not tell enough.
    """
    from impasto.image.io import read_image, read_metadata

    metadata = read_metadata(picture)
    config = config_of(metadata)
    warnings: list[str] = []
    if is_texture(metadata) and content is not None:
        raise UsageError(f"{picture} is a texture and has no content", "leave out --content")
    told_styles = sources(metadata, "style")
    if style and len(style) != len(told_styles):
        raise UsageError(
            f"{picture} was made from {len(told_styles)} styles, and {len(style)} were given",
            "give --style once for each",
        )
    [told_content] = sources(metadata, "content")[:1] or [{}]
    given: Sequence[str | None] = style or [None] * len(told_styles)
    styles = [
        _input("style", told, picture, name, warnings)
        for told, name in zip(told_styles, given, strict=True)
    ]
    machine = metadata.get("machine")
    threads = machine.get("threads") if isinstance(machine, dict) else None
    steps = metadata.get("steps") if metadata.get("finished") is False else None
    return Recipe(
        picture=picture,
        metadata=metadata,
        content=(
            None
            if is_texture(metadata)
            else _input("content", told_content, picture, content, warnings)
        ),
        styles=styles,
        config=_with_masks(config, metadata, picture),
        threads=threads if isinstance(threads, int) and threads > 0 else None,
        steps=steps if isinstance(steps, int) else None,
        depth=read_image(picture).depth,
        warnings=warnings,
    )


def _with_masks(config: StylizeConfig, metadata: dict[str, Any], picture: Path) -> StylizeConfig:
    """The settings with masks where they lie now."""
    for role in MASKS:
        if told := sources(metadata, role):
            places = [
                str(part["word"]) if "word" in part else _input(role, part, picture, None, [])
                for part in told
            ]
            config = config.with_changes(
                **{role: places[0] if role in ("keep", "subject") else places}
            )
    return config


def differences(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What is other than it was, in words, as far as pixels may depend on it.

    >>> list(differences({"impasto": "0.1.0"}, {"impasto": "0.2.0"}))
    ['impasto was 0.1.0, is 0.2.0: the pixels may differ']
    """
    for path in ("impasto", "encoder.name", "encoder.sha256", "size"):
        yield from _difference(path, then, now)
    for name in ("torch", "device", "dtype", "cpu", "threads"):
        yield from _difference(f"machine.{name}", then, now)
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


def _input(
    role: str, told: dict[str, Any], picture: Path, given: str | None, warnings: list[str]
) -> str:
    """The file or swatch to take for ``role``."""
    from impasto.image.swatches import SWATCHES

    wanted = told.get("sha256")
    if given is not None:
        if given != told.get("swatch") and not _is_file_of(given, wanted):
            warnings.append(f"--{role} {given} is not the picture that was used then")
        return given
    if "swatch" in told:
        name = str(told["swatch"])
        if name in SWATCHES and hashlib.sha256(SWATCHES[name].read_bytes()).hexdigest() != wanted:
            raise InputError(
                f"the swatch {name} has changed since {picture} was made from it",
                f"take it as it is now with --{role} {name}",
            )
        return name
    if "path" not in told:
        hint = "it cannot be repeated" if role in MASKS else f"give --{role}"
        raise UsageError(f"the picture does not tell where its {role} lies", hint)
    place = Path(str(told["path"]))
    candidates = [picture.parent / place, picture.parent / place.name, Path(place.name)]
    there = [path for path in candidates if path.is_file()]
    for path in there:
        if _is_file_of(path, wanted):
            return str(path)
    if there:
        raise InputError(
            f"{there[0]} is not the {role} that {picture} was made from: it has changed since",
            _put_back(role, "give the right one, or this one, with --{role}"),
        )
    raise InputError(
        f"the {role} of {picture} is not at {candidates[0]}, nor beside it, nor here",
        _put_back(role, "say where it is with --{role}"),
    )


def _put_back(role: str, hint: str) -> str:
    return "put it back" if role in MASKS else hint.format(role=role)


def _is_file_of(path: str | Path, sha256: Any) -> bool:
    from impasto.image.files import read_bytes

    if not Path(path).expanduser().is_file():
        return False
    return bool(hashlib.sha256(read_bytes(path)).hexdigest() == sha256)


def _difference(path: str, then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    old, new = _at(then, path), _at(now, path)
    if old is not None and new is not None and old != new:
        what = path.removeprefix("machine.").replace(".", "'s ")
        yield f"{what} was {_short(old)}, is {_short(new)}: the pixels may differ"


def _at(metadata: Any, path: str) -> Any:
    for key in path.split("."):
        metadata = metadata.get(key) if isinstance(metadata, dict) else None
    return metadata


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def _verdict(same: bool | None, picture: Path) -> str:
    if same is None:
        return f"{picture} is stored with losses; its pixels cannot be compared"
    return f"the pixels are {'the same as' if same else 'not the same as'} in {picture}"
