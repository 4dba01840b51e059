"""A listening socket with few connections, each of which has to show in time what it wants."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

MOST_CONNECTIONS = 64
"""A page of ours opens six at once, a study one per worker; a robot has one."""
HEAD_S = 10.0
"""Time for a TLS handshake, a request's head and its answer: a thousand times what they take on a slow network."""
_LOOK_EVERY_S = 0.25
_QUIET_S = 60.0
"""One line about descriptors that ran out, and no further one for so long."""
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener(socket.socket):
    """Accepts connections, for a server that says which of them it knows. A class, because it is a socket.

    A connection has `head_s` until the server calls `admit` (it stays) or `renew` (it has so long again); then it is
    cut off. Where there are too many, the oldest that was not admitted gives way to the newest: connections that say
    nothing never keep others out. Where the system has no descriptor left, new connections are closed at once, and
    `trouble` is called with one line.
    """

    def __init__(self, host: str, port: int, *, trouble: Callable[[str], None]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
        super().__init__(fileno=bound.detach())
        self.head_s, self._trouble = HEAD_S, trouble
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # A quarter: recordings, pictures and children need theirs whatever comes from outside.
        self.most = min(MOST_CONNECTIONS, max(4, soft // 4)) if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS
        self._spare: int | None = _spare()
        self._known: dict[tuple[str, int], _Connection] = {}
        self._lock = threading.RLock()
        self._is_over = threading.Event()
        self._said_s = -_QUIET_S
        threading.Thread(target=self._look, name="listener", daemon=True).start()

    @property
    def port(self) -> int:
        """Port that it listens at."""
        return int(self.getsockname()[1])

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            BlockingIOError: there is none, on a socket that does not block.
            OSError: the socket is closed.
        """
        while True:
            try:
                number, address = self._accept()  # type: ignore[attr-defined]  # what socket.accept itself calls
                break
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._refuse_one(error)
            if self.gettimeout() == 0.0:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        connection = _Connection(self, address, number)
        with self._lock:
            if len(self._known) >= self.most:
                self._make_room()
            self._known[connection.peer] = connection
        return connection, address

    def admit(self, peer: Any) -> None:
        """Keep a connection for as long as it lasts: the server knows what it wants."""
        with self._lock:
            if (found := self._known.get(_peer(peer))) is not None:
                found.ends_s = float("inf")

    def renew(self, peer: Any) -> None:
        """Give a connection its time again: the server has answered one request of it, and knows whose it is."""
        with self._lock:
            if (found := self._known.pop(_peer(peer), None)) is not None:
                found.ends_s = time.monotonic() + self.head_s
                self._known[found.peer] = found  # at the end: the youngest

    def cut(self, peer: Any) -> None:
        """End a connection now."""
        with self._lock:
            if (found := self._known.get(_peer(peer))) is not None:
                found.cut()

    def forget(self, connection: _Connection) -> None:
        """Its socket is closed."""
        with self._lock:
            if self._known.get(connection.peer) is connection:
                del self._known[connection.peer]

    def close(self) -> None:
        """Listen no more; connections stay."""
        self._is_over.set()
        self._close_spare()
        super().close()

    def _make_room(self) -> None:
        # Insertion order is age. Where all are admitted, the server has its own limit, which is lower.
        oldest = next((each for each in self._known.values() if each.ends_s != float("inf")), None)
        if oldest is not None:
            oldest.cut()
            del self._known[oldest.peer]

    def _look(self) -> None:
        """Cut off what has outlived its time."""
        while not self._is_over.wait(_LOOK_EVERY_S):
            now_s = time.monotonic()
            with self._lock:
                for each in self._known.values():
                    if each.ends_s <= now_s:
                        each.cut()

    def _refuse_one(self, error: OSError) -> None:
        """Close the next connection with the spare descriptor: else the server would be woken for it for ever."""
        if time.monotonic() - self._said_s >= _QUIET_S:
            self._said_s = time.monotonic()
            self._trouble(f"New connections are refused: {os.strerror(error.errno or 0).lower()}.")
        self._close_spare()
        try:
            with contextlib.suppress(OSError):
                os.close(self._accept()[0])  # type: ignore[attr-defined]
            self._spare = _spare()
        except OSError:
            # Somebody else was faster: the next connections wait in the kernel for a moment.
            self._is_over.wait(_LOOK_EVERY_S)

    def _close_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            os.close(spare)


class _Connection(socket.socket):
    """One accepted connection. A class, because its listener hears when it is closed."""

    def __init__(self, listener: Listener, address: Any, number: int) -> None:
        super().__init__(listener.family, listener.type, listener.proto, fileno=number)
        self.setblocking(True)
        self.peer, self._listener = _peer(address), listener
        self.ends_s = time.monotonic() + listener.head_s

    def cut(self) -> None:
        """End it in both directions; whoever reads or writes is woken, and closes it."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it, when nothing cuts it at the same time."""
        with self._listener._lock:
            self._listener.forget(self)
            super().close()


def _peer(address: Any) -> tuple[str, int]:
    """Address and port; IPv6 has two further numbers, which not every server tells."""
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) and len(address) >= 2 else ("", 0)


def _spare() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
