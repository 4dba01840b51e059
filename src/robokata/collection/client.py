"""Client of a session for programs: a leader arm, a script, a test. It speaks the page's protocol."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from robokata.core.errors import CollectionRefused, EndlessHead
from robokata.core.require import require
from robokata.runtime.deadline import Deadline
from robokata.runtime.http_exchange import Request, exchange
from robokata.runtime.message_fragments import bounded

_ANSWERS_S = 10.0
_GOODBYE_S = 3.0
_MOST_BYTES = 16 * 2**20
"""Largest message of the server: a picture has a hundredth of it."""
_PICTURE = 2
"""First byte of a message that holds a picture."""
_EXCHANGES = 8
"""Of clocks, before the first command: the one with the smallest round trip counts."""


class Operator:
    """A connection to a page's server; use it as a context.

    >>> with Operator("http://127.0.0.1:8100/?token=...") as operator:  # doctest: +SKIP
    ...     operator.act("record")
    ...     operator.joints("arm", [0, -0.2, 0, -2.4, 0, 2.2, 0.8], opening_share=1.0)
    ...     operator.act("keep")
    """

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None, cookie: str | None = None) -> None:
        parts = urlsplit(url)
        self.cookie = cookie or _session(url, tls)
        self.hello: dict[str, Any] = {}
        self.status: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.applied: dict[int, dict[str, Any]] = {}
        """By sequence number."""
        self.refused: list[dict[str, Any]] = []
        self.pictures = 0
        """Received, of all cameras together."""
        self._sequence = 0
        self._news = threading.Condition()
        origin = f"{parts.scheme}://{parts.netloc}"
        self._open = contextlib.ExitStack()
        client = require("websockets.sync.client", extra="collect")
        with Deadline(_ANSWERS_S) as deadline:
            connection = client.connect(
                f"{origin.replace('http', 'ws', 1)}/socket",
                sock=deadline.connect(parts.hostname or "", _port(url)),  # the library adds TLS
                ssl=tls,
                origin=origin,
                additional_headers={"Cookie": f"robokata_session={self.cookie}"},
                max_size=_MOST_BYTES,
                compression=None,
                open_timeout=deadline.left_s(),
                close_timeout=2.0,
                create_connection=bounded(client.ClientConnection),
            )
            self._socket = self._open.enter_context(connection)
        self._listener = threading.Thread(target=self._listen, name="operator", daemon=True)
        self._listener.start()
        self.until(lambda: self.hello and self.status and self.state)
        for _ in range(_EXCHANGES):
            self.send({"type": "ping", "t_ms": _now_ms()})
            time.sleep(0.01)
        self.until(lambda: self._exchanges >= 1)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the robot holds."""
        with Deadline(_GOODBYE_S) as deadline:
            deadline.watch(self._socket.socket)
            self._open.close()
        self._listener.join()

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(arm["name"] for arm in self.hello["arms"])

    def act(self, what: str) -> None:
        """`record`, `stop`, `keep`, `discard`, `skip`, `reset`, `undo`."""
        self.send({"type": "act", "do": what})

    def joints(self, arm: str, joints_rad: Sequence[float], *, opening_share: float | None = None) -> int:
        """Joint values to copy, base to tip; the command's sequence number."""
        return self.command(arm, "joints", joints_rad, opening=opening_share, device="leader")

    def twist(self, arm: str, twist: Sequence[float], *, opening_share: float | None = None) -> int:
        """Speeds of the tip in the world, m/s (3) and rad/s (3); the command's sequence number."""
        return self.command(arm, "twist", twist, opening=opening_share)

    def pose(self, arm: str, seven: Sequence[float], *, opening_share: float | None = None) -> int:
        """world_from_tip as x y z (m) and quaternion x y z w; the command's sequence number."""
        return self.command(arm, "pose", seven, opening=opening_share)

    def command(self, arm: str, kind: str, values: Sequence[float], **more: Any) -> int:
        """Any command of the schema; its sequence number."""
        self._sequence += 1
        said = {"v": 1, "type": "command", "arm": arm, "kind": kind, "values": [float(each) for each in values]}
        self.send({"device": "program", **said, "seq": self._sequence, "t_ms": _now_ms(), **more})
        return self._sequence

    def send(self, message: dict[str, Any]) -> None:
        """Any message; a server that takes none for ten seconds is hung up on."""
        with Deadline(_ANSWERS_S) as deadline:
            deadline.watch(self._socket.socket)
            self._socket.send(json.dumps(message))

    def until(self, holds: Any, *, patience_s: float = _ANSWERS_S) -> None:
        """Wait for something that the server tells.

        Raises:
            CollectionRefused: it does not happen in time, or the connection has ended.
        """
        end_s = time.monotonic() + patience_s
        with self._news:
            while not holds():
                left_s = end_s - time.monotonic()
                if left_s <= 0 or not self._listener.is_alive():
                    raise CollectionRefused(f"the server did not answer within {patience_s:g} s; it says {self.status}")
                self._news.wait(min(left_s, 0.1))

    _exchanges = 0

    def _listen(self) -> None:
        closed = require("websockets.exceptions", extra="collect").ConnectionClosed
        # What is no message of the page's ends the connection; whoever waits for an answer is told that it has ended.
        with contextlib.suppress(closed, OSError, ValueError, KeyError, IndexError, RecursionError):
            for message in self._socket:
                with self._news:
                    self._handle_message(message)
                    self._news.notify_all()

    def _handle_message(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.pictures += message[0] == _PICTURE
            return
        said = json.loads(message)
        kind = said.get("type") if isinstance(said, dict) else None
        if kind == "pong":
            self.send({"type": "clock", "sent_ms": said["t_ms"], "back_ms": _now_ms()})
            self._exchanges += 1
        elif kind == "applied":
            self.applied[said["seq"]] = said
        elif kind == "refused":
            self.refused.append(said)
        elif kind in ("hello", "status", "state"):
            setattr(self, kind, said)


def _session(url: str, tls: ssl.SSLContext | None) -> str:
    """The cookie that a token is exchanged for."""
    parts = urlsplit(url)
    # The Host by which the server knows itself: http.client leaves a usual port out.
    asked = Request("GET", f"/?{parts.query}", {"Host": parts.netloc})
    host, port = parts.hostname or "", _port(url)
    try:
        answer = exchange(asked, host=host, port=port, tls=tls, limit_s=_ANSWERS_S, most_bytes=_MOST_BYTES)
    except TimeoutError:
        raise CollectionRefused(f"{parts.netloc}: no answer within {_ANSWERS_S:g} s.") from None
    except (EndlessHead, OverflowError, http.client.HTTPException) as error:
        raise CollectionRefused(f"{parts.netloc}: is no page of ours: {error or type(error).__name__}.") from None
    cookie = (answer.headers.get("set-cookie") or "").partition(";")[0].partition("=")[2]
    if answer.status != 303 or not cookie:
        raise CollectionRefused(f"{parts.netloc}: this token opens nothing ({answer.status}). Open the printed URL.")
    return cookie


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _now_ms() -> float:
    return time.monotonic_ns() / 1e6
