"""Collection in the browser: page, control loop, live cameras and render worker, from start to Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import uvicorn

from robokata.collection.page.access import Access
from robokata.collection.page.clients import PageClients
from robokata.collection.page.live_cameras import LiveCameras
from robokata.collection.page.server import (
    LARGEST_MESSAGE_BYTES,
    PageServer,
    broadcast_states,
    create_app,
    serve_until_stopped,
    show_picture,
)
from robokata.collection.page.tls import addresses_of, certificate_for, context_of, is_loopback
from robokata.collection.recording.episode import setup_as_json
from robokata.collection.recording.recording_store import RecordingStage, RecordingStore
from robokata.collection.session.session import Session, SessionOptions
from robokata.core.errors import CollectionRefused
from robokata.runtime.folder_lock import hold
from robokata.runtime.listener import Listener

_LIVE_HEIGHT_PX, _LIVE_WIDTH_PX = 480, 640
_SWITCH_S = 0.001
"""How long a Python thread may keep the loop's thread waiting; Python's own 5 ms would be a quarter of its period."""


_BACKLOG = 16
"""Connections that one turn of the loop accepts: the loop has an operator to serve too."""
_URGENCY = -10
"""Niceness of the server and its loop, where it may be raised: ahead of the browser's software rendering."""


@dataclass(frozen=True)
class PageAddress:
    """Where the page is served."""

    host: str = "127.0.0.1"
    """Only this machine, unless asked otherwise; then TLS is used, which a headset needs too."""
    port: int = 8100
    """0: any free port."""


@dataclass(frozen=True)
class SessionResult:
    """What a session collected."""

    out: str
    session: str
    kept: int
    undone: int
    unfinished: int
    """Kept, and not finished yet: the next start goes on with them."""
    was_cut: bool
    """A recording was going on at the end; the next start offers it."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


Say = Callable[..., None]
"""Called with a word for what happened and its details: `ready`, `kept`, `failed`, `ending`."""


def collect_in_browser(options: SessionOptions, place: PageAddress, *, say: Say) -> SessionResult:
    """Serve the page until Ctrl-C.

    Raises:
        CollectionRefused: the port is taken.
        WriteRefused: the folder cannot be written, or another run is at work in it.
    """
    listening = _listening(place, trouble=lambda line: say("problem", why=line))
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):  # only where the system allows it; the loop is on time without it too
        os.setpriority(os.PRIO_PROCESS, 0, _URGENCY)
    try:
        # Two servers would take each other's recordings for leftovers of a crash.
        with hold(options.out):
            return asyncio.run(_collect(options, place, listening, say))
    finally:
        sys.setswitchinterval(before_s)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        listening.close()


async def _collect(options: SessionOptions, place: PageAddress, listening: Listener, say: Say) -> SessionResult:
    def notify() -> None:
        clients.notify()

    store = RecordingStore(options.out, task=options.scene.task, notify=notify, log_event=say)
    session = Session(options, store, notify=notify)
    clients = PageClients(session)
    session.listeners.append(broadcast_states(clients))
    cameras = LiveCameras(
        _worker_head(options),
        session.world.robot.cameras,
        newest=lambda: session.loop_state if clients.all else None,
        setup=lambda: setup_as_json(session.reset_sample.setup),
        show=lambda picture: show_picture(clients, picture),
    )
    server = _server(place, listening, clients, say)
    session.start()
    tasks = [
        asyncio.create_task(store.run()),
        asyncio.create_task(cameras.run()),
        asyncio.create_task(_failure_of(session)),
    ]
    try:
        await serve_until_stopped(server, listening, tasks)
    finally:
        was_cut = session.stop()
        await _finish(store, say)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    stages = [recording.stage for recording in store.recordings]
    return SessionResult(
        out=str(options.out),
        session=store.session,
        kept=stages.count(RecordingStage.DONE),
        undone=stages.count(RecordingStage.UNDONE),
        unfinished=len(stages) - stages.count(RecordingStage.DONE) - stages.count(RecordingStage.UNDONE),
        was_cut=was_cut,
    )


async def _failure_of(session: Session) -> None:
    await asyncio.wrap_future(session.control.failed)


async def _finish(store: RecordingStore, say: Say) -> None:
    """Finish what was kept; a second Ctrl-C leaves it to the next start."""
    waiting = sum(each.stage in (RecordingStage.WAITING, RecordingStage.RENDERING) for each in store.recordings)
    if waiting:
        say("ending", waiting=waiting)
        interrupted = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
        both = {asyncio.create_task(store.finish()), asyncio.create_task(interrupted.wait())}
        _, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()


def _worker_head(options: SessionOptions) -> dict[str, Any]:
    return {"scene": asdict(options.scene), "height_px": _LIVE_HEIGHT_PX, "width_px": _LIVE_WIDTH_PX}


def _listening(place: PageAddress, *, trouble: Callable[[str], None]) -> Listener:
    try:
        return Listener(place.host, place.port, trouble=trouble)
    except OSError as error:
        raise CollectionRefused(
            f"{place.host}:{place.port}: {error.strerror or error}. Choose another with --port (0: any free one) "
            f"or --host."
        ) from None


def _server(place: PageAddress, listening: Listener, clients: PageClients, say: Say) -> PageServer:
    port = listening.port
    is_secure = not is_loopback(place.host)
    scheme = "https" if is_secure else "http"
    reached_at = addresses_of(place.host)
    addresses = [f"[{each}]" if ":" in each else each for each in reached_at]
    names = [*addresses, *([] if is_secure else ["localhost"])]
    access = Access((f"{name}:{port}" for name in names), scheme=scheme)

    def link() -> str:
        return f"{scheme}://{addresses[0]}:{port}/?token={access.new_token()}"

    certificate = certificate_for(reached_at) if is_secure else None
    config = uvicorn.Config(
        create_app(access, clients, listening, link=link, is_secure=is_secure),
        # Its warnings are about requests that are none: what a stranger sends must not fill the terminal.
        log_level="error",
        http="h11",
        # Who is connected is what the socket says: a header must not speak for another connection.
        proxy_headers=False,
        backlog=_BACKLOG,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        # A connection that is gone without a word is noticed in the end; the watchdog holds the robot long before.
        ws_ping_interval=10,
        ws_ping_timeout=15,
        ws_per_message_deflate=False,  # pictures do not shrink, and compressing takes time from the loop
        timeout_graceful_shutdown=2,
        lifespan="off",
    )
    config.load()
    if certificate is not None:
        config.ssl = context_of(certificate)
    say("ready", url=link(), fingerprint=None if certificate is None else certificate.fingerprint)
    return PageServer(config)
