"""Reading and writing files: every way in which the file system can say no."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

import impasto
from impasto.errors import InputError, OutputExistsError, ResourceError, UsageError
from impasto.image.files import (
    NewFile,
    check_apart,
    check_folder,
    expanded,
    fit_name,
    quoted,
    read_bytes,
    read_text,
    write_bytes,
)

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    assert write_bytes(path, b"one") == path
    write_bytes(path, b"two")
    assert read_bytes(path) == b"two"
    assert leftovers(tmp_path) == []


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_bytes("~/a.bin", b"x") == tmp_path / "a.bin"
    assert read_bytes("~/a.bin") == b"x"


def test_names_that_are_hard_to_print(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9\n.png")
    write_bytes(os.fsdecode(path), b"x")
    assert read_bytes(os.fsdecode(path)) == b"x"
    assert quoted(os.fsdecode(path)).endswith("caf�\\n.png'")
    quoted(os.fsdecode(path)).encode("utf-8")


@pytest.mark.parametrize("name", ["missing.png", "sub", "empty.png", "pipe", "a\0b", "n" * 300])
def test_reading_refuses(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as caught:
        read_bytes(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_reading_refuses_devices_and_loops(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "loop", "/dev/zero", "/dev/null"):
        with pytest.raises(InputError):
            read_bytes(path)


def test_reading_refuses_big_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(InputError, match=r"5 bytes; at most 4"):
        read_bytes(tmp_path / "a", max_bytes=4)


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_reading_without_permission(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        read_bytes(tmp_path / "a")


def test_reading_without_permission_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="may not be read: Permission denied"):
        read_bytes(tmp_path / "a")


def test_not_overwriting(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"1", overwrite=False)
    with pytest.raises(OutputExistsError):
        write_bytes(path, b"2", overwrite=False)
    with pytest.raises(OutputExistsError):
        check_folder(path, overwrite=False)
    assert path.read_bytes() == b"1"
    assert leftovers(tmp_path) == []


def test_only_one_of_many_writers_wins_without_overwriting(tmp_path: Path) -> None:
    won: list[int] = []

    def write(i: int) -> None:
        try:
            write_bytes(tmp_path / "a", bytes([i]), overwrite=False)
            won.append(i)
        except OutputExistsError:
            pass

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (tmp_path / "a").read_bytes() == bytes(won)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    (tmp_path / "dangling").symlink_to(tmp_path / "real" / "new")
    write_bytes(tmp_path / "link", b"new")
    write_bytes(tmp_path / "dangling", b"made")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"new"
    assert (tmp_path / "real" / "new").read_bytes() == b"made"


def test_permissions_follow_the_umask_or_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "old").touch(mode=0o640)
    (tmp_path / "old").chmod(0o640)
    write_bytes(tmp_path / "new", b"1")
    write_bytes(tmp_path / "old", b"1")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("path", ["nowhere/a.png", "sub", "pipe", "a\0b", "/dev/null"])
def test_targets_that_make_no_sense(tmp_path: Path, path: str) -> None:
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for call in (lambda p: write_bytes(p, b"x"), check_folder):
        with pytest.raises(UsageError) as caught:
            call(os.path.join(tmp_path, path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", ["open", "replace", "fsync"])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(ResourceError, match="Read-only") as caught:
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert caught.value.exit_code == 6
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    code = (
        "import resource, sys\n"
        "from impasto.errors import ResourceError\n"
        "from impasto.image.files import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bytes(sys.argv[1], b'x' * 5000)\n"
        "except ResourceError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(impasto.__file__).parents[1])},
    )
    assert "File too large; free some space" in done.stdout
    assert (tmp_path / "a").read_bytes() == b"old"
    assert leftovers(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ResourceError):
        check_folder(tmp_path / "a")


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_claim_a_name_one_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also on a file system without hard links."""
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.bin"
    with NewFile(path) as first, NewFile(path) as second:
        first.file.write(b"first")
        second.file.write(b"second")
        second.put_in_place(overwrite=False)
        with pytest.raises(OutputExistsError):
            first.put_in_place(overwrite=False)
    assert path.read_bytes() == b"second"
    assert leftovers(tmp_path) == []


def test_apart_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_text("a")
    os.link("a", "sub/hard")
    os.symlink("../a", "sub/soft")
    os.symlink("sub", "same")
    os.symlink("missing", "dangling")
    for name in (
        "a",
        "./sub/../a",
        "sub/hard",
        "sub/soft",
        "same/hard",
        "~/a",
        str(tmp_path / "a"),
    ):
        with pytest.raises(UsageError, match="is an input already"):
            check_apart([name], ["a"])
    with pytest.raises(UsageError, match="is an output already"):
        check_apart(["new", "./new"], [])
    with pytest.raises(UsageError, match="is an output already"):
        check_apart(["missing", "dangling"], [])
    check_apart(["new", "other", "a\0b"], ["a", "~nobody of that name/a", "missing/a"])


@pytest.mark.parametrize("letter", ["n", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\udce9"])
@pytest.mark.parametrize("length", [1, 100, 251, 252, 400])
def test_names_fit(letter: str, length: int) -> None:
    name = fit_name(letter * length, ".png")
    assert len(os.fsencode(name)) <= 255
    assert name.endswith(".png")
    assert fit_name(letter * length + "x", ".png") != name
    if length <= 100:
        assert name == letter * length + ".png"


def test_a_home_that_nobody_knows_is_a_name_like_others() -> None:
    assert expanded("~nobody of that name/a.png") == Path("~nobody of that name/a.png")


def test_reading_allocates_what_the_file_has(tmp_path: Path) -> None:
    """Not the 2 GiB that a file may have at most."""
    (tmp_path / "a").write_bytes(b"abc")
    tracemalloc.start()
    try:
        assert read_bytes(tmp_path / "a") == b"abc"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_text_in_any_of_the_usual_encodings(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "a").write_text("für", encoding=encoding)
        assert read_text(tmp_path / "a", max_bytes=100) == "für"
    (tmp_path / "a").write_bytes("für".encode("latin-1"))
    with pytest.raises(InputError, match="is no text in UTF-8"):
        read_text(tmp_path / "a", max_bytes=100)
    with pytest.raises(InputError, match="at most 2 are read"):
        read_text(tmp_path / "a", max_bytes=2)
