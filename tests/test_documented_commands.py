"""Every command of the README and the docs runs, in the order of its page, at a small size."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import impasto
from impasto.cli import main
from impasto.image.io import save_image
from tests.test_docs import ROOT, command_line, commands

# What another test runs, or what this machine alone cannot: the words that a command begins with.
ELSEWHERE = {
    "make": "ran this test",
    "pip": "test_packaging.py",
    "impasto studio": "cli/test_studio.py",
    "impasto weights download": "encoders/test_download.py",
}
# Flags whose values a test replaces; those of `SMALL` are also added where a command takes them.
SMALL = {
    "stylize": {"--size": "64", "--steps": "2", "--threads": "1"},
    "texture": {"--size": "64", "--steps": "2", "--threads": "1"},
    "quick": {"--size": "64", "--threads": "1"},
    "demo": {"--size": "64"},
    "dream": {"--size": "64", "--steps": "1", "--octaves": "1"},
    "look": {"--size": "64", "--steps": "1", "--cell": "32", "--threads": "1"},
    "swatches": {"--size": "64"},
    "video": {"--size": "64", "--threads": "1"},
    "batch": {"--size": "64"},
    "train": {
        "--steps": "1",
        "--crop": "32",
        "--style-size": "32",
        "--width": "4",
        "--blocks": "1",
    },
}
SHORTER = {
    "--frames": "2",
    "--start": "0.1",
    "--duration": "0.3",
    "--count": "2",
    "--minutes": None,
}
OPTIMISED = {"--steps": "2", "--frame-steps": "1"}
FREE = ("none",)  # sizes that mean the picture's own
PICTURES = shlex.split(
    """
    cat.jpg dog.jpg photo.jpg painting.jpg waves.jpg rocket.jpg coffee.jpg coffee.png paris.jpg
    starry_night.jpg art/monet.jpg cat-mask.png cup.png sky.png face.png out.png other.png
    photos/dog.jpg photos/1.jpg photos/2.jpg photos/3.jpg photos/4.jpg photos/5.jpg photos/6.jpg
    paintings-of-others/one.jpg painted/0001.png painted/0120.png 0001.png
    frames/0001.png frames/0002.png frames/0120.png
    first/cat-waves.png second/cat-waves.png before/cat-waves.png after/cat-waves.png
    """
)
TABLES = {
    "orders.csv": "content,style,strength\nphotos/cat.jpg,waves,0.4\nphotos/dog.jpg,mosaic,\n",
    "pairs.csv": "content,style\ncat.jpg,waves.jpg\n",
    "mine.toml": "strength = 0.7\n",
}
PAGES = list(dict.fromkeys(page for page, _ in commands()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with all that commands of the docs name."""
    monkeypatch.chdir(tmp_path)
    photo = impasto.swatch("night", size=(48, 64))
    for number, name in enumerate(PICTURES):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save_image(name, photo.roll(7 * number, 3))
    shutil.copyfile("cat.jpg", "photos/cat.jpg")  # the same photo, elsewhere
    save_image("sphere.jpg", impasto.swatch("night", size=(32, 64)))
    for name, text in TABLES.items():
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def clips(folder: Path) -> None:
    """The clips that the page on video names; skips where nothing reads and writes them."""
    av = pytest.importorskip("av")
    frames = [impasto.swatch("night", size=(48, 64)).roll(n, 3) for n in range(8)]
    pixels = [(255 * x[0].permute(1, 2, 0)).round().byte().numpy() for x in frames]
    for name, codec, kind in (
        ("clip.mp4", "libx264", "yuv420p"),
        ("clip.mov", "libx264", "yuv420p"),
        ("round.gif", "gif", "rgb8"),
    ):
        with av.open(name, "w") as container:
            stream = container.add_stream(codec, rate=8)
            stream.width, stream.height, stream.pix_fmt = 64, 48, kind
            for frame in pixels:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                container.mux(stream.encode(picture.reformat(format=kind)))
            container.mux(stream.encode())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page: str, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for name, words in commands():
        if name != page or _is_elsewhere(words):
            continue
        small = shortened(words)
        if "--resume" in small:  # after a kill, that is: nothing is there yet
            remove(Path(small[small.index("-o") + 1]))
        code = run(small)
        if code:
            wrong.append(f"{shlex.join(small)}: {code}: {capfd.readouterr().err[-300:]}")
    assert wrong == []


def _is_elsewhere(words: Sequence[str]) -> bool:
    said = " ".join(words)
    foreign = any("vgg1" in word or word == "crowson" for word in words)  # weights do not ship
    cluster = "--scheduler" in words  # batch/test_cluster.py starts one
    return foreign or cluster or any(said.startswith(start) for start in ELSEWHERE)


def shortened(words: Sequence[str]) -> list[str]:
    """The command with the sizes and steps of a test, and replacing what an earlier one wrote."""
    if words[0] != "impasto":
        return list(words)
    name, left = words[1], list(words)
    known = {flag for parameter in command_line().commands[name].params for flag in parameter.opts}
    wanted = dict(SMALL.get(name, {}))
    if name in ("batch", "video") and "optimised" in words:
        wanted |= OPTIMISED
    if name == "swatches" and "-o" not in words and "--output" not in words:
        wanted = {}
    if "--layers" in words and name == "dream":
        wanted.pop("--octaves", None)
    for flag, value in {**SHORTER, **wanted}.items():
        if flag in left:
            place = left.index(flag)
            if value is None:
                del left[place : place + 2]
            elif left[place + 1] not in FREE:
                left[place + 1] = value
        elif flag in wanted and flag in known:
            left += [flag, str(value)]
    if "--overwrite" in known and not {"--overwrite", "--resume"} & set(left):
        left.append("--overwrite")
    return left


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def run(words: Sequence[str]) -> int:
    """The exit code of a command."""
    if words[0] == "python":
        script = [sys.executable, str(ROOT / words[1]), *words[2:]]
        return subprocess.run(script, check=False).returncode
    return main(words[1:])


def test_commands_are_shortened_but_the_same() -> None:
    words = shlex.split("impasto stylize cat.jpg waves -o out.png --size 1024 --strength 0.7")
    assert shlex.join(shortened(words)) == (
        "impasto stylize cat.jpg waves -o out.png --size 64 --strength 0.7 "
        "--steps 2 --threads 1 --overwrite"
    )
    assert shortened(["python", "examples/demo.py"]) == ["python", "examples/demo.py"]
