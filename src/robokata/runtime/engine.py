"""One function over all episodes, on all cores, with the answer in the dataset's order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

from robokata.core.detection import reopen
from robokata.core.episode import Episode
from robokata.core.errors import MissingPart, RobokataError
from robokata.core.require import require
from robokata.core.source import EpisodeList, Source
from robokata.runtime.pool import WorkerKilled, WorkerPool, answer_of

Result = TypeVar("Result")

POOL_PAYS_ABOVE_BYTES = 20 * 2**20
POOL_PAYS_ABOVE_EPISODES = 200
"""A pool costs about a second to start, and one core checks some 20 MB of video or 200 short episodes in that time."""


class Mapped(NamedTuple, Generic[Result]):
    """What the function gave for one episode, or why it could not be asked."""

    key: str
    value: Result | None
    error: RobokataError | None


class WorkerDied(RobokataError):
    """A worker process was killed while it read an episode: out of memory, or a library crashed on damaged bytes."""


def worker_count(source: Source, episodes: int, *, size_bytes: int | None) -> int:
    """Processes worth starting: one (this process) for small datasets, else one per core."""
    if isinstance(source, EpisodeList) or episodes < 2:
        return 1
    is_small = (size_bytes or 0) < POOL_PAYS_ABOVE_BYTES and episodes < POOL_PAYS_ABOVE_EPISODES
    return 1 if is_small else min(len(os.sched_getaffinity(0)), episodes)


def map_episodes(
    source: Source,
    function: Callable[[Episode], Result],
    *,
    keys: Sequence[str],
    workers: int | Crew = 1,
    at_once: int = 64,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Generator[Mapped[Result], None, None]:
    """Apply `function` to each episode; results come in the order of `keys`, whatever the number of workers.

    A damaged episode costs itself: its error comes instead of a value. The same holds for an episode that
    kills its worker. At most three chunks of `at_once` results per worker wait in memory: fewer where results are
    large.
    """
    crew = workers if isinstance(workers, Crew) else Crew(workers)
    try:
        if crew.size <= 1 or isinstance(source, EpisodeList):  # episodes in memory cannot be opened elsewhere
            for key in keys:
                yield _apply(source, function, key)
                advance(1)
        else:
            yield from _map_in_pool(source, function, keys, crew, at_once, advance)
    finally:
        if crew is not workers:
            crew.dismiss()


def _apply(source: Source, function: Callable[[Episode], Result], key: str) -> Mapped[Result]:
    try:
        return Mapped(key, function(source.episode(key)), None)
    except RobokataError as error:
        return Mapped(key, None, error)


def _map_in_pool(
    source: Source,
    function: Callable[[Episode], Result],
    keys: Sequence[str],
    crew: Crew,
    at_once: int,
    advance: Callable[[int], None],
) -> Iterator[Mapped[Result]]:
    # Neighbouring episodes share files and row groups: a chunk goes to one worker. 8 chunks per worker keep all
    # busy until the end.
    size = max(1, min(at_once, len(keys) // (crew.size * 8)))
    chunks = deque([list(keys[at : at + size]) for at in range(0, len(keys), size)])
    running: deque[tuple[list[str], Future[list[Mapped[Result]]]]] = deque()
    try:
        while chunks or running:
            while chunks and len(running) < 3 * crew.size:
                chunk = chunks.popleft()
                running.append((chunk, _submitted(crew.pool, source, function, chunk)))
            chunk, future = running[0]
            try:
                results = answer_of(future)
            except WorkerKilled:
                # Without neighbours each has all the memory, and whoever still ends its worker is known.
                for _, other in running:
                    with suppress(Exception):
                        answer_of(other)
                results = [_alone(crew.pool, source, function, key) for key in chunk]
            running.popleft()
            yield from results
            advance(len(results))
    finally:
        if running:  # nobody waits for their answers any more
            crew.dismiss()


def _alone(pool: WorkerPool, source: Source, function: Callable[[Episode], Result], key: str) -> Mapped[Result]:
    try:
        (result,) = answer_of(_submitted(pool, source, function, [key]))
    except WorkerKilled:
        return Mapped(
            key,
            None,
            WorkerDied(
                f"{source.path}: the process that read episode {key} was killed. Its files make a library "
                f"crash or need more memory than there is: restore them, or drop the episode."
            ),
        )
    return result


class Crew:
    """Worker processes that stay for several maps over one dataset: starting them takes longer than many a map.

    A class, because they start at the first need and must be dismissed at the end, also of a run that fails.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self.dismiss()

    @property
    def pool(self) -> WorkerPool:
        """The processes, started where there are none."""
        if self._pool is None:
            self._pool = WorkerPool(self.size, begin=_one_thread_for_arrow)
        return self._pool

    def dismiss(self) -> None:
        """End the processes now."""
        if self._pool is not None:
            self._pool.kill()
        self._pool = None


def _one_thread_for_arrow() -> None:
    with suppress(MissingPart):
        pyarrow = require("pyarrow", extra="tables")
        pyarrow.set_cpu_count(1)
        pyarrow.set_io_thread_count(1)


def _submitted(
    pool: WorkerPool, source: Source, function: Callable[[Episode], Result], keys: list[str]
) -> Future[list[Mapped[Result]]]:
    return pool.submit(_work, _way_to(source), function, keys)


def _way_to(source: Source) -> Source | tuple[str, str]:
    """How a worker gets at a source: files are opened again there; one that says `travels` pickles by itself."""
    return source if getattr(source, "travels", False) else (str(source.path), source.format)


def _work(
    way: Source | tuple[str, str], function: Callable[[Episode], Result], keys: list[str]
) -> list[Mapped[Result]]:
    source = reopen(*way) if isinstance(way, tuple) else way
    return [_apply(source, function, key) for key in keys]
