"""What of the frames painted before is carried to the next one, and how far it can be trusted.

Two sources, and why there are two: the frame before gives smoothness from frame to frame, but after
ten of its flows, each a little wrong, paint has slid off the things that it belongs to. An anchor,
some frames back, is reached by one flow (begun with those from frame to frame, composed), so it
does not slide; taken alone, the errors of its flow would be seen as jitter. So the frame before is
carried in full and pulled a little towards the anchor.Ruder et al. (2016, eq. 9) have several
earlier frames for the same end, each where no nearer one can tell; measured here, that left the
drift over ten frames as it was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from impasto.video.flow import Motion, compose, motion, warp

ANCHOR_EVERY = 8
"""Frames after which the anchor is renewed."""
PULL = 0.3
"""Share by which what is carried from the frame before is pulled towards the anchor."""
# Trust below the first is none, above the second full.
LEAST_TRUST, FULL_TRUST = 0.1, 0.7


class Carried(NamedTuple):
    """A ``picture`` ``(1, 3, H, W)`` as the frames before foresee it, and the ``trust``
    ``(1, 1, H, W)`` in [0, 1] that it deserves; ``flow`` leads to the frame before."""

    picture: Tensor
    trust: Tensor
    flow: Tensor


class _Anchor:
    """A painted frame that others are carried from: its photo, its painting, the flow back to it.

    ``flow`` None: it is the frame before. One that is ``fixed`` is a key, and never renewed.
    """

    def __init__(
        self,
        photo: Tensor,
        painting: Tensor,
        flow: Tensor | None = None,
        age: int = 0,
        fixed: bool = False,
    ) -> None:
        self.photo, self.painting, self.flow = photo, painting, flow
        self.age, self.fixed = age, fixed

    def motion(self, now: Tensor, step: Motion) -> Motion:
        """The motion from ``now`` to the anchor, where ``step`` leads to the frame before."""
        self.age += 1
        if self.flow is None:
            self.flow = step.flow
            return step
        found = motion(now, self.photo, compose(step.flow, self.flow))
        self.flow = found.flow
        return found

    def state(self) -> dict[str, Any]:
        return {
            "photo": self.photo,
            "painting": self.painting,
            "flow": self.flow,
            "age": self.age,
            "fixed": self.fixed,
        }


class Memory:
    """What is known of the shot so far: its last frame, its anchors.

    ``cuts`` is the share of a frame that must be found in the one before; below it, a new shot
    begins, and nothing is carried.
    """

    def __init__(self, cuts: float) -> None:
        self.cuts = cuts
        self.photo: Tensor | None = None
        self.painting: Tensor | None = None
        self.anchors: list[_Anchor] = []

    def carry(self, now: Tensor) -> Carried | None:
        """The painting of the frame ``now`` ``(1, 3, H, W)`` as far as it is known already; None at
        the first frame of a shot."""
        if self.photo is None or self.painting is None:
            return None
        step = motion(now, self.photo)
        if is_cut(step, self.cuts):
            self.forget()
            return None
        picture, trust = warp(self.painting, step.flow), confident(step.trust)
        for anchor in self.anchors:
            found = anchor.motion(now, step)
            share = confident(found.trust)
            pulled = torch.lerp(picture, warp(anchor.painting, found.flow), PULL * share)
            # Where the frame before cannot tell and the anchor can, it is the anchor alone.
            alone = (share - trust).clamp_min(0)
            picture = torch.lerp(pulled, warp(anchor.painting, found.flow), alone)
            trust = torch.maximum(trust, share)
        return Carried(picture, trust, step.flow)

    def remember(self, photo: Tensor, painting: Tensor) -> None:
        """Take note of a frame and its painting, both ``(1, 3, H, W)``."""
        self.photo, self.painting = photo, painting
        moving = [anchor for anchor in self.anchors if not anchor.fixed]
        if not moving or moving[0].age >= ANCHOR_EVERY:
            fixed = [anchor for anchor in self.anchors if anchor.fixed]
            self.anchors = [_Anchor(photo, painting), *fixed]

    def add_key(self, photo: Tensor, painting: Tensor) -> None:
        """From this frame on, its painting is an anchor for good: a key, in the place of others."""
        self.photo, self.painting = photo, painting
        self.anchors = [_Anchor(photo, painting, fixed=True)]

    def forget(self) -> None:
        """A new shot begins."""
        self.photo = self.painting = None
        self.anchors = []

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors, numbers and lists."""
        return {
            "photo": self.photo,
            "painting": self.painting,
            "anchors": [anchor.state() for anchor in self.anchors],
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        self.photo, self.painting = saved["photo"], saved["painting"]
        self.anchors = [_Anchor(**anchor) for anchor in saved["anchors"]]


def is_cut(step: Motion, cuts: float) -> bool:
    """Whether a shot begins: less than a share ``cuts`` of a frame is found in the one before."""
    return float(step.trust.mean()) < cuts


def confident(trust: Tensor) -> Tensor:
    """Trust with its doubts settled: none below a tenth, full above seven.

    >>> confident(torch.tensor([0.05, 0.4, 0.9])).tolist()
    [0.0, 0.5, 1.0]
    """
    return ((trust - LEAST_TRUST) / (FULL_TRUST - LEAST_TRUST)).clamp(0, 1)
