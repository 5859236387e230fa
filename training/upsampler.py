"""Train quick's upsampler: from a painting at half of the photo's size to all of it.

    IMPASTO_WEIGHTS=FOLDER python training/upsampler.py train --cache CACHE --run RUN --minutes 60
    python training/upsampler.py export --run RUN --out impasto/assets/enlarger.safetensors

The decoder is the one that ships, frozen. It paints crops in half of their size, in the style of
crops in half of theirs; the upsampler makes of that a picture of their size, which is judged as
quick's pictures are, by the loss of ``training/quick.py``. All there is said of the schedule and of
several processes goes for this, too.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import torch
from pairs import Pairs
from quick import Trainer, command_line
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import transfer_style
from impasto.arbitrary.network import load_quick
from impasto.arbitrary.upsampler import FACTOR, Upsampler, noise_for
from impasto.encoders import Encoder


class UpsamplerTrainer(Trainer):
    """Learns to enlarge; it paints with what ships."""

    def __init__(self, content: float) -> None:
        super().__init__(content)
        self.phases = [(0.0, [(192, 2, 0.25), (256, 1, 0.40), (320, 1, 0.35)], 1.0)]
        self.twice, self.afar = 0.3, 0.0
        self.small_styles = 0.2  # half of a small crop says little
        self.shipped = load_quick()
        self.decoder.load_state_dict(self.shipped.decoder.state_dict())
        self.decoder.requires_grad_(False)
        self.network = Upsampler().to(memory_format=torch.channels_last)
        self.average = deepcopy(self.network)

    def go_on_from(self, weights: Path) -> None:
        for network in (self.network, self.average):
            network.load_state_dict({n: t.float() for n, t in load_file(weights).items()})

    def calibrate(self, pairs: Pairs, batches: int = 30) -> None:
        """Nothing to do: pixels go in."""

    def attempt(self, contents: Tensor, styles: Tensor, itself: bool, twice: bool) -> Tensor:
        small, styles = (F.avg_pool2d(x, FACTOR) for x in (contents, styles))
        with torch.no_grad():
            painting, after = self.painting(small, styles, itself, twice)
            painting = painting.clamp(0, 1)
            code = self.decoder.style_code(after)
            origin = (int(torch.randint(2048, ())), int(torch.randint(2048, ())))
            noise = noise_for(self.decoder, painting, origin)
        given = (painting, contents, code, noise)
        enlarged = [
            self.network(*(x[k : k + 1] for x in given), torch.bfloat16)
            for k in range(len(contents))
        ]
        return torch.cat(enlarged)

    def paint(self, content: Tensor, style: Tensor, encoder: Encoder) -> Tensor:
        average = self.average
        assert isinstance(average, Upsampler)
        network, styles = FusedQuick(self.shipped), [F.avg_pool2d(style, FACTOR)]
        return transfer_style(network, content, styles, upsampler=average)


def export(run: Path, out: Path) -> None:
    """Write what ships: the averaged weights in float16."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    tensors = {name: tensor.half().contiguous() for name, tensor in saved["average"].items()}
    told = {"architecture": "enlarger", "steps": str(saved["step"]), "licence": "MIT"}
    save_file(tensors, str(out), told)
    print(json.dumps({"bytes": out.stat().st_size, "steps": saved["step"]}))


if __name__ == "__main__":
    command_line(__doc__, UpsamplerTrainer, export, minutes=60, rate=2e-3, content=0.13)
