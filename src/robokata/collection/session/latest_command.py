"""The newest command of each arm, and nothing older."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Mail(NamedTuple, Generic[T]):
    """What lay in a mailbox."""

    item: T
    overwritten: int
    """How many came and were replaced unread since the mailbox was last emptied."""


class Mailbox(Generic[T]):
    """Room for one: what comes later replaces it. A class, because two threads meet here.

    A queue would do the wrong thing when the reader is late: it would replay the past.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mail: Mail[T] | None = None

    def put(self, item: T) -> None:
        """Leave the newest."""
        with self._lock:
            unread = 0 if self._mail is None else self._mail.overwritten + 1
            self._mail = Mail(item, unread)

    def take(self) -> Mail[T] | None:
        """Empty it."""
        with self._lock:
            mail, self._mail = self._mail, None
            return mail


def mailboxes(names: Sequence[str]) -> dict[str, Mailbox[T]]:
    """One for each name."""
    return {name: Mailbox() for name in names}
