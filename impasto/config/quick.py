"""Every setting of ``quick``, which paints in one forward pass.

Like :mod:`impasto.config.stylize`, this module does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from impasto.config.base import Settings, same_setting, setting
from impasto.config.stylize import ColorMatch, ColorMode, Precision, StylizeConfig
from impasto.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

QuickQuality = Literal["draft", "standard"]

LARGEST = 2048
"""Long side in pixels up to which quick paints a photo in its own size by default: there the whole
command takes 10 s of one core, and 29 s at 4000."""

SHARED_BY_QUICK = (
    *("blend", "color", "color_strength", "color_match"),
    *("regions", "region_styles", "region_strengths", "keep", "feather", "subject"),
)
"""Settings that ``quick`` shares with ``stylize``."""


@dataclass(frozen=True)
class QuickConfig(Settings):
    """All settings of :func:`impasto.quick`; names shared with :class:`StylizeConfig` mean
    the same there."""

    size: int | Literal["auto"] | None = setting(
        "auto",
        f"Long side of the picture in pixels; 'auto' is the content's own, at most {LARGEST}, and "
        "'none' the content's own however large",
        least=16,
        most=16384,
    )
    quality: QuickQuality = setting(
        "standard",
        "'draft' paints in half of the size and enlarges that: a third of the time, smoother "
        "strokes",
    )
    strength: float = setting(1.0, "How much style, from 0 (the content) to 1", least=0, most=1)
    subject: str = same_setting(StylizeConfig, "subject")
    protect: float = setting(
        0.35,
        "How much of the photo, in the painting's colours, the subject is given back, from 0",
        least=0,
        most=0.95,
    )
    blend: tuple[float, ...] | None = same_setting(StylizeConfig, "blend")
    style_scale: float = setting(
        1.0,
        "Size of the style picture against the content's, or against 384 pixels if that is less",
        least=0.05,
        most=10,
    )
    color: ColorMode = same_setting(StylizeConfig, "color")
    color_strength: float = same_setting(StylizeConfig, "color_strength")
    color_match: ColorMatch = same_setting(StylizeConfig, "color_match")
    regions: tuple[str, ...] | None = setting(
        None, "Parts of the content: a map of colours, or a mask for each (rest: what they leave)"
    )
    region_styles: tuple[str, ...] | None = same_setting(StylizeConfig, "region_styles")
    region_strengths: tuple[float, ...] | None = same_setting(StylizeConfig, "region_strengths")
    keep: str | None = same_setting(StylizeConfig, "keep")
    feather: float = same_setting(StylizeConfig, "feather")
    coarsest: int | None = setting(
        256,
        "Long side in which a larger picture is painted first, then in each twice as large; 'none' "
        "paints it at once, with smaller strokes",
        least=64,
        most=16384,
    )
    seed: int = setting(0, "Seed of swatches", least=0, most=2**63 - 1)
    device: str = setting("auto", "auto, cpu, cuda, mps")
    precision: Precision = setting("auto", "Arithmetic of the network; statistics are float32")
    tile: int = setting(1024, "Pixels a side that are painted at once", least=64, most=16384)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.for_pictures()

    def with_changes(self, **changes: Any) -> Self:
        """As :meth:`Settings.with_changes`. Old settings may name a ``backend``, which was a
        setting once: torch is accepted, another one is a ConfigError."""
        backend = changes.pop("backend", "torch")
        if backend not in ("auto", "torch"):
            raise ConfigError(
                f"backend is {backend!r}, and only torch computes quick",
                "leave it out; impasto export writes the network as a file for other runtimes",
            )
        return super().with_changes(**changes)

    def for_pictures(self) -> StylizeConfig:
        """The colour, blend and region settings as a StylizeConfig.

        Raises ConfigError for what that refuses.
        """
        return StylizeConfig(**{name: getattr(self, name) for name in SHARED_BY_QUICK})
