"""Progress of a long job: how much there is, then each time some of it is done."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far a job has come."""

    def started(self, total: int) -> None:
        """The job is about to begin; `total` is the number of its parts."""
        ...

    def advance(self, count: int = 1) -> None:
        """So many further parts are done."""
        ...


class Silent:
    """Progress that nobody looks at."""

    def started(self, total: int) -> None:
        """Ignore it."""

    def advance(self, count: int = 1) -> None:
        """Ignore it."""


SILENT = Silent()
