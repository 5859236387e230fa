"""What quick learns from: crops of photos, and of paintings and swatches that are their styles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from data import Crops, Pictures, random_crop, recolour
from swatches import PAINTERS, paint
from torch import Tensor

from impasto.image.io import resize

LARGE = 224  # pixels a side from which on a crop is large


def only(pictures: Pictures, cache: Path, folders: tuple[str, ...], held_out: bool) -> Pictures:
    """Those of ``pictures`` whose names begin with one of ``folders``."""
    names = (cache / "names.txt").read_text().split("\n")
    kept = [n for i, n in enumerate(names) if (i % 50 == 0) == held_out]
    pictures.index = pictures.index[[n.split("/")[0] in folders for n in kept]]
    return pictures


class Colourful(Crops):
    """Crops without noise or blur, hardly enlarged; colours change in a quarter of them."""

    def batch(self, rng: np.random.Generator) -> Tensor:
        size, count, _ = self.sizes[0]
        crops = []
        for _ in range(count):
            source = self.extra if rng.random() < self.extra_share else self.pictures
            picture = source[int(rng.integers(len(source)))]
            for _ in range(8):  # enlarged pictures are smoother than what it will paint
                if min(picture.shape[:2]) >= 0.8 * size:
                    break
                picture = source[int(rng.integers(len(source)))]
            least = min(*picture.shape[:2], round(size * 0.8))
            crop = random_crop(picture, 2 * least, rng)  # no window is smaller than half of that
            crop = resize(crop[None], (size, size))[0]
            crops.append(recolour(crop, rng) if rng.random() < 0.25 else crop)
        return torch.stack(crops).contiguous(memory_format=torch.channels_last)


class Pairs(Crops):
    """Endless pairs of batches: contents, and as many styles (half as large again).

    ``sizes`` are (size, batch, chance) of the contents. Those of all ``rank``s are the same, and
    the styles', too, so that none waits for another. The share ``small_styles`` of the styles' is
    smaller than LARGE.
    """

    def __init__(
        self,
        cache: Path,
        sizes: list[tuple[int, int, float]],
        seed: int,
        rank: int,
        small_styles: float,
    ) -> None:
        photos = only(Pictures(cache), cache, ("caltech101", "imagenet", "bsds500", "coco"), False)
        paintings = Pictures(cache)
        names = {n.split("/")[0] for n in (cache / "names.txt").read_text().split("\n")}
        art = tuple(names - {"caltech101", "imagenet", "bsds500", "coco"})
        only(paintings, cache, art, False)
        super().__init__(photos, sizes, seed + 100_000 * rank)
        self.small_styles = small_styles
        self.alike = np.random.default_rng(seed)
        self.contents = Colourful(photos, [], seed, extra_share=0.15)
        self.styles = Colourful(paintings, [], seed, extra_share=0.3)
        self.contents.extra = paintings  # type: ignore[assignment]
        self.styles.extra = [
            torch.from_numpy(paint(name, 320, seed)) for name in PAINTERS for seed in range(4)
        ]
        print(f"{len(photos)} photos, {len(paintings)} paintings", flush=True)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        chances = np.array([s[2] for s in self.sizes])
        size, count, _ = self.sizes[int(self.alike.choice(len(chances), p=chances / chances.sum()))]
        self.contents.sizes = [(size, count, 1.0)]
        # Most paintings are small, and what is enlarged is smoother than what it shall teach.
        least, most = (128, 216) if self.alike.random() < self.small_styles else (LARGE, 320)
        self.styles.sizes = [(8 * int(self.alike.integers(least // 8, most // 8 + 1)), count, 1.0)]
        return self.contents.batch(rng), self.styles.batch(rng)
