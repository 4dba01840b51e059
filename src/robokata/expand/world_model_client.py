"""Asking a world model over HTTP: one POST per episode, with a deadline, retries, and a limit on what may come back."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from robokata.core.errors import GeneratorFailed, RecipeRefused

PROTOCOL = "robokata-world-model/1"
TOKEN = "ROBOKATA_WORLD_MODEL_TOKEN"
"""Environment variable whose value is sent as `Authorization: Bearer`; it is stored nowhere."""
_TRY_AGAIN = (429, 502, 503, 504)
"""Answers that mean later, not never (RFC 9110, RFC 6585)."""
_SHOWN = 300
"""Characters of a server's complaint that are shown."""


@dataclass(frozen=True)
class Server:
    """Where the world model is, and how long it may take."""

    url: str
    timeout_s: float = 600.0
    """For one episode from first byte sent to last received: a diffusion model makes some ten frames per second."""
    retries: int = 2
    """Of what may be over in a moment: no connection, a busy server. What it refuses is not asked again."""
    wait_s: float = 2.0
    """Before the first retry; doubled for each further one."""
    max_request_bytes: int = 512 * 2**20
    """A minute of four cameras at 30 Hz and 480x640 as JPEG has some 300 MB."""
    max_response_bytes: int = 512 * 2**20

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RecipeRefused(f"{self.url!r} is no address of a world model. Write http://HOST:PORT/PATH.")
        if parts.username or parts.password:
            raise RecipeRefused(f"the address holds a password, and would be written down. Set {TOKEN} instead.")


def ask(server: Server, question: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """The answer to a question, as JSON.

    Raises:
        GeneratorFailed: nobody answers, or not in time, or with an error, or with more than may come.
    """
    body = json.dumps(question).encode()
    if len(body) > server.max_request_bytes:
        raise GeneratorFailed(
            "too_large",
            f"episode {question['id']} makes a request of {len(body)} bytes; at most "
            f"{server.max_request_bytes} are sent. Send fewer cameras or controls, or encoding=mp4.",
        )
    wait_s = server.wait_s
    for left in range(server.retries, -1, -1):
        try:
            return _asked_once(server, body)
        except GeneratorFailed as failure:
            if left == 0 or failure.kind not in ("unreachable", "busy"):
                raise
            sleep(wait_s)
            wait_s *= 2
    raise AssertionError("unreachable")  # the loop returns or raises


def _asked_once(server: Server, body: bytes) -> dict[str, Any]:
    ends = time.monotonic() + server.timeout_s
    connection = _connection(server)
    try:
        parts = urlsplit(server.url)
        place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", place, body, _headers())
        # Closed by itself: an answer that is not read to its end keeps the socket.
        with closing(connection.getresponse()) as answer:
            data = _read(connection, answer, server, ends)
    except TimeoutError:
        raise GeneratorFailed("stalled", f"{server.url}: no answer within {server.timeout_s:g} s.") from None
    except (http.client.HTTPException, OSError) as error:
        said = str(error) or type(error).__name__
        raise GeneratorFailed("unreachable", f"{server.url}: {said}. Is the server up?") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise _complaint(server, answer.status, data)
    return _json(server, data)


def _connection(server: Server) -> http.client.HTTPConnection:
    parts = urlsplit(server.url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=server.timeout_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=server.timeout_s)


def _headers() -> dict[str, str]:
    token = os.environ.get(TOKEN)
    usual = {"Content-Type": "application/json", "Accept": "application/json"}
    return usual | ({"Authorization": f"Bearer {token}"} if token else {})


def _read(
    connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, server: Server, ends: float
) -> bytes:
    """The body, piece by piece: a server that drips one byte per second must not outlast the deadline."""
    pieces: list[bytes] = []
    size = 0
    while True:
        left_s = ends - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left_s)
        piece = answer.read1(1 << 20)
        if not piece:
            if answer.length:  # bytes that the header promised and that never came
                raise http.client.IncompleteRead(b"", answer.length)
            return b"".join(pieces)
        size += len(piece)
        if size > server.max_response_bytes:
            raise GeneratorFailed(
                "too_large", f"{server.url}: answers with more than {server.max_response_bytes} bytes."
            )
        pieces.append(piece)


def _complaint(server: Server, status: int, data: bytes) -> GeneratorFailed:
    said = data[:_SHOWN].decode(errors="replace").strip() or "no reason"
    if status in _TRY_AGAIN:
        return GeneratorFailed("busy", f"{server.url}: answers {status}, also when asked again: {said}")
    if 300 <= status < 500:
        return GeneratorFailed("refused", f"{server.url}: refuses with {status}: {said}")
    return GeneratorFailed("server_error", f"{server.url}: fails with {status}: {said}")


def _json(server: Server, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        shown = data[:40].decode(errors="replace")
        raise GeneratorFailed("bad_message", f"{server.url}: answers no JSON, but {shown!r}.") from None
    if not isinstance(found, dict):
        raise GeneratorFailed("bad_message", f"{server.url}: answers a {type(found).__name__}, not an object.")
    return found
