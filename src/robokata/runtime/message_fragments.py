"""Websocket connections whose messages come in a bounded number of fragments."""

from __future__ import annotations

from typing import Any

MOST_FRAGMENTS = 65_536
"""64 MB in pieces of 1 kB. The library limits a message's bytes only: pieces of no bytes would be kept without end."""


def bounded(connection: type[Any]) -> type[Any]:
    """A kind of connection of `websockets.sync` that hangs up where a message has more fragments than that."""

    class Bounded(connection):  # type: ignore[misc]
        """The kind, counting. A class, because its library asks for one."""

        fragments = 0

        def process_event(self, event: Any) -> None:
            """Count a frame of data, then do what the library does."""
            opcode = getattr(event, "opcode", None)
            if opcode is not None and opcode < 0x8:  # RFC 6455, 5.2: control frames begin at 8
                self.fragments = 0 if event.fin else self.fragments + 1
                if self.fragments > MOST_FRAGMENTS:
                    self.close_socket()
                    return
            super().process_event(event)

    return Bounded
