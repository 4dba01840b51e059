"""The page's HTTP and WebSocket server: a token admits, one browser drives, the others watch."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, RedirectResponse, Response

from robokata.collection.page.access import COOKIE, Access, Visitor
from robokata.collection.page.clients import PageClient, PageClients
from robokata.collection.page.live_cameras import LivePicture
from robokata.collection.page.scene_message import scene_message
from robokata.collection.session.control_loop import LoopState
from robokata.runtime.listener import Listener

LARGEST_MESSAGE_BYTES = 16 * 1024
"""A command has 500 bytes."""
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_GEOMS, _PICTURE = 1, 2
_HEADERS = {
    # Nothing but ourselves: no inline script, no other site's frame around us.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class PageServer(uvicorn.Server):
    """uvicorn, ended by us: it must not take the signals of the program that it is a part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def create_app(
    access: Access, clients: PageClients, listener: Listener, *, link: Callable[[], str], is_secure: bool
) -> FastAPI:
    """The routes: the page, its files, a new link, the socket."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_guard(app, access, listener)
    _add_pages(app, access, is_secure=is_secure)

    @app.post("/link")
    async def _link(request: Request) -> Response:
        visitor = _visitor_from(access, request, needs_origin=True)
        return JSONResponse({"url": link()}) if visitor is not None and visitor.may_drive else _nothing()

    @app.websocket("/socket")
    async def _socket(connection: WebSocket) -> None:
        visitor = _visitor_from(access, connection, needs_origin=True)
        if visitor is None or not clients.has_room(visitor):
            await connection.close()
            return
        listener.admit(connection.client)
        await connection.accept()
        client = PageClient(connection, visitor)
        client.answer(scene_message(clients.session))
        await clients.serve(client)

    return app


def _visitor_from(access: Access, asked: Request | WebSocket, *, needs_origin: bool = False) -> Visitor | None:
    host, origin = asked.headers.get("host"), asked.headers.get("origin")
    if not access.is_ours(host=host, origin=origin, needs_origin=needs_origin):
        return None
    return access.visitor(asked.cookies.get(COOKIE))


def _add_guard(app: FastAPI, access: Access, listener: Listener) -> None:
    @app.middleware("http")
    async def _guarded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        host, origin = request.headers.get("host"), request.headers.get("origin")
        if not access.is_ours(host=host, origin=origin, needs_origin=False):
            return _nothing()
        if access.visitor(request.cookies.get(COOKIE)) is not None:
            listener.renew(request.client)
        response = await go_on(request)
        response.headers.update(_HEADERS)
        return response


def _add_pages(app: FastAPI, access: Access, *, is_secure: bool) -> None:
    files = _page_files()

    @app.get("/")
    async def _page(request: Request) -> Response:
        token = request.query_params.get("token")
        if token is None:
            return _nothing() if _visitor_from(access, request) is None else _file(files, "index.html")
        secret = access.redeem(token, known=request.cookies.get(COOKIE))
        if secret is None:
            return _nothing()
        # On to an address without the token: it must not stay in the history or on a shared screen.
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=is_secure, path="/")
        return answer

    @app.get("/page/{name}")
    async def _part(request: Request, name: str) -> Response:
        return _nothing() if _visitor_from(access, request) is None else _file(files, name)


def broadcast_states(clients: PageClients) -> Callable[[LoopState], None]:
    """What shows every connected browser the moments of the loop."""
    names = clients.session.world.arms

    def show(loop_state: LoopState) -> None:
        for applied in loop_state.applied:
            driver = clients.driver
            if driver is not None and driver.name == applied.command.client:
                driver.answer(
                    {
                        "type": "applied",
                        "arm": applied.command.arm,
                        "seq": applied.command.sequence,
                        "t_ms": applied.command.client_ns / 1e6,
                        "received_ms": applied.command.received_ns / 1e6,
                        "applied_ms": applied.applied_ns / 1e6,
                        "overwritten": applied.overwritten,
                    }
                )
        if loop_state.number % 2 and clients.all:
            clients.show("geoms", _geoms(loop_state))
            clients.show("state", json.dumps(_state(loop_state, names)))
        if loop_state.number % 10 == 0:
            clients.notify()

    return show


def show_picture(clients: PageClients, picture: LivePicture) -> None:
    """Send everybody one camera's newest picture."""
    head = struct.pack("<BBxxxxxxd", _PICTURE, picture.camera, picture.time_s)
    clients.show(f"camera {picture.camera}", head + picture.jpeg)


async def serve_until_stopped(server: PageServer, listening: socket.socket, tasks: list[asyncio.Task[None]]) -> None:
    """Serve until Ctrl-C (or SIGTERM), or until a task fails.

    Raises:
        BaseException: what a task failed with.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    waiting = asyncio.create_task(stopped.wait())
    try:
        done, _ = await asyncio.wait({serving, waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        server.should_exit = True
        waiting.cancel()
        await asyncio.wait({serving})
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _geoms(loop_state: LoopState) -> bytes:
    poses = np.concatenate([loop_state.geoms_m, loop_state.geoms_turn], axis=1).astype("<f4")
    return struct.pack("<BxxxxxxxdI4x", _GEOMS, loop_state.time_s, len(poses)) + poses.tobytes()


def _state(loop_state: LoopState, arms: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "state",
        "number": loop_state.number,
        "scene": loop_state.scene,
        "time_s": loop_state.time_s,
        "tips": dict(zip(arms, loop_state.tips.tolist(), strict=True)),
        "commands": dict(zip(arms, loop_state.commands.tolist(), strict=True)),
        "openings": dict(zip(arms, loop_state.openings, strict=True)),
        "state": loop_state.state.tolist(),
        "action": loop_state.action.tolist(),
        "objects": loop_state.objects.tolist(),
        "success": loop_state.success,
    }


def _page_files() -> dict[str, bytes]:
    folder = resources.files("robokata.collection.page") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def _file(files: dict[str, bytes], name: str) -> Response:
    kind = _TYPES.get(name.rpartition(".")[2])
    if name not in files or kind is None:
        return _nothing()
    return Response(files[name], media_type=kind)


def _nothing() -> Response:
    return Response(status_code=403)
