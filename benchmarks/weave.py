"""Does a picture have a weave, axis-parallel hairlines with a period of two pixels?

    python benchmarks/weave.py PICTURE...

prints the measure of each picture as it is (enlarging or reducing it would take the weave away).
Photos have 1.5 to 4.5.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from impasto.image.io import load_image

LUMA = (0.299, 0.587, 0.114)
NEAR, FAR = 4, 12  # columns and rows from the highest frequency: what is compared with


def weave(image: Tensor) -> float:
    """Mean power of the luma's 2-D spectrum in its Nyquist column and row, over the median of the
    columns and rows NEAR to FAR below; ``image`` is ``(1, 3, H, W)``, 32 pixels a side at least.

    Under a Hann window, for the jump from one border to the other has power everywhere. An odd side
    has no bin at the Nyquist frequency: its highest is half a bin below.
    """
    luma = (image[0].double() * torch.tensor(LUMA, dtype=torch.double)[:, None, None]).sum(0)
    height, width = luma.shape
    rows, columns = (torch.hann_window(n, periodic=False).double() for n in (height, width))
    power = torch.fft.fft2((luma - luma.mean()) * rows[:, None] * columns).abs().square()
    row, column = height // 2, width // 2
    highest = torch.cat([power[row], power[:, column]])
    below = torch.cat(
        [
            power[row - FAR : row - NEAR + 1].flatten(),
            power[:, column - FAR : column - NEAR + 1].flatten(),
        ]
    )
    return float(highest.mean() / below.median())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    for path in parser.parse_args().pictures:
        print(f"{weave(load_image(path)):7.2f}  {path.name}")


if __name__ == "__main__":
    main()
