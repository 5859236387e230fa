"""A stylised picture in a minute or two, from nothing: ``make demo``.

    python examples/demo.py                                  the built-in photo, the built-in style
    python examples/demo.py ~/cat.jpg --style mosaic         your photo, another style

Needs no network: the photo (public domain) comes with scikit-image, the style is painted by code,
the encoder ships with impasto. Everything lands in ``out/``; Ctrl-C keeps what there is.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch

import impasto
from impasto.cli import main as command_line
from impasto.image.swatches import SIDE
from impasto.machine.devices import peak_memory


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", nargs="?", type=Path, help="default: scikit-image's astronaut")
    parser.add_argument("--style", default="night", help="a swatch or a picture (default: night)")
    parser.add_argument("--size", type=int, default=512, help="long side in pixels (default: 512)")
    parser.add_argument("--steps", help="such as 150,100 (default: the settings' own)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder (default: out)")
    a = parser.parse_args()

    a.out.mkdir(parents=True, exist_ok=True)
    picture, photo = a.out / "demo.png", a.out / "demo-content.png"
    try:
        pixels = impasto.load_image(a.photo or public_domain_photo(), size=a.size)
        impasto.save_image(photo, pixels)
        if a.style in impasto.SWATCHES:
            style = impasto.swatch(a.style, size=min(a.size, SIDE))
        else:
            style = impasto.load_image(a.style)
        impasto.save_image(a.out / "demo-style.png", style)
    except impasto.ImpastoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code

    words = ["stylize", str(a.photo or photo), a.style, "-o", str(picture), "--overwrite"]
    words += ["--size", str(a.size), *(["--steps", a.steps] if a.steps else [])]
    print(shlex.join(["impasto", *words]), file=sys.stderr)
    if code := command_line(words):  # it shows its progress and says what went wrong
        return code

    painted = impasto.load_image(picture)
    sheet = torch.cat([fitted(image, painted) for image in (pixels, style, painted)], dim=3)
    impasto.save_image(a.out / "demo-sheet.png", sheet)
    told = impasto.read_metadata(picture)
    height, width = told["size"]
    print(f"picture      {picture}  ({height}x{width}: height, width)")
    print(f"side by side {a.out / 'demo-sheet.png'}")
    print(f"time         {told['seconds']:.0f} s, {told['machine']['threads']} threads")
    print(f"peak memory  {peak_memory() / 2**20:.0f} MiB")
    return 0


def public_domain_photo():
    """Eileen Collins by NASA, ``(512, 512, 3)`` uint8: inside the installed wheel."""
    try:
        from skimage.data import astronaut
    except ImportError:
        raise impasto.ImpastoError(
            "the photo of the demo comes with scikit-image, which is not installed",
            'pip install "impasto[demo]", or give a photo of your own',
        ) from None
    return astronaut()


def fitted(image: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """``image`` as high as ``like``, aspect ratio kept, with a white edge at the right."""
    height = like.shape[-2]
    width = max(1, round(image.shape[-1] * height / image.shape[-2]))
    return torch.nn.functional.pad(impasto.resize(image, (height, width)), (0, 8), value=1.0)


if __name__ == "__main__":
    sys.exit(main())
