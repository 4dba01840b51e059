"""The episodes of a conversion as they go by, and what each of them would lose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from robokata.core.contracts import ReadableFormatLeaf
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.layout import Layout, Losses, LossReport, Place, Way
from robokata.core.leaf_kinds import writable_format
from robokata.core.source import Source
from robokata.core.stream import LATE, UNDECODABLE, Stream
from robokata.media.container import with_display
from robokata.runtime.engine import Crew, map_episodes

Result = TypeVar("Result")

_EPISODES_AT_ONCE = 2
"""Episodes that a worker hands over together: twelve wait at most on two cores, some 200 MB of JPEG."""


class Stamp(NamedTuple):
    """State of one file of the source."""

    path: str
    size: int
    changed_ns: int


def stamps_of(path: Path) -> list[Stamp]:
    """The state of every file of a source."""
    # A source in memory has no files, and cannot change.
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return [Stamp(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


class Planned(NamedTuple):
    """What a worker says of one episode."""

    episode: str
    layout: Layout
    shapes: Mapping[str, tuple[int, ...] | None]
    """Name in the target -> shape of one sample, None for pictures and texts."""

    @property
    def is_lossy(self) -> bool:
        """True where something of the episode does not come back."""
        return any(place.way.is_lossy for place in self.layout.places)


def planned_by(watch: Watch, without: Sequence[str], episode: Episode) -> Planned:
    """Where everything of an episode goes, without what is to be left out."""
    return watch.planned(_held(episode, without))


def _plan_of(what: _Held, format_name: str, options: Mapping[str, Any]) -> Planned:
    held, left_out, notes = what
    leaf = writable_format(format_name)
    layout = leaf.layout(held, **options)
    streams = {target: held.streams[name] for name, target in layout.names.items()}
    shapes = {target: stream.shape if stream.is_numeric else None for target, stream in streams.items()}
    # Which sample stands in which row is for the writer: of 10,000 episodes it would be most of a report.
    places = tuple(replace(place, appears_at=None) for place in layout.places)
    if not leaf.COPIES_MESSAGES:
        places += tuple(_undecodable(held))
    kept = (
        "How to show them is kept beside."
        if isinstance(leaf, ReadableFormatLeaf)
        else "The target does not say how to show them."
    )
    said = (*layout.notes, *(f"{note} {kept}" for note in notes), *_clock_notes(held))
    return Planned(held.id, Layout((*places, *left_out), said), shapes)


def _undecodable(episode: Episode) -> Iterator[Place]:
    """Packets that only a copy of the messages would keep."""
    for stream in episode.streams.values():
        if UNDECODABLE in stream.oddities:
            yield Place(stream.name, None, Way.DROPPED, stream.oddities[UNDECODABLE], is_native=False)


def _clock_notes(episode: Episode) -> Iterator[str]:
    """What a reader of the plan must know of the order of the samples: a target may assume that times rise.

    Without counts, so that a thousand episodes with one trouble have one note.
    """
    late, seen = set[str](), set[int]()
    for stream in episode.streams.values():
        words = stream.oddities.get(LATE)
        if words is not None and words not in late:
            late.add(words)
            yield f"{stream.name} lies in the file in another order than it was received: it is read by receive time"
        if id(stream.clock) in seen or len(stream.clock) < 2 or not stream.clock.is_measured:
            continue
        seen.add(id(stream.clock))
        if np.diff(stream.clock.times_ns).min() < 0:
            yield f"the clock of {stream.name} runs backwards (kata check says where): its samples keep their order"


_BESIDE = "beside the pictures in their file; only pictures are written"


class _Held(NamedTuple):
    """What a target is given of an episode."""

    episode: Episode
    left_out: tuple[Place, ...]
    notes: tuple[str, ...]


def _held(episode: Episode, without: Sequence[str]) -> _Held:
    """An episode without what is to be left out and without cameras whose file is absent, whatever the target; what
    only the containers of its videos know stands in its streams, and what no target holds is among the losses."""
    streams: dict[str, Stream] = {}
    places: list[Place] = []
    notes: list[str] = []
    for name, stream in episode.streams.items():
        why = _why_left_out(stream, without)
        if why is not None:
            places.append(Place(name, None, Way.DROPPED, why, is_native=False))
            continue
        found = with_display(stream)
        streams[name] = found.stream
        places += [Place(f"{name}: {track}", None, Way.DROPPED, _BESIDE, is_native=False) for track in found.tracks]
        notes += [f"{name}: {found.note}"] if found.note else []
    is_same = all(streams.get(name) is stream for name, stream in episode.streams.items())
    return _Held(episode if is_same else replace(episode, streams=streams), tuple(places), tuple(notes))


def _why_left_out(stream: Stream, without: Sequence[str]) -> str | None:
    if stream.name in without:
        return "left out, as asked"
    if stream.is_picture and len(stream) and stream.pictures.media().is_absent:
        return "its file is absent"
    return None


class Watch(NamedTuple):
    """Whose writer is asked what each episode would lose, where nobody has asked before."""

    format: str
    options: Mapping[str, Any]

    def planned(self, held: _Held) -> Planned:
        """What one episode would lose."""
        return _plan_of(held, self.format, self.options)


class _Made(NamedTuple, Generic[Result]):
    """What a function gave for an episode, and what the episode would lose where that is asked."""

    value: Result | None
    """None where the episode would lose something: then nothing was made of it."""
    planned: Planned | None


def _of_held(
    function: Callable[[Episode], Result], without: Sequence[str], watch: Watch | None, episode: Episode
) -> _Made[Result]:
    held = _held(episode, without)
    planned = None if watch is None else watch.planned(held)
    if planned is not None and planned.is_lossy:
        return _Made(None, planned)
    return _Made(function(held.episode), planned)


def refuse_misfit(format_name: str, first: Planned, planned: Planned) -> None:
    """Refuse an episode whose streams differ from the first's, where the format holds one set of them.

    Raises:
        WriteRefused: they differ.
    """
    if not writable_format(format_name).IS_ONE_TABLE:
        return
    lacking = [name for name in first.shapes if name not in planned.shapes]
    added = [name for name in planned.shapes if name not in first.shapes]
    changed = [name for name, shape in planned.shapes.items() if shape != first.shapes.get(name, shape)]
    told = [
        *([f"has no {', '.join(lacking)}"] if lacking else []),
        *([f"has also {', '.join(added)}"] if added else []),
        *(f"has {name} of shape {planned.shapes[name]}, not {first.shapes[name]}" for name in changed),
    ]
    if told:
        raise WriteRefused(
            f"episode {planned.episode} {' and '.join(told)}, beside episode {first.episode}: {format_name} holds one "
            f"set of streams per dataset. Convert each kind to a dataset of its own (--where, --episode), or leave the "
            f"stream out of all (--without)."
        )


def refuse_unknown_streams(without: Sequence[str], report: LossReport) -> None:
    """Refuse a name to leave out that no episode has.

    Raises:
        UnknownName: it is none.
    """
    known = dict.fromkeys(loss.stream for loss in report.losses)
    for name in without:
        if name not in known:
            raise UnknownName("stream of these episodes", name, known)


@dataclass(frozen=True)
class Passing:
    """The episodes of a conversion, in order. A class, because a writer takes them as they are or spread over cores."""

    source: Source
    keys: Sequence[str]
    without: Sequence[str]
    before: Sequence[Stamp]
    workers: int | Crew
    advance: Callable[[int], None]
    watch: Watch | None
    """Set where nobody has asked yet what the episodes would lose."""
    refuse_loss: Callable[[], None]
    """Tells what would be lost of all episodes: the first that loses something need not lose all of it."""
    losses: Losses = field(default_factory=Losses)
    first: list[Planned] = field(default_factory=list)
    """The first episode, with whose streams those of the others must agree."""

    def __iter__(self) -> Iterator[Episode]:
        for key in self.keys:
            held = _held(self.source.episode(key), self.without)
            if self.watch is not None:
                self._count_in(self.watch, self.watch.planned(held))
            yield held.episode
            self.advance(1)
        self._end()

    def each(self, function: Callable[[Episode], Result]) -> Iterator[Result]:
        """`function` of each episode, on all cores.

        Raises:
            DamagedData: an episode cannot be read.
            WriteRefused: it would lose something and nobody has accepted that, or the source changed meanwhile.
        """
        held = partial(_of_held, function, self.without, self.watch)
        mapped = map_episodes(
            self.source, held, keys=self.keys, workers=self.workers, at_once=_EPISODES_AT_ONCE, advance=self.advance
        )
        with closing(mapped):
            for key, made, error in mapped:
                if made is None:
                    raise error or DamagedData(self.source.path, f"episode {key} cannot be read.")
                if self.watch is not None and made.planned is not None:
                    self._count_in(self.watch, made.planned)
                assert made.value is not None, "only what would lose something gives nothing, and that was refused"
                yield made.value
        self._end()

    def _count_in(self, watch: Watch, planned: Planned) -> None:
        if planned.is_lossy:
            self.refuse_loss()
        self.first.extend([] if self.first else [planned])
        refuse_misfit(watch.format, self.first[0], planned)
        self.losses.add(planned.layout)

    def _end(self) -> None:
        if self.watch is not None:
            refuse_unknown_streams(self.without, self.losses.report(self.watch.format, options={}))
        self.refuse_change()

    def refuse_change(self) -> None:
        """Refuse a source that is not what it was.

        Raises:
            WriteRefused: a file of it changed.
        """
        # Asked while the target is still unfinished: a source that changed under the reader must not become a dataset.
        after = stamps_of(Path(self.source.path))
        changed = sorted({stamp.path for stamp in set(self.before) ^ set(after)})
        if changed:
            raise WriteRefused(
                f"{self.source.path}: changed while it was read ({changed[0]}{', ...' if len(changed) > 1 else ''}). "
                f"Nothing was written; convert again when it is at rest."
            )
