"""Terminal output of numbered jobs: attempts, successes, episodes."""

from __future__ import annotations

from rich.markup import escape

from robokata.runtime.jobs import Production
from robokata.viewing.terminal.tables import console


def show_production(made: Production) -> None:
    """Print how much was recorded, how often it succeeded, and where the receipt lies."""
    out = console()
    share = f"{made.succeeded} of {made.tried} attempts succeeded" if made.tried else "nothing was tried"
    out.print(f"[bold]{escape(made.out)}[/]: {made.kept} episodes, {made.duration_s:.0f} s; {share}")
    out.print(f"  receipt {escape(made.receipt)}", soft_wrap=True)
    out.print(f"  next: kata look {escape(made.out)}", soft_wrap=True)
