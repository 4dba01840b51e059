"""Reads back what a conversion wrote and compares it with its source, before the target appears."""

from __future__ import annotations

import enum
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from robokata.conversion.episode_comparison import Counts, Difference, EpisodeComparison, Plan, compare_episodes, lower
from robokata.core.contracts import ComparableFormatLeaf, ReadableFormatLeaf
from robokata.core.detection import reopen
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, RobokataError, UnknownName
from robokata.core.layout import LossReport, Way
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList, Source
from robokata.runtime.engine import Crew, map_episodes

_SPOT_CHECK_EVERY = 25
"""One episode in so many has pictures decoded although their coded bytes are equal: decoding costs more than a copy."""


class Depth(enum.StrEnum):
    """How much of the pictures is decoded; everything else is always compared whole."""

    QUICK = "quick"
    """Coded bytes; where they were packed anew the first, the last and key pictures between."""
    FULL = "full"
    """Every picture."""


def depth_named(word: str) -> Depth:
    """The depth that a user names.

    Raises:
        UnknownName: there is none of this name.
    """
    try:
        return Depth(word)
    except ValueError:
        raise UnknownName("depth of --verify", word, [*Depth]) from None


@dataclass(frozen=True)
class ReadBack:
    """What was read back of a written target, and how it compares with its source."""

    depth: str
    episodes: int
    numbers: int
    """Numbers compared bit by bit."""
    times: int
    """Times compared, in nanoseconds."""
    texts: int
    """Texts, messages and lists compared."""
    coded_bytes: int
    """Bytes of coded pictures and video packets compared."""
    pictures: int
    pictures_decoded: int
    worst_psnr_db: float | None
    """Lowest similarity of a decoded picture with its source, None where all are equal."""
    differences: tuple[Difference, ...]
    """What differs although the plan called it kept; the first 100."""
    difference_count: int
    seconds: float
    skipped: str | None = None
    """Why nothing was read back: a format that Robokata only writes."""

    @property
    def is_equal(self) -> bool:
        """True where all that was to be kept was read back as it was given."""
        return self.skipped is None and not self.difference_count

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        plain = asdict(self)
        plain["differences"] = [each._asdict() for each in self.differences]
        return {**plain, "is_equal": self.is_equal}


class _Task(NamedTuple):
    """What a worker needs to compare any episode. Hashable: workers keep what they derive from it."""

    source: tuple[str, str] | None
    """Path and format; None for a source that only lives in this process or travels by itself."""
    target: tuple[str, str]
    keys: tuple[str, ...] | None
    """Episodes that were written, None for all of the source."""
    order: tuple[int, ...] | None
    """Place in the target of each of them, None where it is the same."""
    ways: tuple[tuple[str, frozenset[Way]], ...]
    """What the plan says of each stream, over all episodes."""
    counted_anew: frozenset[str]
    """Counters of the source's rows: the target has its own."""
    depth: Depth


def read_back(
    source: Source,
    keys: Sequence[str],
    target: Path,
    report: LossReport,
    *,
    depth: Depth = Depth.QUICK,
    workers: int | Crew = 1,
    advance: Callable[[int], None] = lambda episodes: None,
) -> ReadBack:
    """Open what was written with the format's own reader, and compare it with the source, episode by episode.

    `report` says what was planned: streams that it calls lost need not come back, all others must, to the bit.
    """
    began = time.perf_counter()
    leaf = shelf("formats")[report.format]
    if isinstance(leaf, ComparableFormatLeaf):
        return _compare_elsewhere(source, leaf, keys, target, report, began, advance)
    if not isinstance(leaf, ReadableFormatLeaf):
        return _unread(report, depth, f"Robokata writes {report.format} and does not read it")
    try:
        # Not `reopen`: what lies at the path now is gone in a moment, and must not be remembered.
        written = leaf.read(target)
        order = _order(source, keys, written)
    except RobokataError as error:
        broken = Difference("", None, f"what was written cannot be opened: {error}", is_broken=True)
        return _summed([EpisodeComparison(Counts(), (broken,), None)], depth, began)
    if order is None:
        what = f"{len(written.keys())} episodes were read back instead of {len(keys)}"
        return _summed([EpisodeComparison(Counts(), (Difference("", None, what, is_broken=True),), None)], depth, began)
    task = _task(source, keys, target, report, order, depth)
    compare = partial(_compare_in_worker, task)
    mapped = map_episodes(source, compare, keys=keys, workers=workers, at_once=16, advance=advance)
    return _summed((_compared(each.key, each.value, each.error) for each in mapped), depth, began)


