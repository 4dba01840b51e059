"""A dataset that says one thing of itself and holds another.

What it finds:
    Counts, splits and features that the metadata declares and the bytes contradict; episodes with more or
    fewer rows than their index promises; cameras that an episode lacks although its siblings of the same
    robot have them, and state or action of another width than theirs.

Why it hurts:
    A loader believes the metadata: it asks for rows that are not there and stops after an hour of training,
    or it believes a count that is too small and never shows the policy the rest.

Example:
    A published Reachy 2 set declares 14983 frames and the split 0:50, and holds 899 frames in 3 episodes: both
    are left over from the 50-episode original. NVIDIA's GR1 sample declares 100 episodes to train on and has 5.

Limits:
    Compares what the format's reader can compare from indexes. Files that are absent are missing_media's,
    files that cannot be read unreadable_data's, pointers broken_episode_index's, statistics stale_statistics's.
    Siblings are compared where at least three episodes of the robot were read.

Repair:
    Write the true counts into the metadata, or restore the missing part from the original. The first does
    not change what the robot would have done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robokata.core.contracts import Gathered, Need
from robokata.core.declared import stream_declarations
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, whole_span
from robokata.core.source import Declaration, EpisodeList, Facts
from robokata.core.stream import Role

NEEDS: Sequence[Need] = ()

_BOOKKEEPING_COUNTS = ("splits", "total_tasks", "total_videos", "total_chunks", "starting_time", "duration")
"""Statements that loaders print or ignore; wrong ones mislead people, not tensors. So do types of numbers."""
_OTHERS_REPORT = ("video of ", "data file ")
"""Absent and damaged files: missing_media and unreadable_data name the episodes that they cost."""


class Shape(NamedTuple):
    """What one episode holds, to compare with its index and its siblings."""

    robot: str | None
    declared_steps: int | None
    rows: int | None
    """Rows of its state and action, None where the streams do not agree on a number (logs of several rates)."""
    cameras: tuple[str, ...]
    widths: tuple[tuple[str, int], ...]
    """Numbers per sample of each state and action stream."""
    duration_s: float | None
    false: tuple[tuple[str, Declaration], ...] = ()
    """Streams of numbers with another number of samples than the index promises of them."""


def gather(episode: Episode) -> Shape:
    """Rows, cameras and widths of one episode; reads no values."""
    numbers = [stream for stream in episode.of_role(Role.STATE, Role.ACTION) if stream.is_numeric]
    lengths = {len(stream) for stream in numbers}
    return Shape(
        robot=episode.embodiment.name if episode.embodiment else None,
        declared_steps=episode.declared_steps,
        rows=lengths.pop() if len(lengths) == 1 else None,
        cameras=tuple(stream.name for stream in episode.of_role(Role.CAMERA, Role.DEPTH)),
        widths=tuple((stream.name, int(np.prod(stream.shape, dtype=np.int64))) for stream in numbers),
        duration_s=episode.duration_s,
        false=tuple(
            (stream.name, stated)
            for stream in episode.streams.values()
            if not stream.is_picture
            for stated in stream_declarations(stream)
            if not stated.holds
        ),
    )


def judge(
    rows: Sequence[Gathered],
    facts: Facts,
    *,
    # 0.8 of the siblings: what fewer of them have is an option of the set (a second camera on some days), not a norm.
    siblings_share: float = 0.8,
) -> Iterator[Verdict]:
    """One finding per false statement, and one per episode and stream that differs from index or siblings."""
    shapes = [(row.episode, row.value) for row in rows if isinstance(row.value, Shape)]
    stated = [d for d in facts.declarations if not _is_reported_elsewhere(d)]
    miscounted = [
        (name, shape)
        for name, shape in shapes
        if None not in (shape.declared_steps, shape.rows) and shape.declared_steps != shape.rows
    ]
    if not stated and all(shape.declared_steps is None for _, shape in shapes):
        yield Abstention("the dataset declares nothing that can be compared with its bytes")
    for declaration in stated:
        # The sum of the lengths is wrong because an episode's is: that episode is named below.
        if not declaration.holds and not (declaration.subject.startswith("length of") and miscounted):
            yield _false_statement(declaration)
    for name, shape in miscounted:
        yield _miscounted(name, shape)
    for name, shape in shapes:
        yield from (_false_length(name, stream, stated) for stream, stated in shape.false)
    for robot in dict.fromkeys(shape.robot for _, shape in shapes):
        yield from _unlike_siblings([(n, s) for n, s in shapes if s.robot == robot], siblings_share)


def _is_reported_elsewhere(stated: Declaration) -> bool:
    # A camera of which no file exists is in no episode: only this check can say so. One of which some exist is
    # missed in each episode that lacks its own.
    some_exist = stated.subject.startswith("videos of ") and stated.found not in (0, None)
    return some_exist or stated.subject.startswith(_OTHERS_REPORT)


def _false_statement(stated: Declaration) -> Finding:
    subject, hint = stated.subject, f" ({stated.hint})" if stated.hint else ""
    found, declared = _shown(stated.found), _shown(stated.declared)
    is_unreadable = declared == "readable" and found in ("refused", "damaged") and stated.hint
    is_extra = stated.declared == "not declared"
    # Zarr 3 writes no chunk of an array that holds nothing but its fill value, as a flag that is never set.
    is_unset = subject.startswith("chunk files of ") and stated.found == 0
    is_wording = subject.startswith(("dtype of ", "type of ")) or subject.split(".")[0] in _BOOKKEEPING_COUNTS
    is_minor = is_extra or is_unset or is_wording
    return Finding(
        level=Level.WARNING if is_minor else Level.ERROR,
        message=(
            f"{subject} cannot be read: {stated.hint}"
            if is_unreadable
            else f"{subject}: {found} in the data, {declared} in {stated.where}{hint}"
        ),
        measured=_plain(stated.found),
        expected=_plain(stated.declared),
        repair=(
            f"restore {stated.where} from the original, or take it out of the dataset"
            if is_unreadable
            else "none for reading; give each publisher a topic of its own before the next recording"
            if subject.startswith("type of ")
            else f"write {found} into {stated.where}, or restore what is missing from the original"
        ),
    )


def _miscounted(name: str, shape: Shape) -> Finding:
    assert shape.rows is not None
    assert shape.declared_steps is not None
    fewer = shape.rows < shape.declared_steps
    return Finding(
        level=Level.ERROR,
        message=(
            f"the index promises {shape.declared_steps} steps, and the table has {shape.rows} rows: "
            f"{abs(shape.declared_steps - shape.rows)} {'are missing' if fewer else 'are too many'}"
        ),
        episode=name,
        spans=whole_span(shape.duration_s),
        measured=shape.rows,
        expected=shape.declared_steps,
        repair="restore the rows from the original, or write the true length into the index",
    )


def _false_length(episode: str, stream: str, stated: Declaration) -> Finding:
    return Finding(
        level=Level.ERROR,
        message=f"{stream} has {stated.found} samples, and {stated.where} promises {stated.declared}",
        episode=episode,
        stream=stream,
        measured=stated.found,
        expected=_plain(stated.declared),
        repair=f"restore the samples from the original, or write {stated.found} into {stated.where}",
    )


def _unlike_siblings(shapes: Sequence[tuple[str, Shape]], siblings_share: float) -> Iterator[Finding]:
    # Of two episodes none can say which one is the odd one out.
    if len(shapes) < 3:
        return
    cameras = Counter(camera for _, shape in shapes for camera in shape.cameras)
    widths = Counter(width for _, shape in shapes for width in shape.widths)
    usual = {name: width for (name, width), count in widths.items() if count >= siblings_share * len(shapes)}
    for episode, shape in shapes:
        for camera, count in cameras.items():
            if camera not in shape.cameras and count >= siblings_share * len(shapes):
                yield _odd(episode, camera, "camera is absent", f"{count} of {len(shapes)} episodes have it")
        for name, width in shape.widths:
            if usual.get(name, width) != width:
                others = f"{widths[name, usual[name]]} of {len(shapes)} episodes have {usual[name]}"
                yield _odd(episode, name, f"a sample has {width} numbers", others)


def _odd(episode: str, stream: str, what: str, others: str) -> Finding:
    return Finding(
        level=Level.WARNING,
        message=f"{stream}: the {what}, and {others}" if what.startswith("camera") else f"{stream}: {what}, {others}",
        episode=episode,
        stream=stream,
        repair="drop the episode, or keep it in a dataset of its own: one batch cannot hold both",
    )


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)


def _plain(value: object) -> float | int | str | None:
    return value if value is None or isinstance(value, (int, float, str)) else str(value)


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Let the metadata promise 50 % (times `magnitude`) more of something that is counted."""
    if magnitude <= 0:
        return source
    facts = source.facts()
    counted = [d for d in facts.declarations if type(d.found) is int and d.holds]
    chosen = counted[int(rng.integers(len(counted)))] if counted else None
    if chosen is None:
        count = len(source.keys())
        chosen = Declaration("total_episodes", count, count, "the index")
    wrong = replace(chosen, declared=chosen.found + max(1, round(0.5 * magnitude * chosen.found)))
    declarations = (*(d for d in facts.declarations if d is not chosen), wrong)
    return EpisodeList(list(source.episodes.values()), replace(facts, declarations=declarations))
