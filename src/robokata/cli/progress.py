"""A progress bar on standard error with the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Bar(Protocol):
    """A progress bar: told the number of episodes, then each time some are done."""

    def started(self, episodes: int) -> None: ...
    def advance(self, episodes: int) -> None: ...


@contextmanager
def progress_bar(title: str, *, of: str = "episodes") -> Iterator[Bar]:
    """A bar on standard error with the time left; silent where standard error is no terminal. `of`: what is counted."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(of),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield _RichBar(bar, title)


class _RichBar:
    """A rich progress task. A class, because it remembers its task."""

    def __init__(self, progress: Any, title: str) -> None:
        self._progress, self._title, self._task = progress, title, None

    def started(self, episodes: int) -> None:
        self._task = self._progress.add_task(self._title, total=episodes)

    def advance(self, episodes: int) -> None:
        self._progress.advance(self._task, episodes)
