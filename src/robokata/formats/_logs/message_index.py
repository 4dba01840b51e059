"""Which messages of a log the values of a stream come from: what a writer of logs needs to copy them untouched."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from robokata.containers.logs.open_log import OpenLog
from robokata.core.clock import Clock
from robokata.core.values import Values


class Said(NamedTuple):
    """The topic behind a stream."""

    log: OpenLog
    number: int
    name: str
    """Name that the stream has in its log, before two of one name are told apart."""
    receive: Clock
    publish: Clock | None
    main: Clock
    """The clock that the reader gives to the topic's streams."""


_said: WeakKeyDictionary[Values, Said] = WeakKeyDictionary()


def remember(values: Values, said: Said) -> None:
    """Note where values come from; forgotten with them. Values that a step replaces have no note, and no messages."""
    _said[values] = said
    counts = said.log.streams_made
    counts[said.number] = counts.get(said.number, 0) + 1


def said_of(values: Values) -> Said | None:
    """The topic behind values, None where they come from elsewhere."""
    return _said.get(values)
