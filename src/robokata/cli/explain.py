"""`kata explain`: what a check looks for, and why."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    check: Annotated[str, typer.Argument(help="Name of a check, as `kata check --list` prints it.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Print what a check finds, why it hurts, an example, its limits, the repair, and its thresholds."""
    from robokata.cli.console import print_json_of
    from robokata.inspection.catalogue import explain as card_of_check
    from robokata.viewing.terminal.tables import show_check

    card = card_of_check(check)
    print_json_of([card]) if json else show_check(card)
