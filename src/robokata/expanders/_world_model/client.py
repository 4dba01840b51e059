"""Asking a world model over HTTP: one POST per episode, with a deadline, retries, and a limit on what may come back."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from robokata.core.errors import EndlessHead, GeneratorFailed, RecipeRefused
from robokata.runtime.http_exchange import Request, exchange

PROTOCOL = "robokata-world-model/1"
TOKEN = "ROBOKATA_WORLD_MODEL_TOKEN"
"""Environment variable whose value is sent as `Authorization: Bearer`; it is stored nowhere."""
_TRY_AGAIN = (429, 502, 503, 504)
"""Answers that mean later, not never (RFC 9110, RFC 6585)."""
_SHOWN = 300
"""Characters of a server's complaint that are shown."""
_MOST_ITEMS = 200_000
"""Values of an answer: a minute of four cameras at 30 Hz has 7,200 pictures."""
_MOST_WIDE_BYTES = 16 * 2**20
"""Largest answer that may hold other characters than ASCII."""


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
    parts = urlsplit(server.url)
    place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_secure = parts.scheme == "https"
    try:
        answer = exchange(
            Request("POST", place, _headers(), body),
            host=parts.hostname or "",
            port=parts.port or (443 if is_secure else 80),
            tls=ssl.create_default_context() if is_secure else None,
            limit_s=server.timeout_s,
            most_bytes=server.max_response_bytes,
        )
    except TimeoutError:
        raise GeneratorFailed("stalled", f"{server.url}: no answer within {server.timeout_s:g} s.") from None
    except EndlessHead as error:
        raise GeneratorFailed("stalled", f"{server.url}: no answer, but {error}.") from None
    except OverflowError:
        raise GeneratorFailed(
            "too_large", f"{server.url}: answers with more than {server.max_response_bytes} bytes."
        ) from None
    except (http.client.HTTPException, OSError, UnicodeError) as error:
        said = " ".join(str(error).split())[:_SHOWN] or type(error).__name__
        raise GeneratorFailed("unreachable", f"{server.url}: {said}. Is the server up?") from None
    if answer.status != 200:
        raise _complaint(server, answer.status, answer.body)
    return _json(server, answer.body)


def _headers() -> dict[str, str]:
    token = os.environ.get(TOKEN)
    usual = {"Content-Type": "application/json", "Accept": "application/json"}
    return usual | ({"Authorization": f"Bearer {token}"} if token else {})


def _complaint(server: Server, status: int, data: bytes) -> GeneratorFailed:
    said = " ".join(data[:_SHOWN].decode(errors="replace").split()) or "no reason"
    if status in _TRY_AGAIN:
        return GeneratorFailed("busy", f"{server.url}: answers {status}, also when asked again: {said}")
    if 300 <= status < 500:
        return GeneratorFailed("refused", f"{server.url}: refuses with {status}: {said}")
    return GeneratorFailed("server_error", f"{server.url}: fails with {status}: {said}")


def _json(server: Server, data: bytes) -> dict[str, Any]:
    # Counted before anything is made of them: two bytes of an empty list cost Python sixty. Text may hold a few more.
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > _MOST_ITEMS:
        raise GeneratorFailed("bad_message", f"{server.url}: answers with more than {_MOST_ITEMS:,} items.")
    # Pictures are base64: one wide character would make four bytes of every byte of theirs.
    if len(data) > _MOST_WIDE_BYTES and not data.isascii():
        raise GeneratorFailed(
            "bad_message", f"{server.url}: answers {len(data):,} bytes that are not ASCII; write \\u escapes."
        )
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        shown = data[:40].decode(errors="replace")
        raise GeneratorFailed("bad_message", f"{server.url}: answers no JSON, but {shown!r}.") from None
    if not isinstance(found, dict):
        raise GeneratorFailed("bad_message", f"{server.url}: answers a {type(found).__name__}, not an object.")
    return found
