"""`kata explain`: what a check looks for, and why."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(check: Annotated[str, typer.Argument(help="Name of a check, as `kata check --list` prints it.")]) -> None:
    """Print what a check finds, why it hurts, an example, its limits, the repair, and its thresholds."""
    from robokata.core.shelf import shelf
    from robokata.view.terminal import show_check

    show_check(check, shelf("checks")[check])
