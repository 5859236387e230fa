"""What is said of an error."""

from __future__ import annotations

from impasto.cli.error_report import Terminated, error_report, is_out_of_memory
from impasto.errors import ConfigError, Interrupted, OutputExistsError


def test_errors_of_impasto_keep_their_words_and_code() -> None:
    found = error_report(ConfigError("size is 3", "use more"))
    assert found.line == "error: size is 3; use more"
    assert found.exit_code == 2
    assert (found.type, found.message, found.remedy) == (
        "ConfigError",
        "size is 3",
        "use more",
    )


def test_the_remedy_speaks_of_flags() -> None:
    assert (
        "--overwrite" in error_report(OutputExistsError("'a.png' exists already", "allow it")).line
    )


def test_stopping_is_no_error() -> None:
    assert error_report(Interrupted("stopped at step 3")).line == "stopped at step 3"
    assert error_report(Terminated("ended")).exit_code == 143


def test_out_of_memory_on_any_device() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch's."""

    assert is_out_of_memory(OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
