"""What happens on the page of `kata collect sim TASK`, in words or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from robokata.collection.page.run_page import SessionResult


def show_event(what: str, **details: Any) -> None:
    """Print what happens on the page."""
    if what == "ready":
        typer.echo(f"Open {details['url']}\nThe first browser to open it drives; later ones watch. Ctrl-C ends.")
        if details["fingerprint"] is not None:
            typer.echo(f"Certificate (SHA-256): {details['fingerprint']}")
    elif what == "kept":
        ended = "success" if details["success"] else "no success"
        typer.echo(f"Kept {details['id']}: {details['duration_s']:.1f} s, {ended}")
    elif what == "failed":
        typer.echo(f"Not finished: {details['id']}: {details['why']} It is tried again at the next start.", err=True)
    elif what == "problem":
        typer.echo(details["why"], err=True)
    elif what == "ending":
        typer.echo(f"Finishing {details['waiting']} episodes; Ctrl-C again leaves them to the next start ...")


def show_event_as_json(what: str, **details: Any) -> None:
    """Print what happens on the page as one line of JSON."""
    import json

    typer.echo(json.dumps({"event": what, **details}))


def show_session(collected: SessionResult, *, as_json: bool) -> None:
    """Print what a session collected."""
    if as_json:
        show_event_as_json("ended", **collected.to_json())
    else:
        typer.echo(f"\n{collected.kept} episodes kept in {collected.out}" + _further(collected))


def _further(collected: SessionResult) -> str:
    parts = []
    if collected.undone:
        parts.append(f"{collected.undone} undone (in {collected.out}/.undone)")
    if collected.unfinished:
        parts.append(f"{collected.unfinished} to be finished at the next start")
    if collected.was_cut:
        parts.append("one recording was cut; the next start offers it")
    return "".join(f"; {part}" for part in parts)
