"""`kata verify`: whether snapshots, and the files that they refer to, are still what they were."""

from __future__ import annotations

from typing import Annotated

import typer


def verify(
    store: Annotated[str, typer.Argument(help="Folder or URL of a store.")],
    snapshot: Annotated[list[str] | None, typer.Argument(help="Only these snapshots; default: all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Hash everything again and open every episode. Exit code 0: all as it was, 1: not."""
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.store.store import open_store
    from robokata.store.verification import verify as verify_store
    from robokata.viewing.terminal.snapshots import show_verification

    opened = open_store(store)
    wanted = [opened.resolve(each) for each in snapshot] if snapshot else None
    with progress_bar("verifying") as bar:
        bar.started(sum(record.episodes for record in opened.history() if wanted is None or record.id in wanted))
        found = verify_store(opened, snapshots=wanted, advance=bar.advance)
    print_json_of([found]) if json else show_verification(found)
    if not found.is_sound:
        raise typer.Exit(1)
