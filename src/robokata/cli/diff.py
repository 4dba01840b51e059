"""`kata diff`: what changed from one snapshot to another."""

from __future__ import annotations

from typing import Annotated

import typer


def diff(
    before: Annotated[str, typer.Argument(help="A snapshot: STORE@ID, STORE@NUMBER, or a store (its newest).")],
    after: Annotated[str, typer.Argument(help="The snapshot to compare with it.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Name the episodes that were added, removed or changed, and what changed. Exit code 1 where they differ."""
    from robokata.cli.console import print_json_of
    from robokata.store.snapshot import diff as compare
    from robokata.viewing.terminal.snapshots import show_difference

    found = compare(before, after)
    print_json_of([found]) if json else show_difference(found)
    if not found.is_empty:
        raise typer.Exit(1)
