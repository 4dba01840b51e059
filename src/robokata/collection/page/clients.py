"""Connected browsers: the newest of everything goes to each of them, and the commands of one come in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections import deque
from typing import Any

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from robokata.collection.page.access import Visitor
from robokata.collection.session.client_clock import ClientClock, Exchange
from robokata.collection.session.commands import parse_command
from robokata.collection.session.session import Session
from robokata.core.errors import CommandRefused

_MOST_ANSWERS = 256
"""Pongs and receipts that wait for a slow browser; older ones are of no use."""
_MOST_WATCHERS, _MOST_WINDOWS = 16, 4
"""Connections that watch, and of one browser that may drive: its room is its own, however many watch."""
_SLOW_CLIENT_S = 15.0
"""A browser that has taken nothing for so long is gone."""


class PageClient:
    """One connection, and the messages that wait to be sent over it.

    Every kind of news has room for one: a browser that is slow gets the newest of each, and never a backlog.
    """

    def __init__(self, socket: WebSocket, visitor: Visitor) -> None:
        self.socket, self.visitor = socket, visitor
        self.name = visitor.name
        self.clock = ClientClock()
        self.pings: dict[int, int] = {}
        """The client's send time -> our answer time, for exchanges that are not complete."""
        self._news: dict[str, str | bytes] = {}
        self._answers: deque[str] = deque(maxlen=_MOST_ANSWERS)
        self._wake = asyncio.Event()

    def show(self, topic: str, message: str | bytes) -> None:
        """Send the newest of a topic, soon."""
        self._news[topic] = message
        self._wake.set()

    def answer(self, message: dict[str, Any]) -> None:
        """Send a message that no later one replaces."""
        self._answers.append(json.dumps(message))
        self._wake.set()

    async def send_all(self) -> None:
        """Send until the connection ends, or takes nothing any more."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            await self._send()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._answers or self._news:
                message = self._answers.popleft() if self._answers else self._news.pop(next(iter(self._news)))
                sending = (
                    self.socket.send_text(message) if isinstance(message, str) else self.socket.send_bytes(message)
                )
                await asyncio.wait_for(sending, _SLOW_CLIENT_S)


class PageClients:
    """All connections, and which one drives."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.all: list[PageClient] = []
        self.driver: PageClient | None = None

    def has_room(self, visitor: Visitor) -> bool:
        """True where one more connection of a visitor may come."""
        if visitor.may_drive:
            return sum(each.visitor == visitor for each in self.all) < _MOST_WINDOWS
        return sum(not each.visitor.may_drive for each in self.all) < _MOST_WATCHERS

    def show(self, topic: str, message: str | bytes) -> None:
        """Send everybody the newest of a topic."""
        for client in self.all:
            client.show(topic, message)

    def notify(self) -> None:
        """Send everybody what changes seldom."""
        status = self.session.status()
        watchers = len(self.all) - (self.driver is not None)
        for client in self.all:
            mine = {
                "drives": client is self.driver,
                "may_drive": client.visitor.may_drive,
                "somebody_drives": self.driver is not None,
                "watchers": watchers,
                "round_trip_ms": client.clock.best.round_trip_ns / 1e6 if client.clock.best else None,
            }
            client.show("status", json.dumps({**status, **mine}))

    async def serve(self, client: PageClient) -> None:
        """One connection from its beginning to its end."""
        self.all.append(client)
        if client.visitor.may_drive and (self.driver is None or self.driver.visitor != client.visitor):
            # A new link hands over; another tab of the same browser watches until the first is closed.
            self.driver = client
        self.notify()
        sender = asyncio.create_task(client.send_all())
        try:
            await self._listen(client, sender)
        finally:
            sender.cancel()
            self.all.remove(client)
            if self.driver is client:
                # What it last said is held by the watchdog; another window that may drive takes over.
                self.driver = next((each for each in self.all if each.visitor.may_drive), None)
            self.notify()

    async def _listen(self, client: PageClient, sender: asyncio.Task[None]) -> None:
        while True:
            listening = asyncio.create_task(client.socket.receive_text())
            done, _ = await asyncio.wait({listening, sender}, return_when=asyncio.FIRST_COMPLETED)
            if listening not in done:
                listening.cancel()
                return  # it takes nothing any more
            try:
                text = listening.result()
            except (WebSocketDisconnect, RuntimeError, KeyError):
                return  # gone, or it sent bytes, which the protocol does not have
            await self._handle_message(client, text, received_ns=time.monotonic_ns())

    async def _handle_message(self, client: PageClient, text: str, *, received_ns: int) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            self._refuse(client, None, "not JSON")
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ping":
            _pong(client, message, received_ns)
        elif kind == "clock":
            _exchange(client, message)
        elif kind == "take_over" and client.visitor.may_drive:
            self.driver = client
            self.notify()
        elif client is not self.driver:
            self._refuse(client, message, "this page only watches")
        elif kind == "act":
            await self._act(str(message.get("do")))
        else:
            self._command(client, message, received_ns)

    async def _act(self, what: str) -> None:
        store = self.session.store
        also = {"keep_cut": store.keep_cut, "discard_cut": store.discard_cut, "retry": store.retry}
        if what in also:
            also[what]()
        await self.session.act(what)

    def _command(self, client: PageClient, message: Any, received_ns: int) -> None:
        session = self.session
        try:
            command = parse_command(
                message, session.bounds, client=client.name, clock=client.clock, received_ns=received_ns
            )
        except CommandRefused as error:
            self._refuse(client, message, str(error))
            return
        session.control.latest_commands[command.arm].put(command)

    def _refuse(self, client: PageClient, message: Any, why: str) -> None:
        if client is self.driver:
            self.session.refused[_short(why)] += 1
        sequence = message.get("seq") if isinstance(message, dict) else None
        client.answer({"type": "refused", "seq": sequence if isinstance(sequence, int) else None, "why": why})


def _pong(client: PageClient, message: dict[str, Any], received_ns: int) -> None:
    sent_ms = message.get("t_ms")
    if not isinstance(sent_ms, (int, float)) or not math.isfinite(sent_ms) or not 0 <= sent_ms < 1e13:
        return
    if len(client.pings) > 32:
        client.pings.clear()
    client.pings[round(sent_ms * 1e6)] = received_ns
    client.answer({"type": "pong", "t_ms": sent_ms, "host_ms": received_ns / 1e6})


def _exchange(client: PageClient, message: dict[str, Any]) -> None:
    """The third leg: when the browser sent its ping, and when our answer came. Only pings that we answered count."""
    sent_ms, back_ms = message.get("sent_ms"), message.get("back_ms")
    if not all(
        isinstance(each, (int, float)) and math.isfinite(each) and 0 <= each < 1e13 for each in (sent_ms, back_ms)
    ):
        return
    assert isinstance(sent_ms, (int, float))
    assert isinstance(back_ms, (int, float))
    answered_ns = client.pings.pop(round(sent_ms * 1e6), None)
    if answered_ns is not None:
        client.clock.add(Exchange(round(sent_ms * 1e6), answered_ns, round(back_ms * 1e6)))


def _short(why: str) -> str:
    """Reasons are counted by kind, so the numbers in them go."""
    return " ".join(word for word in why.split() if not any(letter.isdigit() for letter in word))[:80]
