"""Counters and pointers that no longer say which rows are whose.

What it finds:
    frame_index that does not run 0, 1, 2, ... to the episode's end; episode_index that changes inside an
    episode or names another one; index that jumps, or does not start where the dataset's index says the
    episode starts; spans of rows that overlap, leave a hole, or hold another number of rows than the
    episode has; two episodes of one id.

Why it hurts:
    Loaders cut episodes by these numbers. Wrong ones mix two episodes into one window, skip rows, or ask for a
    video frame minutes away, and all of it without an error.

Example:
    Early rows of a published LIBERO conversion point into the wrong data file; a merged xArm set asked for a
    frame 460 s away from the one it meant (lerobot #2364).

Limits:
    Abstains where a format keeps no counters and no pointers (logs, RLDS). Holes are expected where the
    episodes in between are absent, and are not reported there. Rows that the index counts wrongly, with
    pointers that agree with the count, are metadata_contradicts_data's.

Repair:
    Number the rows again from the order of the data, after restoring rows that were lost. Numbering does not
    change what the robot would have done; rows that are missing do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, spans_from, whole_span
from robokata.core.source import EpisodeList, EpisodeRow, Facts
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.runs import runs_of, span_of

NEEDS: Sequence[Need] = ()

_COUNTERS = ("frame_index", "episode_index", "index")
_REPAIR = "restore the lost rows if any, then number the rows again from the order of the data"


class Counters(NamedTuple):
    """What an episode's own counters say."""

    findings: tuple[Finding, ...]
    """Contradictions inside the episode."""
    has_counters: bool
    rows: int | None
    declared_steps: int | None
    first_index: int | None
    """First value of `index`, None where it is absent or broken inside."""
    duration_s: float | None


def gather(episode: Episode) -> Counters:
    """Judge the counters of one episode, and keep what its neighbours are compared with."""
    counters = {s.name: s for s in episode.of_role(Role.BOOKKEEPING) if s.name in _COUNTERS and s.is_numeric and len(s)}
    findings = []
    for stream in counters.values():
        finding = _broken(episode, stream)
        if finding is not None:
            findings.append(finding)
    index = counters.get("index")
    is_whole = index is not None and all(finding.stream != "index" for finding in findings)
    lengths = {len(s) for s in (*episode.of_role(Role.STATE, Role.ACTION), *counters.values())}
    return Counters(
        tuple(findings),
        has_counters=bool(counters),
        rows=lengths.pop() if len(lengths) == 1 else None,
        declared_steps=episode.declared_steps,
        first_index=int(index.table[0, 0]) if index is not None and is_whole else None,
        duration_s=episode.duration_s,
    )


def _broken(episode: Episode, stream: Stream) -> Finding | None:
    numbers = stream.table[:, 0]
    if stream.name == "frame_index":
        expected: NDArray[np.int64] = np.arange(len(numbers), dtype=np.int64)
    elif stream.name == "index":
        expected = np.arange(len(numbers), dtype=np.int64) + (int(numbers[0]) if np.isfinite(numbers[0]) else 0)
    else:
        # The id is the promise where it is a number; elsewhere the episode's first row is.
        own = int(episode.id) if episode.id.isdigit() else numbers[0]
        expected = np.full(len(numbers), own)
    wrong = np.flatnonzero(numbers != expected)
    if not len(wrong):
        return None
    first, runs = int(wrong[0]), runs_of(numbers != expected)
    jumps = int(np.count_nonzero(np.diff(numbers) != (stream.name != "episode_index")))
    return Finding(
        level=Level.ERROR,
        message=(
            f"{stream.name} is {numbers[first]} in row {first} where {expected[first]} is due; {len(wrong)} of "
            f"{len(numbers)} rows are wrong, after {jumps} jump{'s' if jumps != 1 else ''}"
        ),
        episode=episode.id,
        stream=stream.name,
        spans=spans_from(span_of(episode, stream.clock, run.first, run.last) for run in runs),
        measured=float(numbers[first]),
        expected=float(expected[first]),
        repair=_REPAIR,
    )


