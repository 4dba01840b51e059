"""From one format to another, exactly or with its price named before anything is written."""

from __future__ import annotations

import datetime
import hashlib
import inspect
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

from robokata.core.atomic import refuse_occupied
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.layout import Layout, Losses, LossReport, Place, Way, loss_report
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.engine import Crew, map_episodes, worker_count

Result = TypeVar("Result")

_EPISODES_AT_ONCE = 2
"""Episodes that a worker hands over together: twelve wait at most on two cores, some 200 MB of JPEG."""


class Stamp(NamedTuple):
    """State of one file of the source."""

    path: str
    size: int
    changed_ns: int


@dataclass(frozen=True)
class Receipt:
    """What made an output: enough to do it again, and to see that the source is still the same."""

    source: str
    source_format: str
    source_state: str
    """SHA-256 over path, size and time of change of every file of the source."""
    target: str
    format: str
    episodes: int
    options: Mapping[str, Any]
    losses: Mapping[str, Any]
    versions: Mapping[str, str]
    made_at: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def writable_formats() -> tuple[str, ...]:
    """Formats that can be written."""
    return tuple(name for name in shelf("formats").names() if hasattr(shelf("formats")[name], "write"))


def options_of(leaf: ModuleType) -> dict[str, inspect.Parameter]:
    """What a format's writer can be told: the keyword-only arguments of its `write`."""
    parameters = inspect.signature(leaf.write).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def plan_conversion(
    source: Source,
    format_name: str,
    *,
    keys: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
    workers: int | Crew | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> LossReport:
    """What a conversion would cost, per stream; nothing is written. `workers` None: as many as pay.

    Streams called in `without` are left out, and so are cameras whose file is absent, from the episodes that lack it.

    Raises:
        UnknownName: the format cannot be written, or has no such option, or no episode has a stream of `without`.
        WriteRefused: an episode does not fit the format at all, or not beside the others.
        DamagedData: an episode cannot be read.
    """
    leaf, chosen = writer_of(format_name), dict(options or {})
    _refuse_unknown_options(format_name, leaf, chosen)
    wanted = list(source.keys() if keys is None else keys)
    if workers is None:
        # By their number alone: a plan reads clocks and headers, and what the pictures weigh costs nothing.
        workers = worker_count(source, len(wanted), size_bytes=None)
    function = partial(_planned, leaf.__name__, chosen, tuple(without))
    layouts = _layouts(source, leaf, function, wanted, workers, advance)
    report = loss_report(format_name, layouts, options=_plain_options(chosen))
    _refuse_unknown_streams(without, report)
    return report


def convert(
    source: Source,
    out: Path,
    format_name: str,
    *,
    keys: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
    report: LossReport | None = None,
    accept_loss: bool = False,
    workers: int | Crew | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Receipt:
    """Write the episodes of a source in another format; the target appears in one rename, its receipt beside it.

    The bytes do not depend on the number of `workers`; None: as many as pay. Without a `report` each episode is asked
    what it would lose right before it is written, and the first that would lose something ends the work: one pass.

    Raises:
        WriteRefused: the target is occupied or cannot be written, or the conversion is lossy and `accept_loss` is not
            given, or the source changed while it was read.
        UnknownName: the format cannot be written, or has no such option.
        DamagedData: an episode cannot be read.
    """
    refuse_target(source, out)
    wanted = list(source.keys() if keys is None else keys)
    chosen = dict(options or {})
    before = _stamps(Path(source.path))
    with nullcontext(workers) if isinstance(workers, Crew) else crew_for(source, wanted, workers, before) as crew:
        if report is None and accept_loss:  # what encoding costs is measured before anything is encoded
            report = plan_conversion(source, format_name, keys=wanted, options=options, without=without, workers=crew)
        if report is not None and not accept_loss:
            _refuse_loss(report)
        _refuse_unknown_options(format_name, writer_of(format_name), chosen)
        watch = None if report is not None else _Watch(format_name, chosen)
        reading = _Reading(source, wanted, tuple(without), before, crew, advance, watch)
        writer_of(format_name).write(out, reading, **chosen)
        report = report or reading.report()
    receipt = Receipt(
        source=str(Path(source.path).resolve()),
        source_format=source.format,
        source_state=_digest(before),
        target=str(out),
        format=format_name,
        episodes=len(wanted),
        options=_plain_options(chosen),
        losses=report.as_json(),
        versions=_versions(),
        made_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    _keep(receipt, receipt_path(out))
    return receipt


def crew_for(
    source: Source, keys: Sequence[str], workers: int | None = None, stamps: Sequence[Stamp] | None = None
) -> Crew:
    """The worker processes that a plan and a conversion of these episodes share: as many as pay, where nobody says."""
    if workers is None:
        known = _stamps(Path(source.path)) if stamps is None else stamps
        workers = worker_count(source, len(keys), size_bytes=sum(stamp.size for stamp in known))
    return Crew(workers)


def refuse_target(source: Source, out: Path) -> None:
    """Refuse a target before the work starts.

    Raises:
        WriteRefused: it is occupied, cannot be written, or lies inside the source.
    """
    if Path(source.path).resolve() in out.resolve().parents:
        raise WriteRefused(f"{out} lies inside the source {source.path}. Choose a target outside of it.")
    refuse_occupied(out)


def writer_of(format_name: str) -> ModuleType:
    """The format's module, which can write.

    Raises:
        UnknownName: the format cannot be written.
    """
    if format_name not in writable_formats():
        raise UnknownName("writable format", format_name, writable_formats())
    return shelf("formats")[format_name]


def receipt_path(out: Path) -> Path:
    """Where the receipt of an output lies: beside it."""
    return out.with_name(f"{out.name}.receipt.json")


def _refuse_loss(report: LossReport) -> None:
    if report.is_lossy:
        lost = ", ".join(sorted({loss.stream for loss in report.losses if loss.is_lossy}))
        raise WriteRefused(
            f"{report.format} cannot hold all of this: {lost} would not come back. The loss report says what and how "
            f"much; --accept-loss writes it all the same."
        )


def _refuse_unknown_streams(without: Sequence[str], report: LossReport) -> None:
    known = dict.fromkeys(loss.stream for loss in report.losses)
    for name in without:
        if name not in known:
            raise UnknownName("stream of these episodes", name, known)


def _keep(receipt: Receipt, path: Path) -> None:
    # Beside, then moved: a receipt of an output that is gone is replaced, and a half one is never seen.
    unfinished = path.with_name(f".{path.name}.unfinished-{os.getpid()}")
    try:
        unfinished.write_text(json.dumps(receipt.as_json(), indent=2, default=str) + "\n", encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise WriteRefused(
            f"{path}: {error.strerror}. The dataset {receipt.target} is complete; only its receipt was not written."
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _layouts(
    source: Source,
    leaf: ModuleType,
    function: Callable[[Episode], _Planned],
    keys: Sequence[str],
    workers: int | Crew,
    advance: Callable[[int], None],
) -> Iterator[Layout]:
    first: _Planned | None = None
    for key, planned, error in map_episodes(source, function, keys=keys, workers=workers, advance=advance):
        if planned is None:
            raise error or DamagedData(source.path, f"episode {key} cannot be read.")
        first = first or planned
        if getattr(leaf, "IS_ONE_TABLE", False):
            _refuse_misfit(leaf.__name__.rpartition(".")[2], first, planned)
        yield planned.layout


class _Planned(NamedTuple):
    """What a worker says of one episode."""

    episode: str
    layout: Layout
    shapes: Mapping[str, tuple[int, ...] | None]
    """Name in the target -> shape of one sample, None for pictures and texts."""

    @property
    def is_lossy(self) -> bool:
        return any(place.way.is_lossy for place in self.layout.places)


def _planned(module: str, options: Mapping[str, Any], without: Sequence[str], episode: Episode) -> _Planned:
    return _plan_of(_held(episode, without), module, options)


def _plan_of(what: _Held, module: str, options: Mapping[str, Any]) -> _Planned:
    held, left_out = what
    layout: Layout = shelf("formats")[module.rpartition(".")[2]].layout(held, **options)
    streams = {target: held.streams[name] for name, target in layout.names.items()}
    shapes = {target: stream.shape if stream.is_numeric else None for target, stream in streams.items()}
    # Which sample stands in which row is for the writer: of 10,000 episodes it would be most of a report.
    places = tuple(replace(place, appears_at=None) for place in layout.places)
    return _Planned(held.id, Layout((*places, *left_out), layout.notes), shapes)


class _Held(NamedTuple):
    """What a target is given of an episode."""

    episode: Episode
    left_out: tuple[Place, ...]


def _held(episode: Episode, without: Sequence[str]) -> _Held:
    """An episode without what is to be left out and without cameras whose file is absent, whatever the target."""
    left_out = {}
    for name, stream in episode.streams.items():
        if name in without:
            left_out[name] = "left out, as asked"
        elif stream.is_picture and len(stream) and stream.pictures.media().is_absent:
            left_out[name] = "its file is absent"
    if not left_out:
        return _Held(episode, ())
    streams = {name: stream for name, stream in episode.streams.items() if name not in left_out}
    places = tuple(Place(name, None, Way.DROPPED, why, is_native=False) for name, why in left_out.items())
    return _Held(replace(episode, streams=streams), places)


class _Watch(NamedTuple):
    """Whose writer is asked what each episode would lose, where nobody has asked before."""

    format: str
    options: Mapping[str, Any]

    def planned(self, held: _Held) -> _Planned:
        return _plan_of(held, writer_of(self.format).__name__, self.options)


class _Made(NamedTuple, Generic[Result]):
    """What a function gave for an episode, and what the episode would lose where that is asked."""

    value: Result | None
    """None where the episode would lose something: then nothing was made of it."""
    planned: _Planned | None


def _of_held(
    function: Callable[[Episode], Result], without: Sequence[str], watch: _Watch | None, episode: Episode
) -> _Made[Result]:
    held = _held(episode, without)
    planned = None if watch is None else watch.planned(held)
    if planned is not None and planned.is_lossy:
        return _Made(None, planned)
    return _Made(function(held.episode), planned)


def _refuse_misfit(format_name: str, first: _Planned, planned: _Planned) -> None:
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


@dataclass(frozen=True)
class _Reading:
    """The episodes of a conversion, in order. A class, because a writer takes them as they are or spread over cores."""

    source: Source
    keys: Sequence[str]
    without: Sequence[str]
    before: Sequence[Stamp]
    workers: int | Crew
    advance: Callable[[int], None]
    watch: _Watch | None
    losses: Losses = field(default_factory=Losses)
    first: list[_Planned] = field(default_factory=list)
    """The first episode, with whose streams those of the others must agree."""

    def __iter__(self) -> Iterator[Episode]:
        for key in self.keys:
            held = _held(self.source.episode(key), self.without)
            if self.watch is not None:
                self._count_in(self.watch.planned(held))
            yield held.episode
            self.advance(1)
        self._end()

    def each(self, function: Callable[[Episode], Result]) -> Iterator[Result]:
        """`function` of each episode, on all cores."""
        held = partial(_of_held, function, self.without, self.watch)
        mapped = map_episodes(
            self.source, held, keys=self.keys, workers=self.workers, at_once=_EPISODES_AT_ONCE, advance=self.advance
        )
        with closing(mapped):
            for key, made, error in mapped:
                if made is None:
                    raise error or DamagedData(self.source.path, f"episode {key} cannot be read.")
                if made.planned is not None:
                    self._count_in(made.planned)
                assert made.value is not None, "only what would lose something gives nothing, and that was refused"
                yield made.value
        self._end()

    def report(self) -> LossReport:
        """What the episodes lost that went by, where a watch was set."""
        assert self.watch is not None, "without a watch nobody is asked"
        return self.losses.report(self.watch.format, options=_plain_options(self.watch.options))

    def _count_in(self, planned: _Planned) -> None:
        assert self.watch is not None, "only a watch plans"
        if planned.is_lossy:
            # Of all episodes before it is refused: the first lossy one need not have all that is lost.
            _refuse_loss(
                plan_conversion(
                    self.source,
                    self.watch.format,
                    keys=self.keys,
                    options=self.watch.options,
                    without=self.without,
                    workers=self.workers,
                )
            )
        self.first.extend([] if self.first else [planned])
        if getattr(writer_of(self.watch.format), "IS_ONE_TABLE", False):
            _refuse_misfit(self.watch.format, self.first[0], planned)
        self.losses.add(planned.layout)

    def _end(self) -> None:
        if self.watch is not None:
            _refuse_unknown_streams(self.without, self.report())
        self._refuse_change()

    def _refuse_change(self) -> None:
        # Asked while the target is still unfinished: a source that changed under the reader must not become a dataset.
        after = _stamps(Path(self.source.path))
        changed = sorted({stamp.path for stamp in set(self.before) ^ set(after)})
        if changed:
            raise WriteRefused(
                f"{self.source.path}: changed while it was read ({changed[0]}{', ...' if len(changed) > 1 else ''}). "
                f"Nothing was written; convert again when it is at rest."
            )


def _refuse_unknown_options(format_name: str, leaf: ModuleType, options: Mapping[str, Any]) -> None:
    known = options_of(leaf)
    for name in options:
        if name not in known:
            raise UnknownName(f"option of {format_name}", name, known)


def _stamps(path: Path) -> list[Stamp]:
    # A source in memory has no files, and cannot change.
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return [Stamp(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


def _digest(stamps: Sequence[Stamp]) -> str:
    return hashlib.sha256("\n".join(f"{s.path}|{s.size}|{s.changed_ns}" for s in stamps).encode()).hexdigest()


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Fraction) else value for name, value in options.items()}


def _versions() -> dict[str, str]:
    from robokata import __version__

    return {"robokata": __version__, "python": platform.python_version()}
