"""The keywords of the functions that take settings; nothing is imported at run time."""

# Written by docs/make_settings.py; change the dataclasses, not this file.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict


class StylizeKeywords(TypedDict, total=False):
    """Fields of :class:`impasto.StylizeConfig`."""

    size: int | None
    strength: float
    strength_mode: Literal["limit", "weight"]
    seed: int
    subject: Any
    protect: float
    color: Literal["style", "keep", "match", "only"]
    color_strength: float
    color_match: Literal["covariance", "histogram"]
    wrap: Literal["off", "horizontal", "both"]
    aspect: float
    encoder: Any
    flavour: Literal["caffe", "torchvision", "normalised"] | None
    pooling: Literal["max", "average", "l2"]
    padding: Literal["zero", "reflect", "replicate"]
    content_layers: str | Sequence[str]
    content_weights: float | Sequence[float] | None
    style_layers: str | Sequence[str]
    style_weights: float | Sequence[float] | None
    content_loss: Any
    style_loss: Any
    balance: Literal["off", "style"]
    content_form: Literal["relative", "mean", "gatys"]
    style_form: Literal["relative", "mean", "gatys"]
    content_weight: float
    style_weight: float
    tv_weight: float
    dream: str | Sequence[str] | None
    blend: float | Sequence[float] | None
    style_scale: float | Sequence[float]
    layers_per_style: str | Sequence[str] | None
    regions: Any
    region_styles: str | Sequence[str] | None
    region_strengths: float | Sequence[float] | None
    keep: Any
    feather: float
    region_count: int
    region_scales: float | Sequence[float] | None
    region_colors: str | Sequence[str] | None
    style_regions: Any
    guidance: Literal["inside", "effective", "simple"]
    optimizer: Literal["adam", "lbfgs"]
    quality: Literal["draft", "standard", "best"]
    steps: int | Sequence[int] | None
    ratio: float
    coarsest: int | None
    learning_rate: float
    average: float
    detail: float
    init: str
    device: str
    tile: int | None
    max_memory: float | None
    precision: Literal["auto", "float32", "bfloat16", "exact"]


class QuickKeywords(TypedDict, total=False):
    """Fields of :class:`impasto.QuickConfig`."""

    subject: Any
    protect: float
    color: Literal["style", "keep", "match", "only"]
    color_strength: float
    color_match: Literal["covariance", "histogram"]
    blend: float | Sequence[float] | None
    regions: Any
    region_styles: str | Sequence[str] | None
    region_strengths: float | Sequence[float] | None
    keep: Any
    feather: float
    device: str
    precision: Literal["auto", "float32", "bfloat16"]
    size: int | Literal["auto"] | None
    quality: Literal["draft", "standard"]
    strength: float
    style_scale: float
    coarsest: int | None
    tile: int


class TrainKeywords(TypedDict, total=False):
    """Fields of :class:`impasto.TrainConfig`."""

    device: str
    minutes: float
    steps: int | None
    strength: float
    style_size: int
    crop: int
    seed: int
    width: int
    blocks: int
    encoder: Any
    content_layers: str | Sequence[str]
    style_layers: str | Sequence[str]
    style_loss: Any
    content_weight: float
    style_weight: float
    tv_weight: float
    batch: int
    learning_rate: float
    average: float
    validate_every: int
    patience: int
    precision: Literal["auto", "float32", "bfloat16"]
    photo_memory: float


class DreamKeywords(TypedDict, total=False):
    """Fields of :class:`impasto.DreamConfig`."""

    encoder: Any
    flavour: Literal["caffe", "torchvision", "normalised"] | None
    pooling: Literal["max", "average", "l2"]
    padding: Literal["zero", "reflect", "replicate"]
    device: str
    tile: int | None
    max_memory: float | None
    precision: Literal["auto", "float32", "bfloat16"]
    size: int | None
    layers: str | Sequence[str] | None
    seed: int
    octaves: int
    octave_scale: float
    steps: int
    step_size: float
    jitter: int
    smoothing: Literal["laplacian", "fourier", "none"]
    colors: Literal["dream", "original"]
    zoom: float
    rotate: float
    frames: int
    frame_steps: int


class LookKeywords(TypedDict, total=False):
    """Fields of :class:`impasto.LookConfig`."""

    encoder: Any
    flavour: Literal["caffe", "torchvision", "normalised"] | None
    pooling: Literal["max", "average", "l2"]
    padding: Literal["zero", "reflect", "replicate"]
    device: str
    precision: Literal["auto", "float32", "bfloat16"]
    show: Literal["features", "gram", "reconstructions", "where", "channels", "subject"]
    layers: str | Sequence[str]
    channels: str | Sequence[str] | None
    count: int
    size: int
    cell: int
    steps: int
    learning_rate: float
    seed: int
