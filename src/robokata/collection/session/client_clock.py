"""Offset between another machine's clock and ours, from the exchange with the smallest round trip.

The offset of a symmetric exchange is off by at most half its round trip (Cristian, Distributed Computing 3 (1989) 146).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

REMEMBERED_NS = 60 * 1_000_000_000
"""Two quartz clocks drift apart by up to 0.1 ms per second: an older exchange is no longer the best."""


class Exchange(NamedTuple):
    """One question and its answer, on two clocks."""

    sent_client_ns: int
    answered_ours_ns: int
    back_client_ns: int

    @property
    def round_trip_ns(self) -> int:
        """Time on the way, both ways."""
        return self.back_client_ns - self.sent_client_ns

    @property
    def offset_ns(self) -> int:
        """Our clock minus theirs."""
        return self.answered_ours_ns - (self.sent_client_ns + self.back_client_ns) // 2


class ClientClock:
    """The latest exchanges with one client."""

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=256)

    def add(self, exchange: Exchange) -> None:
        """Take one more into account; those that cannot be are ignored."""
        if not 0 <= exchange.round_trip_ns < REMEMBERED_NS:
            return
        self._exchanges.append(exchange)
        while exchange.answered_ours_ns - self._exchanges[0].answered_ours_ns > REMEMBERED_NS:
            self._exchanges.popleft()

    @property
    def best(self) -> Exchange | None:
        """The exchange with the smallest round trip, None before the first."""
        return min(self._exchanges, key=lambda exchange: exchange.round_trip_ns, default=None)

    def ours_ns(self, client_ns: int) -> int | None:
        """A time on the client's clock as one on ours, None where nothing is known yet."""
        best = self.best
        return None if best is None else client_ns + best.offset_ns
