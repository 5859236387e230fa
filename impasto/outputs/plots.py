"""LOSSES -> PICTURE: plot the losses of a run.

The only importer of matplotlib, and only when a plot is asked for. Figures are made without
``pyplot``: no global state, no window.
"""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from impasto.errors import MissingDependencyError, UsageError
from impasto.image.files import check_folder, quoted, write_bytes

__all__ = ["check_plot_path", "plot_losses"]

KINDS = (".png", ".svg", ".pdf")

_INK = "#333333"
_FAINT = "#bbbbbb"


def check_plot_path(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise now what ``plot_losses`` would raise for this path after a long run.

    ``UsageError`` for an extension that is not known or a folder that is not there,
    ``OutputExistsError`` for a file that may not be replaced, ``MissingDependencyError`` without
    matplotlib.

    >>> check_plot_path("losses.bmp")
    Traceback (most recent call last):
        ...
    impasto.errors.UsageError: 'losses.bmp' is no plot that impasto writes; \
end it in .png, .svg, .pdf
    """
    if Path(path).suffix.lower() not in KINDS:
        raise UsageError(
            f"{quoted(path)} is no plot that impasto writes", f"end it in {', '.join(KINDS)}"
        )
    _import_matplotlib()
    check_folder(path, overwrite=overwrite)


def plot_losses(
    history: Sequence[Mapping[str, Any]],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    shares: Mapping[int, Mapping[str, float]] | None = None,
) -> Path:
    """Plot the losses of a run over its steps; return the path.

    Left the weighted terms and their sum, right the part of each style layer, both logarithmic;
    vertical lines mark where a pyramid level begins, with its size. ``history`` has one entry per
    step::

        {"step": 42, "level": 1, "size": (192, 256), "total": 3.1,
         "losses": {"content": 0.8, "style": 2.2, "tv": 0.1, "style.relu1_1": 0.4, ...}}

    where ``step`` counts through all levels and a name with a dot is a layer's part of a term.
    ``shares`` come from :mod:`impasto.optim.gradients`, after some of the steps: each part's share
    of the gradient norms, ``{42: {"content.relu4_2": 0.1, ...}}``; they get a panel of their own.
    The losses of a dream are negative: the negated ones are plotted on a linear scale. The
    extension of ``path`` chooses PNG, SVG or PDF. Raises what ``check_plot_path`` raises,
    ``UsageError`` for an empty history, ``ResourceError`` when the disk is full.
    """
    check_plot_path(path, overwrite=overwrite)
    if not history:
        raise UsageError("there are no losses to plot", "run at least one step")
    is_dream = history[-1]["total"] < 0
    if is_dream:
        history = [_negated(entry) for entry in history]
    names = list(dict.fromkeys(name for entry in history for name in entry["losses"]))
    terms = [name for name in names if "." not in name and _is_ever_positive(history, name)]
    layers = [name for name in names if name.startswith("style") and "." in name]

    matplotlib = _import_matplotlib()
    from matplotlib.figure import Figure

    panels = (2 if layers else 1) + bool(shares)
    figure = Figure(figsize=(5.6 * panels, 4.2), dpi=150, layout="constrained")
    left, *right = figure.subplots(1, panels, squeeze=False)[0]
    _draw_levels(left, history)
    _draw(left, history, "total", label="sum", color=_INK, linewidth=2)
    colors = itertools.cycle(matplotlib.color_sequences["tab10"])
    for name, color in zip(terms, colors, strict=False):
        _draw(left, history, name, label=name, color=color)
    if is_dream:
        _finish(left, "excitement", "linear")
    else:
        _finish(left, "losses, weighted")
    if shares:
        _draw_shares(right.pop(), shares, matplotlib)
    for axes in right:
        _draw_levels(axes, history)
        shades = matplotlib.colormaps["viridis"]  # shallow layers dark, deep ones bright
        for index, name in enumerate(layers):
            color = shades(0.9 * index / max(1, len(layers) - 1))
            _draw(axes, history, name, label=name.removeprefix("style").lstrip(".-"), color=color)
        _finish(axes, "style, by layer")

    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix[1:].lower())
    return write_bytes(path, buffer.getvalue(), overwrite=overwrite)


def _import_matplotlib() -> ModuleType:
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError("--plot", "plots") from None
    return matplotlib


def _value(entry: Mapping[str, Any], name: str) -> float:
    """The value, or NaN, which is not drawn, where a logarithmic axis cannot show it."""
    value = float(entry["total"] if name == "total" else entry["losses"].get(name, math.nan))
    return value if 0 < value < math.inf else math.nan


def _is_ever_positive(history: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(_value(entry, name) > 0 for entry in history)


def _draw(axes: Any, history: Sequence[Mapping[str, Any]], name: str, **look: Any) -> None:
    """Plot one curve, interrupted where a level begins: losses of two levels do not compare."""
    steps: list[float] = []
    values: list[float] = []
    for index, entry in enumerate(history):
        if index and entry["level"] != history[index - 1]["level"]:
            steps.append(entry["step"])
            values.append(math.nan)
        steps.append(entry["step"])
        values.append(_value(entry, name))
    # Without markers a level of a single step would be invisible.
    marker = "." if len(history) < 20 else None
    axes.plot(steps, values, marker=marker, **{"linewidth": 1.3, **look})


def _draw_levels(axes: Any, history: Sequence[Mapping[str, Any]]) -> None:
    previous = None
    for entry in history:
        if entry["level"] != previous:
            height, width = entry["size"]
            axes.axvline(entry["step"], color=_FAINT, linewidth=0.8, zorder=0)
            axes.annotate(
                f"{height}×{width}",
                (entry["step"], 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -3),
                textcoords="offset points",
                rotation=90,
                verticalalignment="top",
                fontsize=7,
                color="#777777",
            )
        previous = entry["level"]


def _draw_shares(axes: Any, shares: Mapping[int, Mapping[str, float]], matplotlib: Any) -> None:
    """Plot a bar for each explained step: style layers from dark to bright, the rest grey."""
    names = list(dict.fromkeys(name for found in shares.values() for name in found))
    names.sort(key=lambda name: not name.startswith("style"))  # at the bottom
    style = [name for name in names if name.startswith("style")]
    rest = names[len(style) :]
    bottom = [0.0] * len(shares)
    for name in names:
        group = style if name in style else rest
        place = group.index(name) / max(1, len(group) - 1)
        shade = matplotlib.colormaps["viridis" if group is style else "Greys"]
        color = shade(0.9 * place if group is style else 0.3 + 0.4 * place)
        heights = [100 * found.get(name, 0.0) for found in shares.values()]
        label = name.removeprefix("style").lstrip(".-")
        axes.bar([str(k) for k in shares], heights, 0.6, bottom, label=label, color=color)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    _finish(axes, "share of the gradients, %", "linear")
    axes.set_ylim(0, 100)
    axes.grid(visible=False)
    axes.set_xlabel("after step", color=_INK)


def _negated(entry: Mapping[str, Any]) -> dict[str, Any]:
    losses = {name: -value for name, value in entry["losses"].items()}
    return {**entry, "total": -entry["total"], "losses": losses}


def _finish(axes: Any, title: str, scale: str = "log") -> None:
    axes.set_yscale(scale)
    axes.margins(x=0.01)
    low, high = axes.get_ylim()
    # Room for the sizes of the levels above the curves.
    top = high * (high / low) ** 0.25 if scale == "log" else high + 0.25 * (high - low)
    axes.set_ylim(low, top)
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.set_xlabel("step", color=_INK)
    axes.tick_params(colors=_INK, labelsize=8)
    axes.grid(axis="y", which="major", color="#eeeeee", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=5,
        frameon=False,
        fontsize=8,
        handlelength=1.4,
        columnspacing=1.2,
    )
