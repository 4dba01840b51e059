"""The bytes of files that an episode lies in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable


class Extent(NamedTuple):
    """A file, or bytes `start` .. `end - 1` of it."""

    file: Path
    start: int | None = None
    """None: the file as a whole."""
    end: int | None = None
    said: bytes = b""
    """What else decides how these bytes are read, and lies elsewhere: a table's schema, a video's parameter sets and
    stamps, which of the rows are the episode's. Two extents of the same bytes and the same `said` read the same."""


@runtime_checkable
class Located(Protocol):
    """A Source that can tell which bytes an episode lies in. Optional: of any other, whole files are taken."""

    def extents(self, key: str) -> Sequence[Extent] | None:
        """What must stay as it is for the episode to read the same, as narrowly as is exact; None where that cannot
        be told.

        Raises:
            UnknownName: no episode has this id.
            DamagedData: what leads to its bytes is damaged.
        """
        ...
