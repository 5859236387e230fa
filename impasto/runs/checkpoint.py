"""A run's state on disk, so that it goes on after a kill as if nothing had happened.

One file per output, beside it: ``out.png`` has ``.out.png.checkpoint`` while it is being made. It
is replaced atomically, so there is a whole one at any moment, and deleted when the run is over.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import torch

from impasto.errors import ConfigError, IntegrityError, ResourceError


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint of the run that makes ``output`` lies.

    >>> checkpoint_path(Path("pictures/out.png")).name
    '.out.png.checkpoint'
    """
    return output.parent / f".{output.name}.checkpoint"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, texts, lists and dicts of those), all or nothing.

    Its ``fingerprint`` says which run it belongs to, and tells checkpoints from other files.
    Raises ResourceError where it cannot be written; an older checkpoint is then still there.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        raise ResourceError(f"cannot write the checkpoint {path} ({error})", "free disk") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state that was saved, or None where there is no checkpoint.

    Raises IntegrityError for a file that is not a checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        state["fingerprint"]
    except FileNotFoundError:
        return None
    except Exception as error:  # for damaged files torch raises a dozen kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IntegrityError(
            f"{path} is not a checkpoint of impasto ({reason})", "delete it and start anew"
        ) from error
    return state


def load_matching(path: Path, fingerprint: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The state that was saved, or None where there is none; ``kind`` is "run" or "training".

    Raises ConfigError where it was not saved with ``fingerprint``, and what
    :func:`load_checkpoint` raises.
    """
    saved = load_checkpoint(path)
    if saved is None:
        return None
    if differing := [k for k, v in fingerprint.items() if saved["fingerprint"].get(k) != v]:
        raise ConfigError(
            f"{path} was made by a {kind} with another {', '.join(differing)}",
            f"repeat that {kind}'s command to resume it, or leave out --resume to start anew",
        )
    return saved
