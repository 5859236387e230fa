"""Paint the built-in styles anew: python training/paint_swatches.py [NAME ...] [--out FOLDER]

Takes about a minute. The same versions of numpy and Pillow give the same files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from swatches import PAINTERS, paint

from impasto.image.swatches import SIDE

FOLDER = Path(__file__).parents[1] / "impasto" / "assets" / "swatches"
QUALITY = 80  # 4 MB together; no blocks are to be seen, where 90 takes 5.5 MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PAINTERS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=FOLDER)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    for name in a.names:
        path = a.out / f"{name}.webp"
        # use_sharp_yuv: WebP halves the resolution of colour, and strokes are full of colour
        Image.fromarray(paint(name, SIDE)).save(path, quality=QUALITY, method=6, use_sharp_yuv=True)
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
