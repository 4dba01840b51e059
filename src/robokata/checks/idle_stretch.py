"""Time in which the robot does nothing.

What it finds:
    Stretches without motion at the start, in the middle and at the end of an episode, told apart, with their spans.

Why it hurts:
    A policy that is trained on idle steps learns to stay idle: at the start pose, "do nothing" is the most frequent
    label. Trimming idle steps is one of the few data changes with a published gain.

Example:
    openpi reports that its idle filter for DROID (runs of 7 steps and more) significantly improves the policy;
    DROID episodes begin with actions of zero (LeRobot issue 2111).

Limits:
    Judged by headway over 0.1 s of the state (of the action where there is no state), against the episode's own fast
    motion: a very slow motion beside a fast one counts as idle. Abstains where no number ever changes. Without
    times its limits are samples (`untimed_told_above_count`, `untimed_warn_above_count`); `--rate-hz` gives it seconds.
    Whether a pause in the middle is waiting or deliberate (holding a part, grasping) the numbers do not say.

Repair:
    Trim the start and the end. Keep the middle when the policy predicts chunks of actions: cutting it joins two moments
    that were seconds apart. Trimming the ends does not change what the robot would have done in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.contracts import CurveKind, Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, spans_from, stretches_in_words
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues, IndexedValues
from robokata.geometry.motion import still_share
from robokata.geometry.runs import Run, runs_of, samples_in, span_of
from robokata.media.images import RawImages

NEEDS: Sequence[Need] = (Need.NUMBERS,)
CURVE = CurveKind.TRAVEL


class Part(NamedTuple):
    """The idle stretches of one part of the episode."""

    name: str
    runs: list[Run]
    repair: str


def check(
    episode: Episode,
    *,
    # 1 s: below that, a pause is part of handling (a grasp takes 0.3 to 0.8 s).
    told_above_s: float = 1.0,
    # 3 s and a fifth of the episode: the policy then sees the idle picture as often as any phase of the task.
    warn_above_s: float = 3.0,
    warn_above_share: float = 0.2,
    # The same two where no rate is known, in samples: 1 s and 3 s of the fastest usual recorder (30 Hz), longer rests
    # at slower ones.
    untimed_told_above_count: int = 30,
    untimed_warn_above_count: int = 90,
    # An episode of any length that is idle for most of its time teaches to stay where one is.
    mostly_above_share: float = 0.5,
) -> Iterator[Verdict]:
    """At most one finding for each of start, middle and end."""
    seen = still_share(episode)
    if seen is None:
        yield Abstention("neither state nor action ever changes", episode.id)
        return
    stream, still = seen
    has_times = stream.clock.has_times
    told_above = told_above_s if has_times else untimed_told_above_count
    warn_above = warn_above_s if has_times else untimed_warn_above_count
    # One step of tremor does not end a rest: 0.1 s is less than a human's reaction time.
    runs = runs_of(still, bridge=samples_in(stream.clock, 0.1, untimed=3))
    whole = max(1e-9, _length(stream, Run(0, len(still) - 1)))
    for part in _parts(runs, len(still)):
        long_runs = [run for run in part.runs if _length(stream, run) > told_above]
        if long_runs:
            idle = sum(_length(stream, run) for run in long_runs)
            share = idle / whole
            is_much = share > mostly_above_share or (idle > warn_above and share > warn_above_share)
            yield _finding(episode, stream, part._replace(runs=long_runs), idle, share, told_above, is_much)


def _parts(runs: list[Run], steps: int) -> Iterator[Part]:
    at_start = [run for run in runs if run.first == 0]
    at_end = [run for run in runs if run.last == steps - 1 and run.first > 0]
    middle = [run for run in runs if run.first > 0 and run.last < steps - 1]
    yield Part("start", at_start, "trim the start")
    yield Part("middle", middle, "look at it; keep it for policies that predict chunks")
    yield Part("end", at_end, "trim the end")


def _length(stream: Stream, run: Run) -> float:
    """Seconds, or steps where there are no times."""
    if not stream.clock.has_times:
        return run.length
    times_ns = stream.clock.times_ns
    return (int(times_ns[run.last + 1]) - int(times_ns[run.first])) / NS_PER_S


def _finding(
    episode: Episode, stream: Stream, part: Part, idle: float, share: float, told_above: float, is_much: bool
) -> Finding:
    told = spans_from(span_of(episode, stream.clock, run.first, run.last + 1) for run in part.runs)
    unit = told[0].unit
    where = {"start": "at the start", "middle": "in the middle", "end": "at the end"}[part.name]
    return Finding(
        level=Level.WARNING if is_much else Level.INFO,
        message=(
            f"the robot does nothing for {idle:.{1 if unit == 's' else 0}f} {unit} {where} {stretches_in_words(told)} "
            f"({100 * share:.0f} % of the episode), judged by {stream.name}"
        ),
        episode=episode.id,
        stream=stream.name,
        spans=told,
        measured=idle,
        expected=told_above,
        unit=unit,
        repair=part.repair,
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Let the robot wait at its first pose for half of the episode, at least 4 s (times `magnitude`).

    The motion that follows is the episode's own from its first sample on; what no longer fits is cut.
    """
    streams = [s for s in episode.numeric(Role.STATE, Role.ACTION) if len(s) > 2]
    cameras = [s for s in episode.pictures() if len(s) > 2]
    for stream in [*streams, *cameras]:
        count = len(stream)
        wait = min(round(magnitude * max(count // 2, samples_in(stream.clock, 4.0, untimed=120))), count - 2)
        episode = episode.with_stream(_delayed(stream, np.clip(np.arange(count) - wait, 0, None)))
    return episode


def _delayed(stream: Stream, source: NDArray[np.int64]) -> Stream:
    """The stream with sample `source[i]` at place i."""
    if not stream.is_picture:
        return stream.with_values(ArrayValues(np.array(stream.values[:])[source]))
    pictures = stream.pictures
    waiting = IndexedValues(pictures.shape, pictures.dtype, lambda index: pictures[int(source[index])])
    raw = RawImages(waiting, where=f"{stream.name}, waiting")
    return replace(stream, kind=Kind.IMAGE, values=raw, encoding="raw")
