"""Clients of a policy server: how many at once, and which one gives way to another that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_QUIET_S = 60.0
"""A client that has asked before and says nothing for so long gives way: it connects again at its next attempt."""


@dataclass
class _Client:
    """When a client came and asked. Not frozen: its last question moves."""

    since_s: float
    last_s: float | None = None
    """End of the last question; None before the first."""
    is_asking: bool = False


class Clients:
    """Places for clients. A class, because they are taken and left.

    Where none is free, a client that has asked nothing within `first_question_s` gives way, the oldest first; then the
    one that has been quiet longest, if longer than a minute. `cut` ends a connection.
    """

    def __init__(self, most: int, *, first_question_s: float, cut: Callable[[Hashable], None]) -> None:
        self._most, self._first_question_s, self._cut = most, first_question_s, cut
        self._all: dict[Hashable, _Client] = {}
        self._news = threading.Condition()

    def take(self, who: Hashable, *, patience_s: float) -> bool:
        """Take a place; False where none becomes free in time."""
        ends_s = time.monotonic() + patience_s
        with self._news:
            while len(self._all) >= self._most:
                if (idle := self._idle()) is not None:
                    self._cut(idle)
                    del self._all[idle]
                elif (left_s := ends_s - time.monotonic()) > 0:
                    self._news.wait(min(left_s, 0.25))
                else:
                    return False
            self._all[who] = _Client(time.monotonic())
            return True

    def leave(self, who: Hashable) -> None:
        """Give a place back."""
        with self._news:
            self._all.pop(who, None)
            self._news.notify_all()

    def begin(self, who: Hashable) -> bool:
        """A question has come; False where this client has given way meanwhile."""
        with self._news:
            if who in self._all:
                self._all[who].is_asking = True
            return who in self._all

    def end(self, who: Hashable) -> None:
        """It is answered."""
        with self._news:
            self._all[who].is_asking, self._all[who].last_s = False, time.monotonic()

    def _idle(self) -> Hashable | None:
        """Who gives way, None where all are at work."""
        now_s = time.monotonic()
        silent = [w for w, c in self._all.items() if c.last_s is None and now_s - c.since_s >= self._first_question_s]
        quiet = [(c.last_s, w) for w, c in self._all.items() if c.last_s is not None and now_s - c.last_s >= _QUIET_S]
        at_work = {who for who, client in self._all.items() if client.is_asking}
        idle = [*silent, *(who for _, who in sorted(quiet, key=lambda each: each[0]))]
        return next((who for who in idle if who not in at_work), None)
