"""A slot between two threads that holds the newest command only."""

from __future__ import annotations

import threading
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Delivery(NamedTuple, Generic[T]):
    """The newest item, as it is taken."""

    item: T
    overwritten: int
    """How many came and were replaced unread since the last `take`."""


class LatestCommand(Generic[T]):
    """Room for one item between two threads: a later one replaces it.

    A queue would do the wrong thing when the reader is late: it would replay the past.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delivery: Delivery[T] | None = None

    def put(self, item: T) -> None:
        """Leave the newest."""
        with self._lock:
            unread = 0 if self._delivery is None else self._delivery.overwritten + 1
            self._delivery = Delivery(item, unread)

    def take(self) -> Delivery[T] | None:
        """Empty it."""
        with self._lock:
            delivery, self._delivery = self._delivery, None
            return delivery
