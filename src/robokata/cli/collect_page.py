"""`kata collect sim TASK`: serve the page to demonstrate in, and say what happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from robokata.core.world import Width
    from robokata.sim.demonstration import Scene

PAGE_HZ = 50
"""Rate of the control loop: ALOHA's; a command waits 10 ms on average."""


def demonstrate(
    scene: Scene,
    out: Path,
    *,
    width: Width,
    seed: int,
    size: tuple[int, int],
    who: str,
    at: tuple[str, int],
    json: bool,
) -> None:
    """Collect in the browser until Ctrl-C.

    Raises:
        MissingPart: a library that the page needs is not installed.
    """
    from robokata.core.require import require

    for module in ("fastapi", "uvicorn", "websockets", "cryptography", "simplejpeg"):
        require(module, extra="collect")
    from robokata.collection.page.run_page import PageAddress, collect_in_browser
    from robokata.collection.session.session import SessionOptions
    from robokata.sim.cameras import Filming

    order = SessionOptions(scene=scene, width=width, seed=seed, out=out, filming=Filming(*size), operator=who)
    collected = collect_in_browser(order, PageAddress(*at), say=_say_json if json else _say)
    if json:
        _say_json("ended", **collected.to_json())
        return
    typer.echo(f"\n{collected.kept} episodes kept in {collected.out}" + _further(collected))


def _say(what: str, **details: Any) -> None:
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


def _say_json(what: str, **details: Any) -> None:
    import json

    typer.echo(json.dumps({"event": what, **details}))


def _further(collected: Any) -> str:
    parts = []
    if collected.undone:
        parts.append(f"{collected.undone} undone (in {collected.out}/.undone)")
    if collected.unfinished:
        parts.append(f"{collected.unfinished} to be finished at the next start")
    if collected.was_cut:
        parts.append("one recording was cut; the next start offers it")
    return "".join(f"; {part}" for part in parts)
