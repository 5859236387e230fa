"""``impasto stylize``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli.info import source_name, sources
from impasto.cli.options import (
    AsJson,
    Depth,
    Evolution,
    JpegQuality,
    MaxPixels,
    Overwrite,
    Plot,
    Quiet,
    Resume,
    Threads,
    output_flag,
)
from impasto.cli.outputs import Outputs, default_name, installed_files, output_path, settings_files
from impasto.cli.roles import check_styles, tell_roles
from impasto.cli.settings import resolve, with_settings
from impasto.config.stylize import StylizeConfig

if TYPE_CHECKING:
    from impasto.transfer.stylization import Stylization

app = typer.Typer()


EXAMPLES = """
impasto stylize cat.jpg waves -o cat-waves.png
impasto stylize cat.jpg mosaic --strength 0.7 --quality draft
impasto stylize cat.jpg waves mosaic --blend 0.7,0.3 -o both.png
impasto stylize cat.jpg night --size 1024 --color keep --evolution how.gif
"""


def _presets(incomplete: str) -> list[str]:
    from impasto.config.presets import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]


@app.command(epilog=EXAMPLES)
@with_settings
def stylize(
    content: Annotated[
        str | None, typer.Argument(metavar="CONTENT", help="The picture to repaint.")
    ],
    styles: Annotated[
        list[str],
        typer.Argument(metavar="STYLE...", help="The pictures, or swatches, to paint it like."),
    ],
    output: Annotated[
        Path | None,
        output_flag(
            "Where the picture goes; - is standard output.  "
            "[default: CONTENT-STYLE.png, or STYLE-texture.png]"
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Begin with these settings; see impasto presets.",
            metavar="NAME",
            autocompletion=_presets,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings from a TOML file; flags win over it.", metavar="FILE"),
    ] = None,
    save_config: Annotated[
        Path | None, typer.Option(help="Write all settings as TOML.", metavar="FILE")
    ] = None,
    depth: Depth = 8,
    jpeg_quality: JpegQuality = 95,
    evolution: Evolution = None,
    evolution_size: Annotated[
        int, typer.Option(help="Its long side in pixels, at most.", metavar="N", min=16)
    ] = 512,
    plot: Plot = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Tell at each level's end which losses and layers pull."),
    ] = False,
    save_every: Annotated[
        int,
        typer.Option(
            help="Save the picture every N steps, as OUTPUT-00050.png.",
            metavar="N",
            min=0,
            show_default=False,
        ),
    ] = 0,
    preview: Annotated[
        Path | None,
        typer.Option(help="A picture that is refreshed every second.", metavar="FILE"),
    ] = None,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, paint nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
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

    named = [x for x in (content, *styles, config) if x is not None]
    inputs = [*named, *settings_files(chosen), *installed_files()]
    outputs = checked(outputs, inputs, steps=chosen.most_steps, resume=resume)
    if save_config is not None:
        from impasto.config.presets import write_toml

        write_toml(save_config, chosen, overwrite=outputs.may_replace(save_config))

    from impasto.machine.devices import threads as use_threads
    from impasto.transfer.stylization import Stylization

    def make(**where: Any) -> Stylization:
        run = Stylization(content, styles, chosen, max_pixels=max_pixels, **where)
        tell_roles(content, styles, quiet=quiet or dry_run)
        return run

    if dry_run:
        with use_threads(threads):
            run = make()
        outputs.check_result(run)
        plan = plan_of(run, outputs)
        if as_json:
            print_json(plan)
        else:
            print_lines(plan_text(plan))
        return
    result, written = execute(
        make, outputs, threads=threads, resume=resume, quiet=quiet, explained=explain
    )
    report_result(result, outputs, dict(written), as_json=as_json, quiet=quiet)


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


def plan_text(plan: dict[str, Any]) -> str:
    """The plan in lines for people."""
    told = plan["metadata"]
    machine = told["machine"]
    lines = [
        f"output   {plan['output']}, {plan['size'][0]}x{plan['size'][1]}",
        *(
            f"{role:8} {source_name(source)}"
            for role in ("content", "style", "regions", "keep", "subject")
            if role in told
            for source in sources(told, role)
        ),
        f"encoder  {told['encoder']['name']}",
        f"machine  {machine['device']}, {machine['dtype']}, {machine['threads']} threads",
    ]
    tiles = f", in tiles of {told['tile']} pixels" if told["tile"] else ""
    lines.append(f"memory   about {plan['memory'] / 2**30:.2f} GiB{tiles}")
    for number, level in enumerate(plan["levels"], start=1):
        height, width = level["size"]
        lines.append(f"level {number}  {height}x{width}, {level['steps']} steps")
    changes = StylizeConfig.from_dict(told["config"]).changes()
    lines += [f"setting  {name} = {value}" for name, value in changes.items()]
    return "\n".join(lines)
