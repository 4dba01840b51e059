"""What is in a dataset: the answer to `kata look`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.declared import false_declarations
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, RobokataError, Unsupported
from robokata.core.pointers import pointers_below
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeRow, Facts, Source, row_of
from robokata.core.stream import Meaning, Stream
from robokata.runtime.notebook import html_table
from robokata.runtime.query import rows_where
from robokata.survey.unrecognised import unrecognised_files

SAMPLED_EPISODES = 3
"""First, middle and last: enough to see a camera that appears later, and a bound on what `look` opens."""

OPENED_FOR_INSTRUCTIONS = 64
"""Episodes opened where the index tells neither steps nor instructions: a second for records of 12 MB."""
FILES_ASKED_FOR_SIZE = 50_000
"""Files whose size is asked one by one: half a second."""


@dataclass(frozen=True)
class StreamSummary:
    """One stream, as the sampled episodes show it."""

    name: str
    kind: str
    role: str
    shape: tuple[int, ...] | None
    """Shape of one sample, None where it cannot be read."""
    dtype: str | None
    channels: tuple[str, ...] | None
    unit: str | None
    """None: the source does not say."""
    meaning: Mapping[str, str]
    """What else is known of the numbers' meaning: frame, rotation, reference, gripper, normalisation."""
    rate_hz: float | None
    """Samples per second: measured where the clock is, else declared."""
    clock: str
    """Quality of the clock: measured, declared, synthesized, unknown."""
    other_clocks: tuple[str, ...]
    encoding: str | None
    size_bytes: int | None
    """Bytes on disk over the whole dataset, None where the format mixes streams."""
    is_size_estimate: bool = False
    samples: int | None = None
    """Samples in the episode, only in the view of one episode."""
    problem: str | None = None
    """Why the stream cannot be read, or is not the same in all sampled episodes; None where neither holds."""
    sampled_in: str | None = None
    """How many of the sampled episodes have it (`1 of 3`), None where all do."""


@dataclass(frozen=True)
class Contradiction:
    """Something declared that the bytes contradict."""

    subject: str
    declared: str
    found: str
    where: str
    hint: str = ""


