"""One moment at which an exchange with another program is over, whatever that program sends until then."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Deadline:
    """The deadline of one exchange; use it as a context. A class, because a timer waits for it.

    Sockets that it watches are cut off in both directions when it passes: whoever reads or writes is woken and meets
    the end of the connection, in a status line, a header, a chunk's size, a trailer or a frame alike. A limit per read
    would begin anew with every byte that drips in.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._ends_s = time.monotonic() + limit_s
        self._watched: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(limit_s, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        if self.is_over:
            self._cut()

    @property
    def is_over(self) -> bool:
        """True once it has passed."""
        return time.monotonic() >= self._ends_s

    def left_s(self) -> float:
        """Time that is left, above 0.

        Raises:
            TimeoutError: none is.
        """
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def watch(self, connection: socket.socket) -> None:
        """Cut this one off when the deadline passes, which may be now."""
        with self._lock:
            self._watched.append(connection)
        if self.is_over:
            self._cut()

    def connect(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> socket.socket:
        """A connection that is watched: name, addresses one after the other, and TLS, all within the time.

        Raises:
            TimeoutError: it took longer.
            OSError: nobody is there, or TLS fails.
        """
        found = within(self.left_s(), lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        plain = self._connected(found)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                # The handshake as a whole takes no longer than a socket's limit.
                plain.settimeout(self.left_s())
                plain = tls.wrap_socket(plain, server_hostname=host)
            plain.settimeout(None)
            self.watch(plain)
        except BaseException:
            plain.close()
            raise
        return plain

    def _connected(self, found: list[Any]) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in found:
            attempt = socket.socket(family, kind, protocol)
            try:
                attempt.settimeout(self.left_s())
                attempt.connect(address)
            except OSError as error:
                attempt.close()
                failure = error
            else:
                return attempt
        raise failure or OSError("the name has no address")

    def _cut(self) -> None:
        with self._lock:
            for each in self._watched:
                with contextlib.suppress(OSError):
                    # Of the connection below TLS: its goodbye would wait for the other side.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)


def within(limit_s: float, call: Callable[[], Value]) -> Value:
    """The value of a call that cannot be interrupted; one that takes longer is left behind, to end by itself.

    Raises:
        TimeoutError: it took longer.
    """
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((True, call()))
        except BaseException as error:  # noqa: BLE001  # raised again where the value is waited for
            answers.put((False, error))

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        is_value, answer = answers.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError from None
    if not is_value:
        raise answer
    value: Value = answer
    return value
