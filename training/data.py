"""Training pictures: tars of JPEGs -> one array of pixels on disk -> augmented crops.

    python training/data.py --tars PHOTOS.tar PAINTINGS.tar ... --cache FOLDER

decodes every picture once (short side at most 320 pixels) into ``pixels.u8`` with an index beside
it. :class:`Crops` then draws random crops at many scales with changes of colour and contrast, in a
background thread.
"""

from __future__ import annotations

import argparse
import io
import queue
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

SHORT_SIDE = 320


def build_cache(tars: list[Path], folder: Path) -> None:
    """Decode all JPEGs in ``tars`` into ``folder``: pixels one after the other, and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    index: list[tuple[int, int, int]] = []
    names: list[str] = []
    offset = 0
    with (folder / "pixels.u8.part").open("wb") as out:
        for path in tars:
            with tarfile.open(path) as archive:
                for member in archive:
                    if not member.name.lower().endswith((".jpg", ".jpeg")):
                        continue
                    file = archive.extractfile(member)
                    assert file is not None
                    image = Image.open(io.BytesIO(file.read())).convert("RGB")
                    scale = SHORT_SIDE / min(image.size)
                    if scale < 1:
                        width, height = (max(SHORT_SIDE, round(s * scale)) for s in image.size)
                        image = image.resize((width, height), Image.Resampling.LANCZOS)
                    out.write(np.asarray(image).tobytes())
                    index.append((offset, image.height, image.width))
                    names.append(member.name)
                    offset += image.height * image.width * 3
    np.save(folder / "index.npy", np.array(index, dtype=np.int64))
    (folder / "names.txt").write_text("\n".join(names))
    (folder / "pixels.u8.part").rename(folder / "pixels.u8")


class Pictures:
    """The decoded pictures; every 50th is held out for validation."""

    def __init__(self, folder: Path, *, held_out: bool = False) -> None:
        index = np.load(folder / "index.npy")
        keep = np.arange(len(index)) % 50 == 0
        self.index = index[keep if held_out else ~keep]
        self.pixels = np.memmap(folder / "pixels.u8", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Tensor:
        """Picture ``number`` as uint8 ``(H, W, 3)``."""
        offset, height, width = (int(x) for x in self.index[number])
        pixels = self.pixels[offset : offset + height * width * 3].reshape(height, width, 3)
        return torch.from_numpy(np.array(pixels))


def random_crop(picture: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """``(H, W, 3)`` uint8 -> ``(3, size, size)`` in [0, 1]: a random window, resized or flipped.

    The window is between half of ``size`` (so enlarged) and all of the picture (so reduced).
    """
    height, width, _ = picture.shape
    largest = min(height, width)
    smallest = min(largest, max(32, size // 2))
    side = round(np.exp(rng.uniform(np.log(smallest), np.log(largest + 1))))
    side = min(max(side, smallest), largest)
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    window = picture[top : top + side, left : left + side].permute(2, 0, 1)[None].float() / 255
    if side != size:
        window = F.interpolate(
            window, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    if rng.random() < 0.5:
        window = window.flip(-1)
    return window[0]


def recolour(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """Random changes of exposure, contrast, saturation, hue, and now and then stronger ones."""
    if rng.random() < 0.4:
        return crop
    if rng.random() < 0.7:
        crop = crop.clamp_min(1e-4) ** float(np.exp(rng.normal(0, 0.35)))  # gamma
    mean = crop.mean()
    contrast = float(np.exp(rng.normal(0, 0.35)))
    crop = (crop - mean) * contrast + mean + float(rng.normal(0, 0.08))
    grey = crop.mean(0, keepdim=True)
    crop = grey + (crop - grey) * float(rng.uniform(0, 2))
    if rng.random() < 0.3:
        crop = crop[rng.permutation(3).copy()]
    if rng.random() < 0.2:  # a random linear mixing of colours
        mix = torch.eye(3) + torch.from_numpy(rng.normal(0, 0.3, (3, 3))).float()
        crop = torch.einsum("ij,jhw->ihw", mix, crop - 0.5) + 0.5
    if rng.random() < 0.05:
        crop = 1 - crop
    return crop.clamp(0, 1)


def disturb(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise, coloured noise or blur on some crops: what an optimiser's early steps look like."""
    chance = rng.random()
    size = crop.shape[-1]
    if chance < 0.10:
        noise = torch.from_numpy(rng.standard_normal((3, size, size), dtype=np.float32))
        return (crop + noise * float(rng.uniform(0.01, 0.25))).clamp(0, 1)
    if chance < 0.18:  # noise with a natural spectrum, alone or on top of the picture
        noise = pink_noise(size, rng, exponent=float(rng.uniform(0, 2)))
        share = 1.0 if chance < 0.12 else float(rng.uniform(0.1, 0.7))
        return (crop * (1 - share) + (0.5 + 0.2 * noise) * share).clamp(0, 1)
    if chance < 0.24:
        small = max(8, int(size * rng.uniform(0.1, 0.6)))
        blurred = F.interpolate(crop[None], size=(small, small), mode="area")
        return F.interpolate(blurred, size=(size, size), mode="bilinear", align_corners=False)[0]
    return crop


