"""``impasto demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli import options
from impasto.cli.messages import message, shell_words
from impasto.cli.options import option, output_option

if TYPE_CHECKING:
    from torch import Tensor

EXAMPLES = """
impasto demo
impasto demo --style mosaic --size 256 -o out
"""


def demo(
    output: Path = output_option("Where the pictures go.", "FOLDER", default=Path(".")),
    style: str = option("A swatch or a picture.", "STYLE", default="night"),
    size: int = option("Long side in pixels.", "N", "-s", "--size", default=512, min=16),
    overwrite: bool = options.OVERWRITE,
    threads: int | None = options.THREADS,
    quiet: bool = options.QUIET,
) -> None:
    """Paint a landscape that impasto draws itself: a first picture, from nothing.

    Needs no file and no network. It writes demo-photo.png, and demo.png, painted from it.
    """
    from impasto.cli import run_command
    from impasto.image.io import check_writable, save_image

    folder = output.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    photo, painted = folder / "demo-photo.png", folder / "demo.png"
    for path in (photo, painted):
        check_writable(path, overwrite=overwrite)
    save_image(photo, draw_landscape(size), overwrite=overwrite)
    inputs, flags = [str(photo), style], ["-o", str(painted), "--size", str(size)]
    message(shell_words(["impasto", "stylize", *inputs, *flags]), quiet=quiet)
    flags += ["--overwrite"] * overwrite + ["--quiet"] * quiet
    flags += [] if threads is None else ["--threads", str(threads)]
    run_command(["stylize", *flags, "--", *inputs])


def draw_landscape(size: int) -> Tensor:
    """A sunset over hills and a lake, ``(1, 3, 3/4 size, size)`` in [0, 1]; always the same.

    >>> draw_landscape(64).shape
    torch.Size([1, 3, 48, 64])
    """
    import torch
    from torch.nn import functional as F

    from impasto.machine.devices import generator

    height, shore = max(12, size * 3 // 4), 0.68
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, size), indexing="ij")
    mirrored = torch.where(y > shore, 2 * shore - y, y).clamp_min(0)

    def color(*rgb: float) -> Tensor:
        return torch.tensor(rgb)[:, None, None]

    def clouds(cells: int, seed: int) -> Tensor:
        noise = torch.rand(1, 1, cells, 2 * cells, generator=generator(seed))
        return F.interpolate(noise, (height, size), mode="bicubic", align_corners=True)[0, 0]

    def above(edge: Tensor) -> Tensor:  # antialiased
        return torch.sigmoid((mirrored - edge) * height)

    sky = color(0.13, 0.22, 0.47).lerp(color(0.98, 0.62, 0.35), (mirrored / shore)[None] ** 1.6)
    sun = ((x - 0.64) ** 2 + (0.75 * (mirrored - 0.47)) ** 2).sqrt()
    sky = sky + color(0.9, 0.6, 0.25) * torch.exp(-sun / 0.11)
    image = sky.lerp(color(1.0, 0.95, 0.75), torch.sigmoid((0.045 - sun) * size)[None])
    bands = clouds(7, 1) * 0.6 + clouds(17, 2) * 0.4 - 0.5 * (mirrored - 0.2).abs()
    image = image.lerp(color(0.98, 0.8, 0.72), (3 * (bands - 0.42)).clamp(0, 0.75)[None])
    for number, (base, swing, rgb) in enumerate(
        [
            (0.47, 0.10, (0.42, 0.36, 0.52)),
            (0.54, 0.07, (0.27, 0.29, 0.42)),
            (0.62, 0.04, (0.10, 0.20, 0.17)),
        ]
    ):
        ridge = base - swing * torch.sin(5.1 * (number + 1) * x + 2 * number)
        ridge = ridge + swing * (clouds(9 * (number + 1), 5 + number)[height // 2] - 0.5)
        grain = 0.75 + 0.5 * clouds(40, 9 + number)
        image = image.lerp(color(*rgb) * grain, above(ridge)[None])
    lake = torch.sigmoid((y - shore) * height)
    ripples = 0.75 + 0.2 * torch.sin(260 * (y - shore) + 6 * clouds(12, 12))
    image = torch.lerp(image, 0.9 * image * ripples + color(0.02, 0.05, 0.08), lake)
    return image.clamp(0, 1)[None]
