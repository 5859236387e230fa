"""TWO FRAMES -> MOTION: dense optical flow, where it can be trusted, pictures carried along it.

The flow is OpenCV's DIS (Kroeger et al. 2016, "Fast optical flow using dense inverse search"), both
ways. What is trusted follows Ruder, Dosovitskiy & Brox (2016, "Artistic style transfer for videos",
eq. 5 and 6), made soft. The only importer of OpenCV.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import MissingDependencyError
from impasto.image.io import resize, size_to_fit

FLOW_SIZE = 512
"""Long side in pixels at which flow is computed, at most; it is resized to the picture's size."""

SMOOTH = 2  # pixels to each side over which flow is averaged
SMALLEST = 32  # pixels: DIS needs some room for its pyramid

# A pixel is trusted half where its way there and back ends so far from where it began: a share of
# the squared lengths of both ways, and squared pixels (Sundaram et al. 2010, eq. 5 of Ruder et al.)
CONSISTENCY, CONSISTENCY_PIXELS = 0.01, 0.5
# Where the flow changes so much from pixel to pixel, things move past each other (eq. 6).
BOUNDARY, BOUNDARY_PIXELS = 0.01, 0.02
# A difference of colours, in units of the range, at which what is carried is trusted by 1 / e.
AGREEMENT = 0.12
# Pixels beyond the border that a flow may lead to. Half a pixel in each of many frames, and the
# border would be drawn out into stripes.
SLACK = 0.1


class Motion(NamedTuple):
    """Where the pixels of one frame were in an earlier one.

    ``flow`` ``(1, 2, H, W)`` in pixels, x then y, leads from each pixel to its place in the earlier
    frame; ``trust`` ``(1, 1, H, W)`` in [0, 1] says how far that can be relied on.
    """

    flow: Tensor
    trust: Tensor


def import_cv2() -> ModuleType:
    """OpenCV. Raises MissingDependencyError."""
    try:
        return importlib.import_module("cv2")  # whose stubs only some versions have
    except ImportError:
        raise MissingDependencyError("optical flow", "video") from None


@torch.no_grad()
def motion(now: Tensor, before: Tensor, guess: Tensor | None = None) -> Motion:
    """The motion from ``now`` back to ``before``, frames ``(1, 3, H, W)`` in [0, 1] of one size.

    ``guess`` is a flow ``(1, 2, H, W)`` to begin with, for frames that lie far apart.
    """
    height, width = now.shape[-2:]
    small = _flow_size(height, width)
    a, b = _grey(resize(now, small)), _grey(resize(before, small))
    back = _dis(a, b, None if guess is None else resize_flow(guess, small))
    forth = _dis(b, a, None)
    flow = resize_flow(back, (height, width))
    trust = _consistency(back, forth)
    trust = F.interpolate(trust, (height, width), mode="bilinear", align_corners=False)
    trust = trust * agreement(now, warp(before, flow)) * _inside(flow)
    return Motion(flow, trust.clamp(0, 1))


@torch.no_grad()
def warp(image: Tensor, flow: Tensor, mode: str = "bicubic") -> Tensor:
    """``image`` ``(1, C, H, W)`` of the earlier frame, carried along ``flow`` ``(1, 2, H, W)``.

    What comes from beyond the border repeats it. The range of the image is kept.
    """
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([x, y]).to(flow)[None] + flow  # (1, 2, H, W) in pixels
    scale = torch.tensor([width, height]).to(flow).view(1, 2, 1, 1)
    grid = ((2 * grid + 1) / scale - 1).permute(0, 2, 3, 1)
    found = F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=False)
    return found.clamp(0, 1)


def compose(first: Tensor, then: Tensor) -> Tensor:
    """The flow that goes the way of ``first`` and then that of ``then``, both ``(1, 2, H, W)``."""
    height, width = first.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([x, y]).to(first)[None] + first
    scale = torch.tensor([width, height]).to(first).view(1, 2, 1, 1)
    grid = ((2 * grid + 1) / scale - 1).permute(0, 2, 3, 1)
    return first + F.grid_sample(then, grid, padding_mode="border", align_corners=False)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow ``(1, 2, h, w)`` at another size, its lengths in pixels of that size."""
    height, width = flow.shape[-2:]
    if (height, width) == tuple(size):
        return flow
    larger = F.interpolate(flow, size, mode="bilinear", align_corners=False)
    return larger * torch.tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1).to(flow)


def agreement(now: Tensor, carried: Tensor) -> Tensor:
    """How far the colours of two frames agree ``(1, 1, H, W)``: 1 where they are the same.

    Over 3 x 3 pixels, so that noise does not count for a change.
    """
    difference = F.avg_pool2d(F.pad(now - carried, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (-(difference.square().mean(1, keepdim=True) / AGREEMENT**2)).exp()


def _flow_size(height: int, width: int) -> tuple[int, int]:
    size = size_to_fit(height, width, min(FLOW_SIZE, max(height, width)))
    return max(SMALLEST, size[0]), max(SMALLEST, size[1])


def _grey(image: Tensor) -> Any:
    weights = image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = (image * weights).sum(1)[0].mul(255).round().clamp(0, 255)
    return np.ascontiguousarray(grey.cpu().numpy().astype(np.uint8))


def _dis(a: Any, b: Any, guess: Tensor | None) -> Tensor:
    cv2 = import_cv2()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the same flow on every machine, and cores are for the network
    try:
        solver = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        # The preset stops at half of the size. On Sintel at 512 pixels, the last step takes the
        # error from 0.77 pixels to 0.48.
        solver.setFinestScale(0)
        start = None
        if guess is not None:
            start = np.ascontiguousarray(guess[0].permute(1, 2, 0).cpu().numpy())
        flow = solver.calc(a, b, start)
    finally:
        cv2.setNumThreads(before)
    found = torch.from_numpy(flow).permute(2, 0, 1)[None].contiguous()
    # Neighbours that disagree by a fraction of a pixel would tear strokes into specks.
    return F.avg_pool2d(F.pad(found, (SMOOTH,) * 4, mode="replicate"), 2 * SMOOTH + 1, stride=1)


def _consistency(back: Tensor, forth: Tensor) -> Tensor:
    """How far the way there and back ends where it began, and nothing moves past another thing."""
    returned = compose(back, forth)
    length = back.square().sum(1, keepdim=True) + (returned - back).square().sum(1, keepdim=True)
    error = returned.square().sum(1, keepdim=True)
    consistent = 1 / (1 + (error / (CONSISTENCY * length + CONSISTENCY_PIXELS)).square())
    padded = F.pad(back, (0, 1, 0, 1), mode="replicate")
    dx = padded[..., :-1, 1:] - back
    dy = padded[..., 1:, :-1] - back
    change = (dx.square() + dy.square()).sum(1, keepdim=True)
    own = back.square().sum(1, keepdim=True)
    smooth = 1 / (1 + (change / (BOUNDARY * own + BOUNDARY_PIXELS)).square())
    return consistent * smooth


def _inside(flow: Tensor) -> Tensor:
    """1 where the flow leads to a place inside of the picture, 0 elsewhere ``(1, 1, H, W)``."""
    height, width = flow.shape[-2:]
    x = torch.arange(width).to(flow) + flow[:, 0]
    y = torch.arange(height).to(flow).view(-1, 1) + flow[:, 1]
    inside = (x >= -SLACK) & (x <= width - 1 + SLACK) & (y >= -SLACK) & (y <= height - 1 + SLACK)
    return inside.to(flow)[:, None]
