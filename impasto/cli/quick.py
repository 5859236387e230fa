"""``impasto quick``."""

from __future__ import annotations

from pathlib import Path

from impasto.cli import options
from impasto.cli.messages import log_shown, message
from impasto.cli.options import argument, option, output_option
from impasto.cli.outputs import Outputs, network_files, output_path
from impasto.cli.roles import check_styles, tell_roles
from impasto.cli.settings import parse_all, with_settings
from impasto.cli.stylize import default_output
from impasto.config.quick import QuickConfig
from impasto.errors import UsageError

EXAMPLES = """
impasto quick cat.jpg waves -o cat-quick.png
impasto quick cat.jpg waves mosaic --blend 3,1
impasto quick cat.jpg night --quality draft --size 2048
"""


@with_settings(QuickConfig)
def quick(
    content: str = argument("The picture to repaint.", "CONTENT"),
    styles: list[str] | None = options.STYLES,
    model: Path | None = option(
        "A network that impasto train made, in the place of styles.", "FOLDER"
    ),
    output: Path | None = output_option(
        "Where the picture goes; - is standard output.  [default: CONTENT-STYLE.png, or "
        "CONTENT-FOLDER.png]"
    ),
    depth: int = options.DEPTH,
    jpeg_quality: int = options.JPEG_QUALITY,
    threads: int | None = options.THREADS,
    max_pixels: int | None = options.MAX_PIXELS,
    overwrite: bool = options.OVERWRITE,
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
    **settings: str | None,
) -> None:
    """Paint one picture in the style of others, in one pass.

    A draft in a fraction of the time that stylize takes; impasto stylize --init quick goes on from
    one. Several styles are mixed (--blend), or painted each in its region (--regions). With
    --model, a network that impasto train made paints in the one style that it has learned.
    """
    styles = styles or []
    if bool(styles) == (model is not None):
        raise UsageError(
            "both styles and --model are given" if styles else "there is no STYLE and no --model",
            "give pictures to paint it like, or a network that impasto train made",
        )
    config = QuickConfig().with_changes(**parse_all(settings, QuickConfig))
    check_styles(styles, config)
    path = output_path(output, default_output(content, styles or [str(model)]), as_json=as_json)
    outputs = Outputs(path, depth=depth, quality=jpeg_quality, overwrite=overwrite)

    from impasto.arbitrary.api import quick as paint
    from impasto.cli.run import checked, report_result
    from impasto.machine import devices

    checked(outputs, [content, *styles, *network_files(model)], config)
    devices.keep_freed_memory()
    with devices.threads(threads), log_shown(quiet=quiet):
        result = paint(content, styles, config, model=model, max_pixels=max_pixels)
        tell_roles(content, styles, quiet=quiet)
        outputs.save(result)
    report_result(result, outputs, {}, as_json=as_json, quiet=quiet)
    height, width = result.metadata["size"]
    own_height, own_width = result.metadata["content"]["size"]
    if max(height, width) < max(own_height, own_width):
        message(
            f"painted at {height}x{width}; the photo has {own_height}x{own_width}: "
            "--size none for all of it",
            quiet=quiet or as_json,
        )
