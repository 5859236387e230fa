"""Named settings, and settings in TOML files.

Each preset is a plain :class:`impasto.StylizeConfig`; where its numbers come from stands beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from impasto.config import StylizeConfig
from impasto.errors import ConfigError, UnknownNameError
from impasto.files import write_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_STAGES = tuple(range(1, 6))

# Gatys, Ecker & Bethge (2016), section 2: content from conv4_2, style from conv1_1 to conv5_1 with
# weights 1/5, L-BFGS. As in their released code, and in everybody's since: the ReLUs are read, max
# pooling is kept, and the picture starts from the content rather than from noise.
_GATYS = StylizeConfig(
    encoder="vgg19",
    padding="zero",
    content_layers=("relu4_2",),
    style_layers=tuple(f"relu{n}_1" for n in _STAGES),
    style_weights=(0.2, 0.2, 0.2, 0.2, 0.2),
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
    # The assignment that many courses give: content and style both from the first convolution of
    # each stage, before the ReLU.
    "conv1-5": StylizeConfig(
        encoder="vgg19",
        content_layers=tuple(f"conv{n}_1" for n in _STAGES),
        style_layers=tuple(f"conv{n}_1" for n in _STAGES),
        content_weight=0.1,
        steps=(300,),
    ),
    # One size, Adam, from the content: the form that most tutorials show (learning rate 0.02).
    "adam-content-init": StylizeConfig(
        encoder="vgg19",
        content_layers=("relu4_2",),
        content_weight=0.1,
        steps=(300,),
        learning_rate=0.02,
        average=0.0,
        tv_weight=0.0,
    ),
}


def get_preset(name: str) -> StylizeConfig:
    """The preset called ``name``; UnknownNameError if there is none."""
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]


def read_toml(path: str | Path, base: StylizeConfig | None = None) -> StylizeConfig:
    """Settings from a TOML file: ``preset = "name"`` and any fields of StylizeConfig.

    What the file does not name comes from its preset, else from ``base``. Raises ConfigError for a
    file that cannot be read, or is not TOML; and for bad settings.
    """
    path = Path(path).expanduser()
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path} ({error})", "give a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML ({error})", "mend it") from None
    preset = values.pop("preset", None)
    config = base or StylizeConfig() if preset is None else get_preset(str(preset))
    values = {k: None if v == "none" else v for k, v in values.items()}
    return config.with_changes(**values)


def to_toml(config: StylizeConfig) -> str:
    """All settings as TOML, to edit and give back with ``--config``; None is written "none"."""
    import tomlkit

    document = tomlkit.document()
    for name, value in config.to_dict().items():
        document[name] = "none" if value is None else value
    return tomlkit.dumps(document)


def write_toml(path: str | Path, config: StylizeConfig) -> None:
    """Write :func:`to_toml` to a file, whole or not at all.

    Raises what ``impasto.files.write_bytes`` raises.
    """
    write_bytes(path, to_toml(config).encode())
