"""A progress bar on standard error with the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robokata.runtime.progress import Progress


@contextmanager
def progress_bar(title: str, *, of: str = "episodes") -> Iterator[Progress]:
    """A bar on standard error with the time left; silent where standard error is no terminal. `of`: what is counted."""
    from rich import progress as shown
    from rich.console import Console

    console = Console(stderr=True)
    bar = shown.Progress(
        shown.TextColumn("{task.description}"),
        shown.BarColumn(),
        shown.MofNCompleteColumn(),
        shown.TextColumn(of),
        shown.TimeElapsedColumn(),
        shown.TextColumn("left"),
        shown.TimeRemainingColumn(),
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

    def started(self, total: int) -> None:
        self._task = self._progress.add_task(self._title, total=total)

    def advance(self, count: int = 1) -> None:
        self._progress.advance(self._task, count)
