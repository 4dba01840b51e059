"""Servers that never come to an end, each in another place of what it says; real sockets on the loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONGEST_S = 5.0
"""They end then, whatever the client does: a test must not hang."""
Talk = Callable[[socket.socket, float], None]


def drip(connection: socket.socket, ends_s: float, data: bytes) -> None:
    """A byte every 50 ms."""
    for byte in data:
        if time.monotonic() > ends_s:
            return
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def again(connection: socket.socket, ends_s: float, data: bytes, *, pause_s: float = 0.0) -> None:
    """The same, without end."""
    while time.monotonic() < ends_s:
        connection.sendall(data)
        time.sleep(pause_s)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HTTP: dict[str, Talk] = {
    "nothing": lambda c, end: time.sleep(max(0, end - time.monotonic())),
    "status line": lambda c, end: drip(c, end, b"HTTP/1.1 200 " + b"O" * 999),
    "headers": lambda c, end: (c.sendall(OK), drip(c, end, b"X: " + b"a" * 999))[1],
    "one header after the other": lambda c, end: (c.sendall(OK), again(c, end, b"X: y\r\n", pause_s=0.05))[1],
    "100 Continue": lambda c, end: again(c, end, b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.05),
    "100 Continue, fast": lambda c, end: again(c, end, b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "body": lambda c, end: (c.sendall(OK + b"Content-Length: 999\r\n\r\n"), drip(c, end, b"x" * 999))[1],
    "body without length": lambda c, end: (c.sendall(OK + b"\r\n"), drip(c, end, b"{" + b" " * 999))[1],
    "chunk size": lambda c, end: (c.sendall(CHUNKED), drip(c, end, b"1" + b";x" * 999))[1],
    "chunks": lambda c, end: (c.sendall(CHUNKED), again(c, end, b"1\r\n \r\n", pause_s=0.05))[1],
    "trailers": lambda c, end: (c.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n"), again(c, end, b"X: y\r\n", pause_s=0.05))[1],
    "trailers, fast": lambda c, end: (c.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n"), again(c, end, b"X: y\r\n" * 99))[1],
}


@contextmanager
def server(talk: Talk, *, reads: bool = True) -> Iterator[int]:
    """A server of one connection; its port."""
    ends_s = time.monotonic() + LONGEST_S

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            # A client that neither reads nor goes away would hold a send, or the first read, for ever.
            connection.settimeout(LONGEST_S)
            with connection:
                if reads:
                    connection.recv(65536)
                talk(connection, ends_s)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(LONGEST_S)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(3 * LONGEST_S)
    assert not thread.is_alive()


def shake_hands(connection: socket.socket) -> None:
    """The server's side of a websocket's beginning."""
    import base64
    import hashlib

    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    connection.sendall(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
