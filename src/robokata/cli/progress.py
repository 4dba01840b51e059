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
    try:
        yield _RichBar(bar, title)
    finally:
        bar.stop()


class _RichBar:
    """A bar that is shown from `started` until all is done: between two phases, and after them, text can be printed."""

    def __init__(self, bar: Any, title: str) -> None:
        self._bar, self._title, self._task, self._left = bar, title, None, 0

    def started(self, total: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task, self._left = self._bar.add_task(self._title, total=total), total
        self._bar.start()

    def advance(self, count: int = 1) -> None:
        self._bar.advance(self._task, count)
        self._left -= count
        if self._left <= 0:
            self._bar.stop()
