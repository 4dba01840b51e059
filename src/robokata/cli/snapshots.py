"""`kata snapshots`: the history of a store."""

from __future__ import annotations

from typing import Annotated

import typer


def snapshots(
    store: Annotated[str, typer.Argument(help="Folder or URL of a store.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """List the snapshots of a store, newest first: what each holds, who made it, when, from what."""
    from robokata.cli.console import print_json_of
    from robokata.store.snapshot import history as history_of
    from robokata.viewing.terminal.snapshots import History, show_history

    history = History(store, history_of(store))
    print_json_of([history]) if json else show_history(history)
