"""Terminal output of snapshots, their history and their differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from robokata.store.difference import Change, Difference
from robokata.store.store import Record
from robokata.store.verification import Verification
from robokata.viewing.terminal.tables import console

_SHORT = 12
"""Digits of an id that are shown: enough for a store of a million snapshots, and accepted wherever an id is."""
_SHOWN = 20
"""Episodes listed before "and n more": one screen."""


@dataclass(frozen=True)
class History:
    """The snapshots of a store, newest first."""

    store: str
    records: tuple[Record, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"store": self.store, "snapshots": [record.to_json() for record in self.records]}


def show_record(record: Record, store: str) -> None:
    """Print what was made, and how to call it."""
    out = console()
    out.print(f"Snapshot [bold]{record.id[:_SHORT]}[/]: {record.episodes} episodes in {escape(store)}", soft_wrap=True)
    out.print(f"[dim]number {record.number}, made from {escape(str(record.made.get('source')))}[/]", soft_wrap=True)


def show_history(history: History) -> None:
    """Print the history, newest first."""
    out = console()
    if not history.records:
        out.print(f"{escape(history.store)}: no snapshots yet")
        return
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in ("number", "id", "episodes", "made at", "by", "from", "how", "message"):
        table.add_column(name, overflow="fold", justify="right" if name in ("number", "episodes") else "left")
    for record in history.records:
        words = record.made.get("words")
        how = (
            ", ".join(f"{n}" if v is True else f"{n} {v}" for n, v in words.items()) if isinstance(words, dict) else ""
        )
        cells = (record.made_at, record.made.get("by", ""), record.made.get("source", ""), how, record.message)
        table.add_row(
            str(record.number), record.id[:_SHORT], str(record.episodes), *(escape(str(text)) for text in cells)
        )
    out.print(table)


def show_difference(found: Difference) -> None:
    """Print which episodes differ, and in what."""
    out = console()
    out.print(f"{found.before[:_SHORT]} -> {found.after[:_SHORT]}: {found.same} episodes are the same")
    for sign, colour, keys in (("+", "green", found.added), ("-", "red", found.removed)):
        for key in keys[:_SHOWN]:
            out.print(f"[{colour}]{sign} {escape(key)}[/]", soft_wrap=True)
        if len(keys) > _SHOWN:
            out.print(f"[{colour}]{sign} and {len(keys) - _SHOWN} more[/]")
    for key, changes in list(found.changed.items())[:_SHOWN]:
        out.print(f"[yellow]~ {escape(key)}[/]", soft_wrap=True)
        for change in changes:
            out.print(f"    {_said(change)}", soft_wrap=True)
    if len(found.changed) > _SHOWN:
        out.print(f"[yellow]~ and {len(found.changed) - _SHOWN} more[/]")
    for change in found.facts:
        out.print(f"[yellow]~ dataset:[/] {_said(change)}", soft_wrap=True)


def show_verification(found: Verification) -> None:
    """Print what was hashed, and what is not what it was."""
    out = console()
    out.print(
        f"{escape(found.store)}: {found.snapshots} snapshots, {found.episodes} episodes, {found.parts} parts, "
        f"{found.files} files referred to",
        soft_wrap=True,
    )
    for problem in found.problems:
        out.print(
            f"[bold red]{escape(problem.place)}[/] {escape(problem.problem)} (snapshot {problem.snapshot[:_SHORT]})",
            soft_wrap=True,
        )
    out.print("[bold green]all as it was[/]" if found.is_sound else f"[bold red]{len(found.problems)} problems[/]")


def _said(change: Change) -> str:
    return f"{escape(change.field)}: {escape(str(change.before))} -> {escape(str(change.after))}"
