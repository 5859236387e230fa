"""Every setting of ``quick``, which paints in one forward pass.

Like :mod:`impasto.config.stylize`, this module does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from impasto.config.base import setting
from impasto.config.groups import (
    BlendConfig,
    ColorConfig,
    DeviceConfig,
    MasksConfig,
    PrecisionConfig,
    RegionsConfig,
    SubjectConfig,
)
from impasto.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

QuickQuality = Literal["draft", "standard"]

LARGEST = 2048
"""Long side in pixels up to which quick paints a photo in its own size by default: there the whole
command takes 10 s of one core, and 29 s at 4000."""


@dataclass(frozen=True)
class QuickConfig(
    PrecisionConfig, DeviceConfig, MasksConfig, BlendConfig, ColorConfig, SubjectConfig
):
    """All settings of :func:`impasto.quick`; names shared with :class:`StylizeConfig` mean
    the same there. Raises ConfigError (or UnknownNameError for a choice) as soon as one is out
    of range."""

    group = "Picture"

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
    protect: float = setting(
        0.35,
        "How much of the photo, in the painting's colours, the subject is given back, from 0",
        least=0,
        most=0.95,
    )
    style_scale: float = setting(
        1.0,
        "Size of the style picture against the content's, or against 384 pixels if that is less",
        least=0.05,
        most=10,
    )
    regions: tuple[str, ...] | None = setting(
        None, "Parts of the content: a map of colours, or a mask for each (rest: what they leave)"
    )
    coarsest: int | None = setting(
        256,
        "Long side in which a larger picture is painted first, then in each twice as large; 'none' "
        "paints it at once, with smaller strokes",
        least=64,
        most=16384,
    )
    tile: int = setting(1024, "Pixels a side that are painted at once", least=64, most=16384)

    def with_changes(self, **changes: Any) -> Self:
        """As :meth:`Settings.with_changes`. Old settings may name a ``backend`` (torch is accepted,
        another one a ConfigError) and a ``seed``, which were settings once."""
        changes.pop("seed", None)
        backend = changes.pop("backend", "torch")
        if backend not in ("auto", "torch"):
            raise ConfigError(
                f"backend is {backend!r}, and only torch computes quick",
                "leave it out; impasto export writes the network as a file for other runtimes",
            )
        return super().with_changes(**changes)

    @property
    def styles_and_regions(self) -> RegionsConfig:
        """How styles are blended and which goes where, as one group."""
        shared = (item.name for kind in (BlendConfig, MasksConfig) for item in fields(kind))
        return RegionsConfig(**{name: getattr(self, name) for name in shared})
