"""The card of a trained network: what it is, how it was made, how well it does, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from impasto.config.train import TrainConfig

TEXT = """\
# {folder}

A network that paints any photo in one style, made by impasto {impasto}.

![Photos that it did not learn from, and what it makes of them](preview.png)

    impasto quick PHOTO --model {folder} -o out.png

    import impasto
    impasto.quick("photo.jpg", model="{folder}").save("out.png")

## What it is

- **Style**: {style}
- **Network**: {parameters:,} numbers in `model.safetensors`; input and output are `(N, 3, H, W)`,
  sRGB in [0, 1]. Johnson et al. (2016) with instance norm and residual up-sampling.
- **Licence**: unknown. It was learned from the style and the photos below; whether it may be passed
  on depends on what their owners allow.

## How it was made

- **Photos**: {learned} from the folder `{photos}` to learn from, {held_out} held out, {skipped}
  left out because they could not be read.
- **Training**: {steps:,} steps in {minutes:.1f} minutes on {machine}; {ended}.
- **Encoder** whose losses it learned from: {encoder}.
- **Settings** that differ from the defaults: {changes}.

## How well it does

Weighted losses on the photos held out, 0 being the goal itself and, for each style layer, 1 as far
as an empty picture:

{table}

The network in this folder is {which}.
"""


def card(metadata: Mapping[str, Any], folder: str) -> str:
    """The card in Markdown, from the ``metadata`` of a training and the name of its folder."""
    photos, machine = metadata["photos"], metadata["machine"]
    changes = TrainConfig.from_dict(metadata["config"]).changes()
    return TEXT.format(
        folder=folder,
        impasto=metadata["impasto"],
        style=_style(metadata["style"]),
        parameters=metadata["parameters"],
        learned=photos["learned from"],
        photos=photos["folder"],
        held_out=photos["held out"],
        skipped=photos["skipped"],
        steps=metadata["steps"],
        minutes=metadata["seconds"] / 60,
        machine=f"{machine['threads']} threads ({machine['device']}, {machine['dtype']})",
        ended=metadata["ended"],
        encoder=metadata["encoder"]["name"],
        changes=", ".join(f"`{name}` = {value}" for name, value in changes.items()) or "none",
        table=table(metadata["validations"]),
        which=_which(metadata),
    )


def table(validations: list[dict[str, Any]]) -> str:
    """The validations as a Markdown table.

    >>> print(table([{"step": 5, "total": 0.25, "losses": {"content": 0.05, "style": 0.2}}]))
    | step | total | content | style |
    | --- | --- | --- | --- |
    | 5 | 0.2500 | 0.0500 | 0.2000 |
    """
    if not validations:
        return "It was stopped before the first validation."
    names = list(validations[0]["losses"])
    rows = [["step", "total", *names], ["---"] * (len(names) + 2)]
    for found in validations:
        figures = [found["total"], *(found["losses"][name] for name in names)]
        rows.append([str(found["step"]), *(f"{figure:.4f}" for figure in figures)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _style(style: Mapping[str, Any]) -> str:
    name = f"swatch {style['swatch']}" if "swatch" in style else str(style.get("path", "a picture"))
    return f"{name} (SHA-256 `{style['sha256']}`)"


def _which(metadata: Mapping[str, Any]) -> str:
    """Says which of the validated networks was kept."""
    if metadata["ended"] == "it was stopped" or not metadata["validations"]:
        return "the one at the last step"
    best = min(metadata["validations"], key=lambda found: float(found["total"]))
    return f"the one at step {best['step']}, the best of these"
