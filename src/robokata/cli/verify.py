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
    from robokata.store.snapshot import verify as verify_store
    from robokata.viewing.terminal.snapshots import show_verification

    with progress_bar("verifying") as bar:
        found = verify_store(store, snapshots=snapshot, on_progress=bar)
    print_json_of([found]) if json else show_verification(found)
    if not found.is_sound:
        raise typer.Exit(1)
