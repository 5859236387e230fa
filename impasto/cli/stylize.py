"""``impasto stylize``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli import options
from impasto.cli.info import source_name, sources
from impasto.cli.options import argument, option, output_option, switch
from impasto.cli.outputs import Outputs, default_name, output_path
from impasto.cli.roles import check_styles, tell_roles
from impasto.cli.settings import completion, resolve, with_settings
from impasto.config.stylize import StylizeConfig

if TYPE_CHECKING:
    from impasto.transfer.stylization import Stylization

EXAMPLES = """
impasto stylize cat.jpg waves -o cat-waves.png
impasto stylize cat.jpg mosaic --strength 0.7 --quality draft
impasto stylize cat.jpg waves mosaic --blend 0.7,0.3 -o both.png
impasto stylize cat.jpg night --size 1024 --color keep --evolution how.gif
"""


def _presets(incomplete: str) -> list[str]:
    from impasto.config.presets import PRESETS

    return completion(PRESETS)(incomplete)


@with_settings(StylizeConfig)
def stylize(
    content: str | None = argument("The picture to repaint.", "CONTENT"),
    styles: list[str] = argument("The pictures, or swatches, to paint it like.", "STYLE..."),
    output: Path | None = output_option(
        "Where the picture goes; - is standard output.  "
        "[default: CONTENT-STYLE.png, or STYLE-texture.png]"
    ),
    overwrite: bool = options.OVERWRITE,
    resume: bool = options.RESUME,
    preset: str | None = option(
        "Begin with these settings; see impasto presets.", "NAME", autocompletion=_presets
    ),
    config: Path | None = option("Settings from a TOML file; flags win over it.", "FILE"),
    save_config: Path | None = option("Write all settings as TOML.", "FILE"),
    depth: int = options.DEPTH,
    jpeg_quality: int = options.JPEG_QUALITY,
    evolution: Path | None = options.EVOLUTION,
    evolution_size: int = option("Its long side in pixels, at most.", "N", default=512, min=16),
    plot: Path | None = options.PLOT,
    explain: bool = switch("Tell at each level's end which losses and layers pull.", "--explain"),
    save_every: int = option(
        "Save the picture every N steps, as OUTPUT-00050.png.",
        "N",
        default=0,
        min=0,
        show_default=False,
    ),
    preview: Path | None = option("A picture that is refreshed every second.", "FILE"),
    threads: int | None = options.THREADS,
    max_pixels: int | None = options.MAX_PIXELS,
    dry_run: bool = switch("Check everything, print the plan, paint nothing.", "--dry-run"),
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
    **settings: str | None,
) -> None:
    """Paint one picture in the style of another, or of several.

    CONTENT and STYLE are picture files; STYLE may be the name of a swatch (see impasto swatches).
    Several are blended (--blend), or painted each in its region (--regions).
    Lists are written with commas: --steps 150,100 --style-layers relu1_1,relu2_1. Settings come
    from flags, else --config, else --preset, else their defaults. Ctrl-C writes the picture as it
    is and ends; --resume goes on from there.
    """
    chosen = resolve(preset, config, settings)
    if content is None:  # impasto texture
        from impasto.transfer.prepare import for_texture

        chosen = for_texture(chosen)
    check_styles(styles, chosen)
    outputs = Outputs(
        output_path(output, default_output(content, styles), as_json=as_json),
        evolution=evolution,
        evolution_size=evolution_size,
        plot=plot,
        save_every=save_every,
        preview=preview,
        config=save_config,
        depth=depth,
        quality=jpeg_quality,
        overwrite=overwrite,
    )

    from impasto.cli.messages import print_json, print_lines
    from impasto.cli.run import checked, execute, report_result

    inputs = [content, *styles, config]
    outputs = checked(outputs, inputs, chosen, steps=chosen.most_steps, resume=resume)
    if save_config is not None:
        from impasto.config.presets import write_toml

        write_toml(save_config, chosen, overwrite=outputs.may_replace(save_config))

    from impasto.machine import devices
    from impasto.transfer.stylization import Stylization

    def make(**where: Any) -> Stylization:
        run = Stylization(content, styles, chosen, max_pixels=max_pixels, **where)
        tell_roles(content, styles, quiet=quiet or dry_run)
        return run

    if dry_run:
        with devices.threads(threads):
            run = make()
        outputs.check_result(run)
        plan = plan_of(run, outputs)
        if as_json:
            print_json(plan)
        else:
            print_lines(*plan_lines(plan))
        return
    result, written = execute(
        make, outputs, threads=threads, resume=resume, quiet=quiet, explained=explain
    )
    report_result(result, outputs, written, as_json=as_json, quiet=quiet)


def default_output(content: str | None, styles: Sequence[str]) -> Path:
    """Where the picture goes without -o: into the current folder.

    >>> str(default_output("photos/cat.jpg", ["waves", "art/mosaic.png"]))
    'cat-waves-mosaic.png'
    """
    names = [*styles, "texture"] if content is None else [content, *styles]
    return default_name(["stdin" if name == "-" else name for name in names], ".png")


def plan_of(run: Stylization, outputs: Outputs) -> dict[str, Any]:
    """The plan of a run, as plain JSON."""
    return {
        "dry_run": True,
        "output": str(outputs.picture or "-"),
        "size": [run.height, run.width],
        "levels": [
            {"size": [level.height, level.width], "steps": level.steps} for level in run.levels
        ],
        "memory": run.demand.total,
        "metadata": run.metadata(),
    }


def plan_lines(plan: dict[str, Any]) -> Iterator[str]:
    """The plan for people."""
    told = plan["metadata"]
    yield f"output   {plan['output']}, {plan['size'][0]}x{plan['size'][1]}"
    for role in ("content", "style", "regions", "keep", "subject"):
        for source in sources(told, role) if role in told else []:
            yield f"{role:8} {source_name(source)}"
    yield f"encoder  {told['encoder']['name']}"
    machine = told["machine"]
    yield f"machine  {machine['device']}, {machine['dtype']}, {machine['threads']} threads"
    tiles = f", in tiles of {told['tile']} pixels" if told["tile"] else ""
    yield f"memory   about {plan['memory'] / 2**30:.2f} GiB{tiles}"
    for number, level in enumerate(plan["levels"], start=1):
        height, width = level["size"]
        yield f"level {number}  {height}x{width}, {level['steps']} steps"
    for name, value in StylizeConfig.from_dict(told["config"]).changes().items():
        yield f"setting  {name} = {value}"