def _task(
    source: Source,
    keys: Sequence[str],
    target: Path,
    report: LossReport,
    order: tuple[int, ...],
    depth: Depth,
) -> _Task:
    ways: defaultdict[str, set[Way]] = defaultdict(set)
    for loss in report.losses:
        ways[loss.stream].add(loss.way)
    # A recipe over episodes in memory has no place either that a worker could open again.
    is_here = isinstance(source, EpisodeList) or getattr(source, "travels", False) or not Path(source.path).exists()
    return _Task(
        source=None if is_here else (str(source.path), source.format),
        target=(str(target), report.format),
        keys=tuple(keys) if is_here or list(keys) != list(source.keys()) else None,
        order=None if order == tuple(range(len(order))) else order,
        ways=tuple((name, frozenset(found)) for name, found in ways.items()),
        counted_anew=frozenset(loss.stream for loss in report.losses if loss.target is None),
        depth=depth,
    )


def _order(source: Source, keys: Sequence[str], written: Source) -> tuple[int, ...] | None:
    """Place in the target of each episode: in order, but for formats that keep each split in files of its own."""
    if len(written.keys()) != len(keys):
        return None
    splits = {row.id: row.split for row in source.facts().rows}
    given, found = [splits.get(key) for key in keys], [row.split for row in written.facts().rows]
    if given == found or Counter(given) != Counter(found):
        return tuple(range(len(keys)))
    places = defaultdict[str | None, Iterator[int]](lambda: iter(()))
    for split in set(found):
        places[split] = iter([at for at, name in enumerate(found) if name == split])
    return tuple(next(places[split]) for split in given)


def _compare_elsewhere(
    source: Source,
    leaf: ComparableFormatLeaf,
    keys: Sequence[str],
    target: Path,
    report: LossReport,
    began: float,
    advance: Callable[[int], None],
) -> ReadBack:
    """Through the library of a format that Robokata only writes: times of all streams, numbers of curves."""
    compared = []
    try:
        for each in leaf.compare(target, map(source.episode, keys)):
            wrong = tuple(Difference(each.episode, stream, what, is_broken=True) for stream, what in each.differences)
            compared.append(EpisodeComparison(Counts(times=each.times), wrong, None))
            advance(1)
    except DamagedData as damage:
        broken = Difference("", None, f"what was written cannot be opened: {damage}", is_broken=True)
        compared.append(EpisodeComparison(Counts(), (broken,), None))
    return _summed(compared, Depth.QUICK, began)


def _unread(report: LossReport, depth: Depth, why: str) -> ReadBack:
    return ReadBack(depth, report.episodes, 0, 0, 0, 0, 0, 0, None, (), 0, 0.0, skipped=why)


def _compared(key: str, value: EpisodeComparison | None, error: RobokataError | None) -> EpisodeComparison:
    if value is not None:
        return value
    return EpisodeComparison(Counts(), (Difference(key, None, f"cannot be compared: {error}", is_broken=True),), None)


def _summed(
    compared: Iterator[EpisodeComparison] | Sequence[EpisodeComparison], depth: Depth, began: float
) -> ReadBack:
    totals, count, episodes, worst = Counts(), 0, 0, None
    differences: list[Difference] = []
    for each in compared:
        totals = Counts(*(a + b for a, b in zip(totals, each.counts, strict=True)))
        count += len(each.differences)
        differences.extend(each.differences[: 100 - len(differences)])
        episodes += 1
        worst = lower(worst, each.worst_psnr_db)
    seconds = round(time.perf_counter() - began, 3)
    return ReadBack(
        depth=depth,
        episodes=episodes,
        **totals._asdict(),
        worst_psnr_db=worst,
        differences=tuple(differences),
        difference_count=count,
        seconds=seconds,
    )


class _Place(NamedTuple):
    position: int
    key: str


@lru_cache(maxsize=2)
def _places(task: _Task) -> Mapping[str, _Place]:
    """Episode of the source -> its place and key in the target."""
    written = reopen(*task.target).keys()
    keys = task.keys if task.keys is not None or task.source is None else reopen(*task.source).keys()
    order = range(len(written)) if task.order is None else task.order
    return {key: _Place(at, written[place]) for at, (key, place) in enumerate(zip(keys or (), order, strict=True))}


def _compare_in_worker(task: _Task, episode: Episode) -> EpisodeComparison:
    key = episode.ref.key if episode.ref is not None and episode.ref.key in _places(task) else episode.id
    place = _places(task)[key]
    try:
        after = reopen(*task.target).episode(place.key)
    except RobokataError as error:
        broken = Difference(episode.id, None, f"cannot be opened: {error}", is_broken=True)
        return EpisodeComparison(Counts(), (broken,), None)
    is_spot = place.position % _SPOT_CHECK_EVERY == 0
    plan = Plan(task.ways, task.counted_anew, is_full=task.depth is Depth.FULL, is_spot_check=is_spot)
    return compare_episodes(episode, after, plan)
