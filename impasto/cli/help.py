"""How the help of a command is laid out: its options in panels, then examples.

As plain text: rich's boxes would double the time that ``impasto --help`` takes.
"""

from __future__ import annotations

from typing import Any

import typer

PANELS = {
    "picture": "Picture",
    "shape": "Picture",
    "style": "Style",
    "subject": "Subject and regions",
    "regions": "Subject and regions",
    "color": "Colour",
    "optimizer": "Optimiser",
    "frames": "Frames",
    "network": "Network",
    "encoder": "Encoder and losses",
    "objective": "Encoder and losses",
    "machine": "Machine",
}
"""Group of a setting -> the panel that shows it. Panels come in this order."""

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
        panels: dict[str, list[tuple[str, str]]] = {
            name: [] for name in ("Arguments", *PANELS.values(), RUN)
        }
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                panels[panel_of(parameter)].append(record)
        shown = {name: records for name, records in panels.items() if records}
        for name, records in shown.items():
            alone = name == RUN and len(shown.keys() - {"Arguments"}) == 1
            with formatter.section("Options" if alone else name):
                formatter.write_dl(records)


class Group(_WithExamples, typer.core.TyperGroup):
    """A group of commands whose help has examples."""


def panel_of(parameter: Any) -> str:
    """The panel that shows a parameter of a command."""
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or RUN