def judge(rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
    """What is wrong inside episodes, then between an episode and the index, then in the index itself."""
    own = {row.episode: row.value for row in rows if isinstance(row.value, Counters)}
    spans = [row for row in facts.rows if row.first_row is not None and row.end_row is not None]
    if not spans and not any(counters.has_counters for counters in own.values()):
        yield Abstention(f"the format keeps no {', no '.join(_COUNTERS)} and no pointers to rows")
        return
    for counters in own.values():
        yield from counters.findings
    for row in spans:
        if row.id in own:
            yield from _against_the_index(row, own[row.id])
    yield from _inside_the_index(facts.rows, spans)


def _against_the_index(row: EpisodeRow, own: Counters) -> Iterator[Finding]:
    assert row.first_row is not None
    assert row.end_row is not None
    held = row.end_row - row.first_row
    # Where the declared length is as wrong as the pointers, metadata_contradicts_data says so already.
    if own.rows is not None and held not in (own.rows, own.declared_steps):
        yield _in_index(
            row.id,
            f"the index gives rows {row.first_row} to {row.end_row - 1} to this episode, {held} in all, and it has "
            f"{own.rows}",
            held,
            own.rows,
            duration_s=own.duration_s,
        )
    if own.first_index is not None and own.first_index != row.first_row:
        yield _in_index(
            row.id,
            f"its rows are numbered from {own.first_index}, and the index says that they start at row {row.first_row}",
            own.first_index,
            row.first_row,
            duration_s=own.duration_s,
        )


def _inside_the_index(rows: Sequence[EpisodeRow], spans: Sequence[EpisodeRow]) -> Iterator[Finding]:
    for name, count in Counter(row.id for row in rows).items():
        if count > 1:
            yield _in_index(name, f"the index holds {count} episodes of this id", count, 1)
    order = sorted(spans, key=lambda row: (row.first_row or 0, row.end_row or 0))
    for before, after in pairwise(order):
        end, first = before.end_row or 0, after.first_row or 0
        if first < end:
            said = f"the index gives row {first} to episode {before.id} too: {end - first} rows belong to both"
            yield _in_index(after.id, said, first, end)
        elif first > end and _are_neighbours(before.id, after.id):
            said = f"rows {end} to {first - 1}, between episode {before.id} and this one, belong to no episode"
            yield replace(_in_index(after.id, said, first, end), level=Level.WARNING)


def _are_neighbours(before: str, after: str) -> bool:
    """True unless the numbers of two episodes say that others lay between them."""
    return not (before.isdigit() and after.isdigit()) or int(after) == int(before) + 1


def _in_index(episode: str, message: str, measured: int, expected: int, *, duration_s: float | None = None) -> Finding:
    return Finding(
        level=Level.ERROR,
        message=message,
        episode=episode,
        spans=whole_span(duration_s),
        measured=measured,
        expected=expected,
        repair=_REPAIR,
    )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Let the frame_index of one episode jump by 10 (times `magnitude`) in its middle, or its rows start late.

    The pointer is planted where the format keeps no frame_index.
    """
    jump = round(10 * magnitude)
    keys = to_plant_into(source.keys(), "episode")
    chosen = source.episode(keys[int(rng.integers(len(keys)))])
    counter = chosen.streams.get("frame_index")
    facts = source.facts()
    episodes = list(source.episodes.values())
    if counter is not None and len(counter) > 4:
        numbers = np.asarray(counter.values[:]).copy()
        numbers[int(rng.integers(len(numbers) // 4, len(numbers) // 2)) :] += jump
        planted = chosen.with_stream(counter.with_values(ArrayValues(numbers)))
        return EpisodeList([planted if e.id == chosen.id else e for e in episodes], facts)
    moved, end = [], 0
    for row in facts.rows:
        first = row.first_row if row.first_row is not None else end
        end = row.end_row if row.end_row is not None else first + (row.steps or 0)
        late = jump if row.id == chosen.id else 0
        moved.append(replace(row, first_row=first + late, end_row=end + late))
    return EpisodeList(episodes, replace(facts, rows=moved))
