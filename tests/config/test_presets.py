from __future__ import annotations

import os
from pathlib import Path

import pytest

from impasto.config.presets import LARGEST, PRESETS, WHAT_FOR, get_preset, read_toml, write_toml
from impasto.config.stylize import StylizeConfig
from impasto.errors import ConfigError, UnknownNameError


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_valid_and_survives_toml(name: str, tmp_path: Path) -> None:
    config = get_preset(name)
    assert StylizeConfig.from_dict(config.to_dict()) == config
    write_toml(tmp_path / "a.toml", config)
    assert read_toml(tmp_path / "a.toml") == config


def test_the_default_is_the_default() -> None:
    assert get_preset("default") == StylizeConfig()


def test_gatys_is_as_published() -> None:
    config = get_preset("gatys2016")
    assert config.encoder == "vgg19"
    assert config.content_layers == ("relu4_2",)
    assert config.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert config.style_weights == (0.2,) * 5
    assert (config.content_form, config.style_form) == ("gatys", "gatys")
    assert (config.optimizer, config.tv_weight, len(config.schedule(512)[0])) == ("lbfgs", 0, 1)
    assert get_preset("gatys2016-vgg16") == config.with_changes(encoder="vgg16")


def test_the_course_assignment() -> None:
    config = get_preset("conv1-5")
    layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert config.content_layers == config.style_layers == layers


def test_an_unknown_preset_gets_a_proposal() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'gatys2016'"):
        get_preset("gatys2015")


def test_none_and_lists_survive_toml(tmp_path: Path) -> None:
    config = StylizeConfig(size=None, steps=(1, 2, 3), seed=2**63 - 1, learning_rate=1e-6)
    write_toml(tmp_path / "a.toml", config)
    assert 'size = "none"' in (tmp_path / "a.toml").read_text(encoding="utf-8")
    assert read_toml(tmp_path / "a.toml") == config


def test_a_file_names_only_what_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.toml", 'steps = 50\nstrength = 1\ninit = "каша.png"\n')
    expected = StylizeConfig(steps=(50,), strength=1.0, init="каша.png")
    assert read_toml(path) == expected
    assert read_toml(path, StylizeConfig(size=99)) == expected.with_changes(size=99)


def test_a_preset_in_a_file_comes_before_the_base(tmp_path: Path) -> None:
    path = written(tmp_path / "a.toml", 'preset = "gatys2016"\nsize = 300\n')
    expected = get_preset("gatys2016").with_changes(size=300)
    assert read_toml(path, StylizeConfig(seed=5)) == expected


def test_an_unknown_key_gets_a_proposal(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'style_layers'"):
        read_toml(written(tmp_path / "a.toml", 'style_layer = ["relu1_1"]'))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps = ", "is not TOML"),
        ("steps = [1, 2", "is not TOML"),
        ("steps = 0", "steps is"),
        ("[strength]\nvalue = 1", "strength is"),
        ("strength = nan", "strength is nan"),
        ("strength = 2020-01-01", "strength is"),
        ("preset = 3", "no preset is called '3'"),
        ("preset = ['a']", "no preset is called"),
        ("preset = ''", "no preset is called ''"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path / "a.toml", text)
    with pytest.raises((ConfigError, UnknownNameError), match=told):
        read_toml(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        read_toml(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        read_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'init = "\xe9.png"')
    with pytest.raises(ConfigError, match="is no text in UTF-8"):
        read_toml(tmp_path / "latin.toml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_windows_writes(tmp_path: Path, encoding: str) -> None:
    """PowerShell's > writes UTF-16, its Set-Content a byte order mark."""
    text = "size = 300 # für\r\n"
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "a.toml").write_bytes((mark + text).encode(encoding))
    assert read_toml(tmp_path / "a.toml").size == 300


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"#" * (LARGEST + 1), "bytes"),
        (b"steps = " + b"[" * 60_000, "is not TOML"),
        (b"seed = " + b"9" * 5000, "is"),
        (b"a." * 20_000 + b"b = 1", "is not TOML"),
        (b"size." + b"a." * 900 + b"b = 1", "size is"),
        (b"x = {" + b"a." * 20_000 + b"b = 1}", "is not TOML"),
        (b"\x00" * 100, "is not TOML"),
        (b"\x89PNG\r\n\x1a\n", "is no text"),
        (b"\xff\xfe\x00", "is no text"),
        (b'group = "x"', "no setting is called 'group'"),
        (b'init = "' + b"x" * 5000 + b'"', "a text of 5,000 characters"),
        (b"steps = [1000000000]", "steps is"),
        (b"region_styles = ['99999999999']", "region_styles holds"),
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, data: bytes, told: str) -> None:
    """One line that names the file, whatever it holds."""
    (tmp_path / "a.toml").write_bytes(data)
    with pytest.raises((ConfigError, UnknownNameError), match=told) as raised:
        read_toml(tmp_path / "a.toml")
    assert "a.toml" in str(raised.value)
    assert len(str(raised.value)) < 3000


def test_pipes_and_devices_are_no_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is not a regular file"):
            read_toml(path)


def test_each_preset_says_what_it_is_good_for() -> None:
    assert WHAT_FOR.keys() == PRESETS.keys()


@pytest.mark.parametrize(
    "name", ["gatys2016", "gatys2016-vgg16", "gatys2017-highres", "crowson", "nnst", "strotss"]
)
def test_papers_weigh_the_content_all_of_it_alike(name: str) -> None:
    config = get_preset(name)
    assert (config.strength_mode, config.subject, config.holds_limit) == ("weight", "off", False)
