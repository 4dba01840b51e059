"""One HTTP request and its answer, within a time and a number of bytes that hold for the whole of it."""

from __future__ import annotations

import http.client
import io
import ssl
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from robokata.core.errors import EndlessHead
from robokata.runtime.deadline import Deadline

_MOST_HEAD_BYTES = 256 * 1024
"""Status line and headers, those of `100 Continue` included: servers send a thousandth of it."""


class Request(NamedTuple):
    """What is asked."""

    method: str
    place: str
    """Path and query."""
    headers: Mapping[str, str]
    body: bytes = b""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def exchange(
    request: Request, *, host: str, port: int, tls: ssl.SSLContext | None, limit_s: float, most_bytes: int
) -> Answer:
    """Ask once.

    Raises:
        TimeoutError: it took longer than `limit_s`, from the name's look-up to the last byte of the answer.
        EndlessHead: the headers, or trailers, do not end.
        OverflowError: the answer's body has more than `most_bytes`.
        OSError, http.client.HTTPException: nobody is there, or what comes is no answer.
    """
    with Deadline(limit_s) as deadline:
        try:
            connection = http.client.HTTPConnection(host, port)
            connection.response_class = _BoundedAnswer
            with closing(connection):
                connection.sock = deadline.connect(host, port, tls=tls)
                connection.request(request.method, request.place, request.body or None, dict(request.headers))
                # Closed by itself: an answer that is not read to its end keeps the socket.
                with closing(connection.getresponse()) as answer:
                    body = _body(answer, most_bytes)
                # An end that we made ourselves looks like the end of the answer.
                deadline.left_s()
                return Answer(answer.status, answer.msg, body)
        except (OSError, http.client.HTTPException, ValueError):
            # The connection was cut off under whatever was being read.
            if deadline.is_over:
                raise TimeoutError from None
            raise


def _body(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    answer.counted.left = most_bytes * 2 + _MOST_HEAD_BYTES  # type: ignore[attr-defined]  # chunks' sizes and trailers
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read1(1 << 20):
        size += len(piece)
        if size > most_bytes:
            raise OverflowError
        pieces.append(piece)
    if answer.length:  # bytes that the header promised and that never came
        raise http.client.IncompleteRead(b"", answer.length)
    return b"".join(pieces)


class _BoundedAnswer(http.client.HTTPResponse):
    """An answer whose bytes are counted as they come. A class, because the library asks for one."""

    def __init__(self, sock: Any, *words: Any, **more: Any) -> None:
        super().__init__(sock, *words, **more)
        self.fp.close()
        self.counted = _Counted(sock.makefile("rb", buffering=0))
        self.fp = io.BufferedReader(self.counted)


class _Counted(io.RawIOBase):
    """A stream that ends in an error after so many bytes. A class, because the library reads from it."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.left = raw, _MOST_HEAD_BYTES

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there.

        Raises:
            EndlessHead: more came than may.
        """
        count = int(self._raw.readinto(buffer) or 0)
        self.left -= count
        if self.left < 0:
            raise EndlessHead(f"headers of more than {_MOST_HEAD_BYTES:,} bytes")
        return count

    def close(self) -> None:
        """Close what it reads from."""
        self._raw.close()
        super().close()
