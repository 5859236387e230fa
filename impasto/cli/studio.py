"""``impasto studio``."""

from __future__ import annotations

import os
import threading
import webbrowser
from pathlib import Path

from impasto.cli import options
from impasto.cli.messages import message
from impasto.cli.options import MACHINE, option, switch
from impasto.errors import MissingDependencyError

EXAMPLES = """
impasto studio
impasto studio --headless --port 8000
impasto studio --headless --host 0.0.0.0 --name studio.example.org
"""

TOKEN = "IMPASTO_STUDIO_TOKEN"


def studio(
    host: str = option("Where to listen; others need a token.", "ADDRESS", default="127.0.0.1"),
    port: int = option("The port; 0 is any that is free.", "N", default=7860, min=0, max=65535),
    headless: bool = switch("Open no browser.", "--headless"),
    folder: Path | None = option("Pictures and history.  [default: the user's data]", "FOLDER"),
    name: list[str] | None = option("A name that it goes by, behind a proxy; repeatable.", "NAME"),
    memory: float | None = option(
        "Replace a worker that takes more.", "GIB", min=0.5, rich_help_panel=MACHINE
    ),
    threads: int | None = options.THREADS,
    quiet: bool = options.QUIET,
) -> None:
    """Open the studio: a page to drop a photo on and paint it.

    Everything stays on this machine. Pictures, jobs and history are kept in a folder, and what was
    being painted when the studio ended goes on when it starts again.

    Addresses that others can reach need a token, in the environment variable IMPASTO_STUDIO_TOKEN;
    a browser is let in by /?token=... once.
    """
    from platformdirs import user_data_path

    try:
        from impasto.studio.server import Address, serve
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "impasto":
            raise
        raise MissingDependencyError("the studio", "studio") from None

    address = Address(host, port, tuple(name or ()), os.environ.get(TOKEN, ""))

    def on_start(url: str) -> None:
        message(f"the studio is at {url}  (Ctrl-C ends it)", quiet=quiet)
        if not headless:
            opener = threading.Timer(0.5, webbrowser.open, [url])
            opener.daemon = True
            opener.start()

    serve(
        address,
        (folder or user_data_path("impasto") / "studio").expanduser(),
        threads=threads,
        memory=None if memory is None else int(memory * 2**30),
        on_start=on_start,
    )