@dataclass(frozen=True)
class Survey:
    """A dataset at a glance. None means unknown."""

    path: str
    format: str
    version: str | None
    robots: tuple[str, ...]
    """As the index says; where it says nothing, as the sampled episodes say."""
    episodes: int
    selected_episodes: int
    """Episodes that `--where` leaves; all other numbers below are about those."""
    steps: int | None
    hours: float | None
    instructions: Mapping[str, int]
    """Each instruction and the number of episodes that carry it, most frequent first."""
    instructions_read_from: int
    """Episodes whose instructions are known: all where the index tells, else those that were opened."""
    streams: tuple[StreamSummary, ...]
    splits: Mapping[str, int]
    licence: str | None
    declared_rate_hz: float | None
    total_bytes: int | None
    contradictions: tuple[Contradiction, ...]
    outcomes: Mapping[str, int]
    """Episodes per declared outcome: success, failure, unknown."""
    unreadable: Mapping[str, str]
    """Sampled episodes that could not be opened, and why."""
    unrecognised: tuple[str, ...] = ()
    """Files beside those of the episodes that no format was found for: nothing is said of them."""
    pointers: str | None = None
    """What is said of a clone that holds Git LFS pointers in the place of some files, None where there are none."""

    def _repr_html_(self) -> str:
        rows = [(s.name, s.role, s.shape, s.unit, s.rate_hz, s.clock, s.encoding) for s in self.streams]
        head = ("stream", "role", "shape", "unit", "Hz", "clock", "encoding")
        return html_table(f"{self.path}: {self.format}, {self.episodes} episodes", rows, head=head)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class EpisodeSurvey:
    """One episode at a glance. None means unknown."""

    path: str
    format: str
    id: str
    duration_s: float | None
    """None where the format has no notion of time."""
    robot: str | None
    instructions: tuple[str, ...]
    split: str | None
    session: str | None
    success: bool | None
    declared_steps: int | None
    streams: tuple[StreamSummary, ...]
    annotations: tuple[str, ...]
    extra: Mapping[str, str]
    """Source fields that have no other home, shortened."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def survey(source: Source, *, where: str | None = None, facts: Facts | None = None) -> Survey:
    """What a dataset says of itself and what its indexes and a few opened episodes show.

    `facts` saves asking the source again.

    Raises:
        QueryRefused: `where` is no condition on the table of episodes.
        DamagedData: the dataset's indexes cannot be read, or a clone holds Git LFS pointers in the place of all.
    """
    facts = source.facts() if facts is None else facts
    rows = facts.rows if where is None else rows_where(facts.rows, where)
    samples, unreadable = _sample(source, rows)
    rows, read = _completed(source, rows)
    durations = [row.duration_s for row in rows]
    steps = [row.steps for row in rows]
    texts = Counter(text for row in rows for text in row.instructions)
    outcomes = Counter({True: "success", False: "failure", None: "unknown"}[row.success] for row in rows)
    return Survey(
        path=str(source.path),
        format=facts.format,
        version=facts.version,
        robots=facts.robots or tuple(dict.fromkeys(e.embodiment.name for e in samples if e.embodiment)),
        episodes=len(facts.rows),
        selected_episodes=len(rows),
        steps=None if any(s is None for s in steps) else sum(s or 0 for s in steps),
        hours=None if any(d is None for d in durations) else sum(d or 0.0 for d in durations) / 3600,
        instructions=dict(texts.most_common()),
        instructions_read_from=read,
        streams=_merge([_streams(episode, facts) for episode in samples]),
        # A plain dict: `asdict` makes a Counter into a count of pairs.
        splits=dict(facts.splits if where is None else Counter(r.split for r in rows if r.split)),
        licence=facts.licence or licence_of_card(source.path),
        declared_rate_hz=_declared_rate_hz(facts, samples),
        total_bytes=_bytes_on_disk(source.path, facts),
        contradictions=tuple(
            Contradiction(d.subject, str(d.declared), str(d.found), d.where, d.hint)
            for d in (*facts.declarations, *false_declarations(samples))
            if not d.holds
        ),
        outcomes=dict(outcomes),
        unreadable=unreadable,
        unrecognised=_unrecognised(source, facts),
        pointers=_pointers(source.path),
    )


def _unrecognised(source: Source, facts: Facts) -> tuple[str, ...]:
    if source.format not in shelf("formats") or not shelf("formats")[source.format].IS_FOLDER_OF_FILES:
        return ()
    return unrecognised_files(source.path, facts.rows)


def survey_episode(source: Source, key: str) -> EpisodeSurvey:
    """One episode, one level down.

    Raises:
        UnknownName: the dataset has no such episode.
        DamagedData: it cannot be opened.
    """
    episode = source.episode(key)
    facts = Facts(format=source.format, version=None)
    streams = tuple(replace(s, size_bytes=None) for s in _streams(episode, facts))
    try:
        duration_s = episode.duration_s
    except DamagedData:
        duration_s = None
    return EpisodeSurvey(
        path=str(source.path),
        format=source.format,
        id=episode.id,
        duration_s=duration_s,
        robot=episode.embodiment.name if episode.embodiment else None,
        instructions=tuple(i.text for i in episode.instructions),
        split=episode.origin.split,
        session=episode.origin.session,
        success=episode.outcome.success,
        declared_steps=episode.declared_steps,
        streams=streams,
        annotations=tuple(f"{a.start_s:.2f}-{a.end_s:.2f} s {a.label}" for a in episode.annotations),
        extra={name: _shorten(value) for name, value in episode.extra.items()},
    )


def _completed(source: Source, rows: Sequence[EpisodeRow]) -> tuple[Sequence[EpisodeRow], int]:
    """Rows with steps and instructions, and the number of episodes that these are known of.

    Where the index holds neither (RLDS), some episodes are opened, evenly over the dataset.
    """
    if not rows or any(row.steps is not None or row.instructions for row in rows):
        return rows, len(rows)
    completed = list(rows)
    chosen = sorted(set(np.linspace(0, len(rows) - 1, OPENED_FOR_INSTRUCTIONS).astype(int).tolist()))
    for at in chosen:
        try:
            seen = row_of(source.episode(rows[at].id))
        except (DamagedData, Unsupported):
            continue
        completed[at] = replace(rows[at], steps=seen.steps, instructions=seen.instructions, success=seen.success)
    return completed, len(chosen)


def _declared_rate_hz(facts: Facts, samples: Sequence[Episode]) -> float | None:
    """What the dataset declares, or else every sampled episode alike."""
    if facts.declared_rate_hz is not None:
        return float(facts.declared_rate_hz)
    rates = {episode.declared_rate_hz for episode in samples}
    rate_hz = rates.pop() if len(rates) == 1 else None
    return None if rate_hz is None else float(rate_hz)


def _bytes_on_disk(path: Path, facts: Facts) -> int | None:
    """All files of the dataset; what the index says where there are too many to ask each."""
    try:
        if path.is_file():
            return path.stat().st_size
        total = 0
        for count, file in enumerate(path.rglob("*")):
            if count == FILES_ASKED_FOR_SIZE:
                return facts.total_size.bytes if facts.total_size else None
            total += file.stat().st_size if file.is_file() else 0
    except OSError:
        return facts.total_size.bytes if facts.total_size else None
    return total if path.is_dir() else None


def _pointers(path: Path) -> str | None:
    found = pointers_below(os.path.abspath(path))
    return f"{found.root}: {found.reason} {found.next_move}" if found is not None else None


def licence_of_card(path: Path) -> str | None:
    """The licence that a dataset card declares: `license:` in the front matter of README.md, as hubs write it."""
    try:
        with (path / "README.md").open(encoding="utf-8") as file:
            head = file.read(1 << 16)
    except (OSError, UnicodeDecodeError):
        return None
    if not head.startswith("---"):
        return None
    for line in head.splitlines()[1:]:
        if line.startswith("---"):
            return None
        name, colon, value = line.partition(":")
        if colon and name.strip() in ("license", "licence"):
            return value.strip().strip("'\"") or None
    return None


def _sample(source: Source, rows: Sequence[EpisodeRow]) -> tuple[list[Episode], dict[str, str]]:
    """The first, middle and last episode that can be opened, and those that could not.

    Raises:
        DamagedData: none can be opened, because the clone holds Git LFS pointers.
    """
    opened: list[Episode] = []
    pointers: DamagedData | None = None
    unreadable: dict[str, str] = {}
    for at in sorted(set(np.linspace(0, len(rows) - 1, SAMPLED_EPISODES).astype(int).tolist())) if rows else []:
        try:
            opened.append(source.episode(rows[at].id))
        except (DamagedData, Unsupported) as error:
            unreadable[rows[at].id] = str(error)
            pointers = pointers or (error if isinstance(error, DamagedData) and error.pointers else None)
    if pointers is not None and not opened:
        raise pointers
    return opened, unreadable


def _streams(episode: Episode, facts: Facts) -> list[StreamSummary]:
    return [_summarise(stream, facts) for stream in episode.streams.values()]


def _summarise(stream: Stream, facts: Facts) -> StreamSummary:
    size = facts.sizes.get(stream.name)
    problem, shape, dtype, rate_hz, quality = None, None, None, None, "unknown"
    encoding = stream.encoding
    try:
        quality = stream.clock.quality.value
        rate_hz = stream.clock.rate_hz()
        shape, dtype = stream.shape, str(stream.values.dtype)
        if stream.is_picture:
            media = stream.pictures.media()
            encoding, problem = media.encoding or encoding, media.problem
    except RobokataError as error:
        problem = str(error)
    return StreamSummary(
        name=stream.name,
        kind=stream.kind.value,
        role=stream.role.value,
        shape=shape,
        dtype=dtype,
        channels=stream.channels,
        unit=stream.meaning.unit.value if stream.meaning.unit else None,
        meaning=_meaning(stream.meaning),
        rate_hz=rate_hz,
        clock=quality,
        other_clocks=tuple(stream.other_clocks),
        encoding=encoding,
        size_bytes=size.bytes if size else None,
        is_size_estimate=bool(size and size.is_estimate),
        samples=len(stream.clock),
        problem=problem,
    )


def _meaning(meaning: Meaning) -> dict[str, str]:
    names = ("frame", "rotation", "reference", "gripper", "normalisation")
    return {name: str(getattr(meaning, name)) for name in names if getattr(meaning, name) is not None}


def _merge(per_episode: Sequence[Sequence[StreamSummary]]) -> tuple[StreamSummary, ...]:
    """One row per stream name; the rate is the median over the sampled episodes."""
    merged: dict[str, list[StreamSummary]] = {}
    for summaries in per_episode:
        for summary in summaries:
            merged.setdefault(summary.name, []).append(summary)
    out = []
    for same in merged.values():
        rates = [s.rate_hz for s in same if s.rate_hz is not None]
        best = next((s for s in same if s.problem is None), same[0])
        best = replace(best, problem=best.problem or _disagreement(same))
        in_episodes = None if len(same) == len(per_episode) else f"{len(same)} of {len(per_episode)}"
        rate_hz = float(np.median(rates)) if rates else None
        out.append(replace(best, rate_hz=rate_hz, samples=None, sampled_in=in_episodes))
    return tuple(out)


def _disagreement(same: Sequence[StreamSummary]) -> str | None:
    """In which way a stream is not the same in all sampled episodes; None where it is."""
    for what, found in (
        ("shape", [None if s.shape is None else str(list(s.shape)) for s in same]),
        ("kind", [s.kind for s in same]),
        ("role", [s.role for s in same]),
        ("unit", [s.unit for s in same]),
        ("names of numbers", [None if s.channels is None else " ".join(s.channels) for s in same]),
    ):
        values = dict.fromkeys(value for value in found if value is not None)
        if len(values) > 1:
            first, second = list(values)[:2]
            return f"not one stream: its {what} is {first} in some episodes and {second} in others"
    return None


def _shorten(value: Any) -> str:
    text = f"array {value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
