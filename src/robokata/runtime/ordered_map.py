"""One function of each episode on all cores, for writers that take their episodes one by one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from robokata.core.episode import Episode

Result = TypeVar("Result")


@runtime_checkable
class Spread(Protocol):
    """Episodes that know how to open themselves in other processes."""

    def each(self, function: Callable[[Episode], Result]) -> Iterator[Result]:
        """`function` of each episode, in the order of the episodes; function and results travel between processes."""
        ...


def each(episodes: Iterable[Episode], function: Callable[[Episode], Result]) -> Iterator[Result]:
    """`function` of each episode, in order: on all cores where the episodes can be spread, else one by one here.

    The work must not depend on the episodes before: then the number of processes changes no byte of what is written.
    """
    return episodes.each(function) if isinstance(episodes, Spread) else map(function, episodes)


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A folder for what is made on the way: inside the unfinished target, which goes with a killed writer."""
    scratch = root / ".scratch"
    scratch.mkdir()
    yield scratch
    shutil.rmtree(scratch)
