"""How the help of a command is laid out: its options in panels, then examples.

As plain text: rich's boxes would double the time that ``impasto --help`` takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

PANELS = (
    *("Video", "Picture", "Training", "Dream", "Look", "Styles", "Subject", "Regions", "Colour"),
    *("Shape", "Optimiser", "Encoder", "Objective", "Machine"),
)
"""The groups of settings, in the order in which help shows them."""

RUN = "Output and run"
"""The panel of what is no setting; it comes last, nearest to the prompt."""


class _WithExamples:
    epilog: str | None

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The epilog holds examples, one in a line."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


class Command(_WithExamples, typer.core.TyperCommand):
    """A command whose help has panels and examples."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then each panel that has an option."""
        shown = [x for x in self.get_params(ctx) if x.get_help_record(ctx) is not None]
        for name, parameters in by_panel(shown).items():
            with formatter.section(name):
                formatter.write_dl([x.get_help_record(ctx) for x in parameters])


class Group(_WithExamples, typer.core.TyperGroup):
    """A group of commands whose help has examples."""


def by_panel(parameters: Iterable[Any]) -> dict[str, list[Any]]:
    """The parameters of a command in its panels; where there is only one, it is called Options."""
    panels: dict[str, list[Any]] = {name: [] for name in ("Arguments", *PANELS, RUN)}
    for parameter in parameters:
        is_option = parameter.param_type_name == "option"
        panels[(parameter.rich_help_panel or RUN) if is_option else "Arguments"].append(parameter)
    found = {name: those for name, those in panels.items() if those}
    if not found.keys() - {"Arguments", RUN}:
        found = {"Options" if name == RUN else name: those for name, those in found.items()}
    return found
