"""Help of a verb: options under the heading of their group, examples as they are written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def option_group(title: str) -> Callable[..., Any]:
    """`typer.Option` for the options of one group."""
    return functools.partial(typer.Option, rich_help_panel=title)


class GroupedCommand(TyperCommand):
    """A verb whose help lists arguments, its own options, and then each group of options. Typer finds it as a class."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section per group, in the order in which groups are first named."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = "Options" if parameter.param_type_name == "option" else "Arguments"
                title = getattr(parameter, "rich_help_panel", None) or usual
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class GroupedVerbs(TyperGroup):
    """`kata --help`: the verbs in groups, in the order in which they are registered. Typer finds it as a class."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs as they are registered."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section per group."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            title = getattr(command, "rich_help_panel", None) or _GROUPS[-1]
            sections.setdefault(title, []).append((name, command.get_short_help_str(limit=200)))
        for title in [
            *(each for each in _GROUPS if each in sections),
            *(each for each in sections if each not in _GROUPS),
        ]:
            with formatter.section(title):
                formatter.write_dl(sections[title])


_GROUPS = ("Look", "Keep", "Make data", "Learn", "Share")
