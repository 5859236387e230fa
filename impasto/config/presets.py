"""Named settings, and settings in TOML files.

Each preset is a plain :class:`impasto.StylizeConfig`; where its numbers come from stands beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from impasto.config.stylize import StylizeConfig
from impasto.errors import ConfigError, InputError, UnknownNameError, UsageError
from impasto.image.files import expanded, quoted, read_text, write_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 65_536
"""Bytes of a file of settings, at most."""

MOST_DOTS = 1000  # in a line: a key of many parts takes tomllib the square of their number

_STAGES = tuple(range(1, 6))
# The papers weigh the content, and all of it alike.
_PAPER: dict[str, Any] = {"strength_mode": "weight", "subject": "off"}

# Gatys, Ecker & Bethge (2016), section 2: content from conv4_2, style from conv1_1 to conv5_1 with
# weights 1/5, L-BFGS. As in their released code, and in everybody's since: the ReLUs are read, max
# pooling is kept, and the picture starts from the content rather than from noise.
_GATYS = StylizeConfig(
    encoder="vgg19",
    padding="zero",
    **_PAPER,
    content_layers=("relu4_2",),
    style_layers=tuple(f"relu{n}_1" for n in _STAGES),
    style_weights=(0.2, 0.2, 0.2, 0.2, 0.2),
    style_loss=("gram",),
    content_form="gatys",
    style_form="gatys",
    # The paper's alpha/beta, 1e-3 or 1e-4, belong to a network scaled to a mean activation of one.
    # On the original VGG-19 relu4_1 outweighs the other style layers; there their released code
    # (weights 1 and 1e3/N^2 on means) comes to alpha/beta = 1e-5 in these units. 1e-4 keeps more
    # of the subject.
    content_weight=1e-2,
    style_weight=1e2,
    tv_weight=0.0,
    optimizer="lbfgs",
    steps=(500,),
    average=0.0,
    precision="float32",
)

PRESETS: dict[str, StylizeConfig] = {
    "default": StylizeConfig(),
    "gatys2016": _GATYS,
    "gatys2016-vgg16": _GATYS.with_changes(encoder="vgg16"),
    # Gatys et al. (2017), section 6, with the numbers of their released notebook: 500 iterations at
    # 512 pixels, then 200 at 1024 from the enlarged result.
    "gatys2017-highres": _GATYS.with_changes(size=1024, steps=(500, 200), ratio=2.0),
    # Crowson, style-transfer-pytorch (2021), her defaults: sizes a factor sqrt(2) apart from 128 to
    # 512, 1000 iterations and then 500 each, Wasserstein-2 on relu1_1 to relu5_1 with weights
    # 256:64:16:4:1, content 0.015, TV 2, Adam 0.02, iterates averaged with 0.99.
    "crowson": StylizeConfig(
        **_PAPER,
        encoder="vgg19",
        flavour="torchvision",
        content_layers=("relu4_2",),
        style_weights=tuple(4.0 ** (4 - n) / 341 for n in range(5)),
        style_loss=("wasserstein",),
        content_form="mean",
        style_form="mean",
        content_weight=0.015,
        tv_weight=2.0,
        steps=(1000, 500, 500, 500, 500),
        ratio=2**0.5,
        learning_rate=0.02,
        average=0.99,
    ),
    # Kolkin et al. (2022): VGG-16 up to its fourth stage, no content loss, four
    # sizes from 64 to 512 with 200 steps each. Theirs matches vectors that join all layers and then
    # colours; here layers are matched one by one, as in their last pass, and mean-std, which they
    # have not, sees to the colours.
    "nnst": StylizeConfig(
        **_PAPER,
        encoder="vgg16",
        # Ours: with next to none, patches that are matched anew at each step lose the subject.
        content_weight=0.06,
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
        style_loss=("patches", "mean-std=0.5"),
        tv_weight=0.0,
        average=0.95,
        steps=(200, 200, 200, 200),
    ),
    # Kolkin et al. (2019): self-similarity against the relaxed EMD and moments, which count alike,
    # on the layers of their code; four sizes from 64 to 512 with 250 steps each. Theirs halves the
    # weight of the content from size to size; here it is the same in all.
    "strotss": StylizeConfig(
        **_PAPER,
        encoder="vgg16",
        content_layers=("relu3_1", "relu4_1"),
        content_loss=("self-similarity",),
        style_layers=(
            *("image", "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3"),
            *("relu4_3", "relu5_3"),
        ),
        style_loss=("emd", "wasserstein"),
        content_weight=0.02,
        tv_weight=0.0,
        average=0.95,
        steps=(250, 250, 250, 250),
    ),
    # Three of our own, found by looking at pictures made with mini. Oil: distributions, not just
    # moments, and strokes half as large again as in the style.
    "oil": StylizeConfig(
        style_loss=("wasserstein", "sliced=0.5"), style_scale=(1.5,), tv_weight=0.1, average=0.97
    ),
    # Sketch: edges are kept where they are; grain and hatching come from the finer layers.
    "sketch": StylizeConfig(
        content_loss=("features", "laplacian=2"),
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
        style_weights=(0.3, 0.3, 0.3, 0.1),
        style_loss=("gram", "histogram=0.5"),
        tv_weight=0.05,
    ),
    # Mosaic: whole pieces of the style side by side, in its colours.
    "mosaic": StylizeConfig(
        style_layers=("relu2_1", "relu3_1", "relu4_1"),
        style_loss=("patches", "gram=0.5"),
        content_loss=("features", "laplacian=0.5"),
        style_scale=(0.7,),
    ),
    # The assignment that many courses give: content and style both from the first convolution of
    # each stage, before the ReLU.
    "conv1-5": StylizeConfig(
        **_PAPER,
        style_loss=("gram",),
        encoder="vgg19",
        content_layers=tuple(f"conv{n}_1" for n in _STAGES),
        style_layers=tuple(f"conv{n}_1" for n in _STAGES),
        content_weight=0.1,
        tv_weight=0.3,
        average=0.95,
        steps=(300,),
    ),
    # One size, Adam, from the content: the form that most tutorials show (learning rate 0.02).
    "adam-content-init": StylizeConfig(
        **_PAPER,
        style_loss=("gram",),
        encoder="vgg19",
        content_layers=("relu4_2",),
        content_weight=0.1,
        steps=(300,),
        learning_rate=0.02,
        average=0.0,
        tv_weight=0.0,
    ),
}


WHAT_FOR: dict[str, str] = {
    "default": "people, animals, houses, anything: the subject stays",
    "gatys2016": "landscapes, and comparisons with the paper; hard on people",
    "gatys2016-vgg16": "the same with VGG-16",
    "gatys2017-highres": "the same at 1024 pixels, for prints",
    "crowson": "painterly landscapes at any cost of time; loses faces",
    "nnst": "clean paint in whole strokes; loses small subjects",
    "strotss": "comparisons with the paper; keeps composition, not detail",
    "oil": "broad strokes",
    "sketch": "drawings: edges where they are, hatching between them",
    "mosaic": "whole pieces of the style side by side",
    "conv1-5": "lessons: content and style from the same five layers",
    "adam-content-init": "lessons: one size, Adam, from the content",
}
"""Preset -> what it is good for."""


def get_preset(name: str) -> StylizeConfig:
    """The preset called ``name``; UnknownNameError if there is none."""
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]


def read_toml(path: str | Path, base: StylizeConfig | None = None) -> StylizeConfig:
    """Settings from a TOML file: ``preset = "name"`` and any fields of StylizeConfig.

    What the file does not name comes from its preset, else from ``base``. It is in UTF-8, or in
    UTF-16 with a byte order mark. Raises ConfigError for a file that cannot be read, is larger than
    64 KiB or is not TOML, and for bad settings.
    """
    path, name = expanded(path), quoted(path)
    try:
        text = read_text(path, max_bytes=LARGEST)
        if max(line.count(".") for line in text.split("\n")) > MOST_DOTS:
            raise RecursionError
        values: dict[str, Any] = tomllib.loads(text)
    except InputError as error:
        raise ConfigError(f"the config {error.message}", "give a TOML file") from None
    except (ValueError, RecursionError) as error:  # no TOML, an endless number, or too deep
        reason = "it nests too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise ConfigError(f"the config {name} is not TOML ({reason})", "mend it") from None
    preset = values.pop("preset", None)
    values = {k: None if v == "none" else v for k, v in values.items()}
    try:
        config = base or StylizeConfig() if preset is None else get_preset(str(preset))
        return config.with_changes(**values)
    except UsageError as error:
        raise error.about(f"the config {name}") from None


def to_toml(config: StylizeConfig) -> str:
    """All settings as TOML, to edit and give back with ``--config``; None is written "none"."""
    import tomlkit

    document = tomlkit.document()
    for name, value in config.to_dict().items():
        document[name] = "none" if value is None else value
    return tomlkit.dumps(document)


def write_toml(path: str | Path, config: StylizeConfig, *, overwrite: bool = True) -> None:
    """Write :func:`to_toml` to a file, whole or not at all.

    Raises what ``impasto.image.files.write_bytes`` raises.
    """
    write_bytes(path, to_toml(config).encode(), overwrite=overwrite)
