"""Every setting of ``stylize_video`` that is none of a single picture's.

Like :mod:`impasto.config.stylize`, this module does not load torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from impasto.config.base import Settings, setting, type_hints
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.errors import UnknownNameError

Engine = Literal["quick", "optimised"]

ENGINES: dict[str, type[QuickConfig] | type[StylizeConfig]] = {
    "quick": QuickConfig,
    "optimised": StylizeConfig,
}
"""Engine -> the settings of its pictures."""


def engine_config(
    engine: str, names: Iterable[str] = ()
) -> type[QuickConfig] | type[StylizeConfig]:
    """The settings of an engine's pictures, which must have all of ``names``.

    Raises UnknownNameError for an engine or a setting that there is not.
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    known = type_hints(ENGINES[engine])
    if unknown := next((name for name in names if name not in known), None):
        raise UnknownNameError(f"setting of the engine {engine}", unknown, sorted(known))
    return ENGINES[engine]


@dataclass(frozen=True)
class VideoConfig(Settings):
    """The settings of a clip: which engine paints, which part, how steadily.

    >>> VideoConfig(steadiness=2)
    Traceback (most recent call last):
        ...
    impasto.errors.ConfigError: steadiness is 2.0; use a number from 0 to 1
    """

    group = "Video"

    engine: Engine = setting(
        "quick",
        "How frames are painted: quick, each in one pass; optimised, each in a few steps that "
        "begin with the frame before",
    )
    steadiness: float = setting(
        1.0,
        "How much of the frames before is carried on where the motion can be trusted, from 0 (each "
        "frame for itself) to 1",
        least=0,
        most=1,
    )
    temporal_weight: float = setting(
        400.0, "Optimised only: weight of staying with the frames before", least=0
    )
    frame_steps: int = setting(
        8, "Optimised only: steps of each frame but the first of a shot", least=1, most=10000
    )
    start: float = setting(0.0, "Seconds of the clip that are left out at its beginning", least=0)
    duration: float | None = setting(
        None, "Seconds of the clip that are painted (default: all of it)", least=0.001
    )
    every: int = setting(1, "Paint every so manieth frame and leave out the others", least=1)
    fps: float = setting(
        24.0, "Frames per second of numbered pictures, which say nothing of it", least=0.1, most=240
    )
    cuts: float = setting(
        0.35,
        "A new shot begins where less than this share of a frame can be found in the one before; "
        "0 finds no cuts",
        least=0,
        most=1,
    )
    segment: int = setting(
        24, "Frames that are kept together on disk: a kill loses no more", least=1, most=10000
    )
