"""What the verbs share: where the datasets are, JSON, and a progress bar with the time left."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from robokata.core.source import Found, find_datasets


def datasets_at(path: Path, format_name: str | None) -> list[Found]:
    """The datasets that the user means: `path` itself with `--format`, else what is recognised there.

    Raises:
        NotADataset: there is none.
        AmbiguousFormat: one could be two formats.
    """
    return [Found(path, format_name)] if format_name is not None else find_datasets(path)


class _Answer(Protocol):
    """What can be printed as JSON."""

    def as_json(self) -> dict[str, Any]: ...


def print_json_of(answers: Sequence[_Answer]) -> None:
    """One JSON object on standard output: the answer, or `{"datasets": [...]}` where the path holds several.

    Numbers that JSON lacks (NaN, infinity) become null.
    """
    objects = [answer.as_json() for answer in answers]
    value = objects[0] if len(objects) == 1 else {"datasets": objects}
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return _plain(value.item())
    return value


class Bar(Protocol):
    """A progress bar: told the number of episodes, then each time some are done."""

    def started(self, episodes: int) -> None: ...
    def advance(self, episodes: int) -> None: ...


@contextmanager
def progress_bar(title: str) -> Iterator[Bar]:
    """A bar on standard error with the time left; silent where standard error is no terminal."""
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
        TextColumn("episodes"),
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