def pink_noise(size: int, rng: np.random.Generator, exponent: float = 1.0) -> Tensor:
    """``(3, size, size)`` noise of unit variance whose amplitude falls as frequency^-exponent."""
    frequency = np.sqrt(np.fft.fftfreq(size)[:, None] ** 2 + np.fft.rfftfreq(size)[None] ** 2)
    frequency[0, 0] = 1 / size
    spectrum = rng.standard_normal((3, *frequency.shape)) + 1j * rng.standard_normal(
        (3, *frequency.shape)
    )
    noise = np.fft.irfft2(spectrum * frequency**-exponent, s=(size, size))
    noise /= noise.std() + 1e-8
    return torch.from_numpy(noise.astype(np.float32))


class Crops:
    """Endless batches of augmented crops ``(N, 3, size, size)``, made by background threads.

    ``sizes`` are (size, batch, probability); ``extra`` is a growing list of uint8 pictures
    ``(H, W, 3)`` (stylised ones), from which a share of the crops comes, as they are.
    """

    def __init__(
        self,
        pictures: Pictures,
        sizes: list[tuple[int, int, float]],
        seed: int,
        extra_share: float = 0.25,
    ) -> None:
        self.pictures, self.sizes, self.seed = pictures, sizes, seed
        self.extra: list[Tensor] = []
        self.extra_share = extra_share
        self.ready: queue.Queue[Tensor] = queue.Queue(maxsize=4)

    def batch(self, rng: np.random.Generator) -> Tensor:
        chances = np.array([s[2] for s in self.sizes])
        size, count, _ = self.sizes[int(rng.choice(len(chances), p=chances / chances.sum()))]
        crops = []
        for _ in range(count):
            if self.extra and rng.random() < self.extra_share:
                picture = self.extra[int(rng.integers(len(self.extra)))]
                crops.append(random_crop(picture, size, rng))
                continue
            picture = self.pictures[int(rng.integers(len(self.pictures)))]
            crop = random_crop(picture, size, rng)
            crops.append(disturb(recolour(crop, rng), rng))
        return torch.stack(crops).contiguous(memory_format=torch.channels_last)

    def _work(self, rng: np.random.Generator) -> None:
        while True:
            self.ready.put(self.batch(rng))

    def __iter__(self) -> Iterator[Tensor]:
        rng = np.random.default_rng(self.seed)
        threading.Thread(target=self._work, args=(rng,), daemon=True).start()
        while True:
            yield self.ready.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tars", nargs="+", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    build_cache(arguments.tars, arguments.cache)


if __name__ == "__main__":
    main()
