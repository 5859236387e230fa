"""The command line: one file per command, which parses, calls one function and prints.

A command is imported when it is named, and what it needs when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module

import typer

from impasto.cli.error_report import report
from impasto.cli.help import Command, Group
from impasto.cli.messages import flush_stdout, prepare_streams
from impasto.cli.options import switch
from impasto.machine.limits import share_cpus

__all__ = ["COMMANDS", "build", "main"]

COMMANDS = {
    "demo": "Paint a landscape that impasto draws itself: a first picture, from nothing.",
    "stylize": "Paint one picture in the style of another, or of several.",
    "quick": "Paint one picture in the style of others, in one pass.",
    "video": "Paint a clip, held steady from frame to frame.",
    "batch": "Paint many pictures: folders, lists, matrices, on one machine or several.",
    "train": "Train a network that paints any photo in one style, for impasto quick --model.",
    "export": "Write a network as an ONNX file, for other programs.",
    "texture": "Make more of a style, without seams if wanted.",
    "dream": "Dream on a photo: let grow what the encoder sees in it.",
    "look": "Show what the encoder sees: in a picture, or in single channels.",
    "evaluate": "Judge pictures: how much of the style they have, how much of the photo.",
    "info": "Tell what made a picture.",
    "replay": "Make a picture again from what is written in it.",
    "swatches": "List the built-in styles, or write them as pictures.",
    "presets": "List the named settings, or print one as TOML.",
    "studio": "Open the studio: a page to drop a photo on and paint it.",
    "weights": "List, find and download the weights of encoders.",
}
"""Command -> its help in one line. Each lives in the module of its name, as the function of its
name, or as ``app`` where it has commands of its own."""

COMPLETION = "_IMPASTO_COMPLETE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on ``argv`` (default: the process's); returns the exit code.

    The codes are those drawn in ``impasto.errors``; never raises, whatever goes wrong.
    """
    share_cpus()
    prepare_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    words, debug = _without_debug(words)
    as_json = "--json" in words
    try:
        with warnings.catch_warnings():
            if not debug:  # what libraries warn of tells a user nothing to act on
                warnings.simplefilter("ignore")
            os.getcwd()  # without one, torch's libraries end the process
            code = run_command(words)
        flush_stdout()
        return code
    except BaseException as error:
        return report(error, as_json=as_json, debug=debug)


def run_command(words: list[str]) -> int:
    """Run the command that the words name; returns the exit code that it asks for."""
    command = typer.main.get_command(build(_named(words)))
    try:
        if COMPLETION in os.environ:  # a shell asks what could come next
            command.main(words, "impasto")
        # Not command.main: it has its own ways with Ctrl-C and closed pipes.
        with command.make_context("impasto", words or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as error:
        return error.exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    return 0


def build(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """The app, with the commands in ``names``; the others are there in name and help only."""
    app = typer.Typer(
        name="impasto",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_impasto)
    for name, help in COMMANDS.items():
        if name not in names:
            app.command(name, help=help)(_stub)
            continue
        module = import_module(f"impasto.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, cls=Group, help=help, epilog=module.EXAMPLES)
        else:
            app.command(name, cls=Command, epilog=module.EXAMPLES)(getattr(module, name))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from impasto.config.version import __version__

        print(f"impasto {__version__}")
        raise typer.Exit


def _impasto(
    version: bool = switch("Print the version.", "--version", callback=_version, is_eager=True),
    debug: bool = switch("Show where an error comes from (with any command).", "--debug"),
) -> None:
    """Neural style transfer: repaint a photo in the manner of a painting.

    A first picture:  impasto stylize cat.jpg waves -o cat-waves.png

    Exit codes: 0 done, 2 a bad request, 3 a bad input file, 4 no weights, 5 some items of a batch
    failed, 6 out of memory or disk, 129 ended by SIGHUP, 130 by Ctrl-C, 143 by SIGTERM, 1 a fault
    in impasto.
    """


def _stub() -> None:
    raise AssertionError("a command that was named was not built")


def _named(words: Sequence[str]) -> set[str]:
    if COMPLETION in os.environ:
        words = [*words, *os.environ.get("COMP_WORDS", "").split()]
        words += os.environ.get("_TYPER_COMPLETE_ARGS", "").split()
    return set(words) & set(COMMANDS)


def _without_debug(words: list[str]) -> tuple[list[str], bool]:
    """``--debug`` may stand anywhere, before the command or after it."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return kept + words[end:], len(kept) < end
