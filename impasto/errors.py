"""Everything that impasto raises on purpose.

Each error carries what to do about it (``remedy``) and the exit code with which the command
line ends when nobody catches it::

    ImpastoError                      1   something in impasto itself went wrong
    ├── UsageError                    2   the request makes no sense
    │   ├── ConfigError               2   a setting is out of range or of the wrong kind
    │   ├── UnknownNameError          2   no such layer, encoder, preset, swatch, ...
    │   ├── OutputExistsError         2   the output is there already
    │   └── MissingDependencyError    2   an optional extra is not installed
    ├── InputError                    3   a file that was given cannot be used
    │   ├── InvalidImageError         3   not a picture, or a broken one
    │   ├── ImageTooLargeError        3   more pixels than allowed
    │   └── ImageTooSmallError        3   too few pixels for the layers asked for
    ├── WeightsError                  4   an encoder cannot get its weights
    │   ├── WeightsNotFoundError      4   no file on the search path, and none may be downloaded
    │   └── IntegrityError            4   the file is not the one that was expected
    ├── ResourceError                 6   memory, disk or time ran out
    │   └── DiskFullError             6   no space is left for a file
    └── Interrupted                 130   the user stopped the run (Ctrl-C)

Exit code 5 (some items of a batch failed) belongs to a command, not to an error; 143 to
SIGTERM, 129 to SIGHUP.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class ImpastoError(Exception):
    """Root of all errors that impasto raises on purpose.

    ``message`` says what was given and what is allowed, ``remedy`` what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message

    def about(self, what: str) -> ImpastoError:
        """The same error, of the same class, which says first ``what`` it is about.

        >>> str(InputError("there is no file 'a'", "check the path").about("the style"))
        "the style: there is no file 'a'; check the path"
        """
        return _rebuild(type(self), f"{what}: {self.message}", self.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are unpickled by calling their class with ``args``, which would break those
        # whose constructors take something else; a worker process must be able to send them home.
        return _rebuild, (type(self), self.message, self.remedy)


def _rebuild(kind: type[ImpastoError], message: str, remedy: str) -> ImpastoError:
    error = kind.__new__(kind)
    ImpastoError.__init__(error, message, remedy)
    return error


class UsageError(ImpastoError):
    """The request itself makes no sense."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is out of range or of the wrong kind."""


class UnknownNameError(UsageError):
    """A name that is in none of impasto's tables.

    >>> str(UnknownNameError("encoder", "vgg91", ["mini", "vgg16", "vgg19"]))
    "no encoder is called 'vgg91'; did you mean 'vgg19'? there are: mini, vgg16, vgg19"
    """

    def __init__(self, kind: str, name: str, allowed: Iterable[str]) -> None:
        names = list(allowed)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        super().__init__(f"no {kind} is called '{name}'", f"{hint}there are: {', '.join(names)}")


class OutputExistsError(UsageError):
    """The output file is there already and may not be overwritten."""


class MissingDependencyError(UsageError):
    """An optional extra is not installed, or packages that are in no extra."""

    def __init__(self, what: str, extra: str = "", *, packages: str = "") -> None:
        wanted = packages or f'"impasto[{extra}]"'
        super().__init__(f"{what} needs an optional package", f"pip install {wanted}")


class InputError(ImpastoError):
    """A file that was given cannot be used."""

    exit_code = 3


class InvalidImageError(InputError):
    """The file is not a picture that impasto reads, or it is broken."""


class ImageTooLargeError(InputError):
    """The picture has more pixels than the cap allows."""


class ImageTooSmallError(InputError):
    """The picture has too few pixels for the layers that were asked for."""


class WeightsError(ImpastoError):
    """An encoder cannot get its weights."""

    exit_code = 4


class WeightsNotFoundError(WeightsError):
    """No file on the search path, and none may be (or could be) downloaded."""


class IntegrityError(WeightsError):
    """A weight file is damaged, or is not the one that was expected."""


class ResourceError(ImpastoError):
    """Memory, disk or time ran out."""

    exit_code = 6


class DiskFullError(ResourceError):
    """No space is left for a file."""


class Interrupted(ImpastoError):
    """The user stopped the run; what was reached has been saved if there was where to save it."""

    exit_code = 130
