"""Browsers that are connected: what each is sent, newest first, and what its commands become."""

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

from robokata.collection.page.access import Session
from robokata.collection.session.client_clock import ClientClock, Exchange
from robokata.collection.session.commands import command_of
from robokata.collection.session.session import Cockpit
from robokata.core.errors import CommandRefused

_MOST_ANSWERS = 256
"""Pongs and receipts that wait for a slow browser; older ones are of no use."""
_MOST_WATCHERS, _MOST_WINDOWS = 16, 4
"""Connections that watch, and of one browser that may drive: its room is its own, however many watch."""
_SLOW_CLIENT_S = 15.0
"""A browser that has taken nothing for so long is gone."""


class Client:
    """One connection. A class, because messages wait in it.

    Every kind of news has room for one: a browser that is slow gets the newest of each, and never a backlog.
    """

    def __init__(self, socket: WebSocket, session: Session) -> None:
        self.socket, self.session = socket, session
        self.name = session.name
        self.clock = ClientClock()
        self.pings: dict[int, int] = {}
        """Client's send time -> our answer time, for exchanges that are not complete."""
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


class Clients:
    """All connections, and which one drives. A class, because they come and go."""

    def __init__(self, cockpit: Cockpit) -> None:
        self.cockpit = cockpit
        self.all: list[Client] = []
        self.driver: Client | None = None

    def has_room(self, session: Session) -> bool:
        """True where one more connection of a session may come."""
        if session.may_drive:
            return sum(each.session == session for each in self.all) < _MOST_WINDOWS
        return sum(not each.session.may_drive for each in self.all) < _MOST_WATCHERS

    def show(self, topic: str, message: str | bytes) -> None:
        """Send everybody the newest of a topic."""
        for client in self.all:
            client.show(topic, message)

    def tell(self) -> None:
        """Send everybody what changes seldom."""
        status = self.cockpit.status()
        watchers = len(self.all) - (self.driver is not None)
        for client in self.all:
            mine = {
                "drives": client is self.driver,
                "may_drive": client.session.may_drive,
                "somebody_drives": self.driver is not None,
                "watchers": watchers,
                "round_trip_ms": client.clock.best.round_trip_ns / 1e6 if client.clock.best else None,
            }
            client.show("status", json.dumps({**status, **mine}))

    async def serve(self, client: Client) -> None:
        """One connection from its beginning to its end."""
        self.all.append(client)
        if client.session.may_drive and (self.driver is None or self.driver.session != client.session):
            # A new link hands over; another tab of the same browser watches until the first is closed.
            self.driver = client
        self.tell()
        sender = asyncio.create_task(client.send_all())
        try:
            await self._listen(client, sender)
        finally:
            sender.cancel()
            self.all.remove(client)
            if self.driver is client:
                # What it last said is held by the watchdog; another window that may drive takes over.
                self.driver = next((each for each in self.all if each.session.may_drive), None)
            self.tell()

    async def _listen(self, client: Client, sender: asyncio.Task[None]) -> None:
        while True:
            listening = asyncio.create_task(client.socket.receive_text())
            done, _ = await asyncio.wait({listening, sender}, return_when=asyncio.FIRST_COMPLETED)
            if listening not in done:
                listening.cancel()
                return  # it takes nothing any more
            try:
                text = listening.result()
            except (WebSocketDisconnect, RuntimeError, KeyError):
                return  # gone, or it sent bytes, which is no language of ours
            await self._heard(client, text, received_ns=time.monotonic_ns())

    async def _heard(self, client: Client, text: str, *, received_ns: int) -> None:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            self._refuse(client, None, "not JSON")
            return
        kind = said.get("type") if isinstance(said, dict) else None
        if kind == "ping":
            _pong(client, said, received_ns)
        elif kind == "clock":
            _exchange(client, said)
        elif kind == "take_over" and client.session.may_drive:
            self.driver = client
            self.tell()
        elif client is not self.driver:
            self._refuse(client, said, "this page only watches")
        elif kind == "act":
            await self._act(str(said.get("do")))
        else:
            self._command(client, said, received_ns)

    async def _act(self, what: str) -> None:
        workshop = self.cockpit.workshop
        also = {"keep_cut": workshop.keep_cut, "discard_cut": workshop.discard_cut, "retry": workshop.retry}
        if what in also:
            also[what]()
        await self.cockpit.act(what)

    def _command(self, client: Client, said: Any, received_ns: int) -> None:
        cockpit = self.cockpit
        try:
            command = command_of(said, cockpit.bounds, client=client.name, clock=client.clock, received_ns=received_ns)
        except CommandRefused as error:
            self._refuse(client, said, str(error))
            return
        cockpit.control.boxes[command.arm].put(command)

    def _refuse(self, client: Client, said: Any, why: str) -> None:
        if client is self.driver:
            self.cockpit.refused[_short(why)] += 1
        sequence = said.get("seq") if isinstance(said, dict) else None
        client.answer({"type": "refused", "seq": sequence if isinstance(sequence, int) else None, "why": why})


def _pong(client: Client, said: dict[str, Any], received_ns: int) -> None:
    sent_ms = said.get("t_ms")
    if not isinstance(sent_ms, (int, float)) or not math.isfinite(sent_ms) or not 0 <= sent_ms < 1e13:
        return
    if len(client.pings) > 32:
        client.pings.clear()
    client.pings[round(sent_ms * 1e6)] = received_ns
    client.answer({"type": "pong", "t_ms": sent_ms, "host_ms": received_ns / 1e6})


def _exchange(client: Client, said: dict[str, Any]) -> None:
    """The third leg: when the browser sent its ping, and when our answer came. Only pings that we answered count."""
    sent_ms, back_ms = said.get("sent_ms"), said.get("back_ms")
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
