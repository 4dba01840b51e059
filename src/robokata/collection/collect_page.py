"""The verb collect_page: demonstrations by a person in the browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robokata.core.errors import UnknownName
from robokata.core.require import require
from robokata.core.world import Width
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of

if TYPE_CHECKING:
    from robokata.collection.page.run_page import Say, SessionResult

PAGE_HZ = 50
"""Rate of the control loop: ALOHA's; a command waits 10 ms on average."""


def collect_page(
    task: str,
    *,
    out: str | os.PathLike[str] | None = None,
    robot: str | None = None,
    seed: int = 0,
    reset_range: str = "D0",
    size_px: tuple[int, int] = (480, 640),
    operator: str = "operator",
    host: str = "127.0.0.1",
    port: int = 8100,
    on_event: Say | None = None,
) -> SessionResult:
    """Serve the page of a task until Ctrl-C, and keep what is demonstrated there.

    `out` is `collected/TASK` by default. `host` 0.0.0.0 opens the page to the network, with TLS; `port` 0 takes any
    free one. `on_event` hears what happens, as a word (`ready`, `kept`, `failed`, `problem`, `ending`) and its details.

    Raises:
        MissingPart: a library that the page needs is not installed.
        UnknownName: there is no such task, robot or range.
        CollectionRefused: the port is taken.
        WriteRefused: the folder cannot be written, or another run is at work in it.
    """
    for module in ("fastapi", "uvicorn", "websockets", "cryptography", "simplejpeg"):
        require(module, extra="collect")
    from robokata.collection.page.run_page import PageAddress, collect_in_browser
    from robokata.collection.session.session import SessionOptions

    if reset_range not in list(Width):
        raise UnknownName("reset range", reset_range, list(Width))
    options = SessionOptions(
        scene=scene_of(task, robot, control_hz=PAGE_HZ),
        width=Width(reset_range),
        seed=seed,
        out=Path(out or Path("collected") / task),
        filming=Filming(*size_px),
        operator=operator,
    )
    return collect_in_browser(options, PageAddress(host, port), say=on_event or _ignore)


def _ignore(what: str, **details: Any) -> None:
    """What happens is in the result."""
