"""The episodes of a training as a LeRobot v3.0 dataset that lerobot's own loop reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, ClockQuality, grid_clock, grid_ns, step_clock
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, TrainingRefused, Unsupported
from robokata.core.leaf_kinds import writable_format
from robokata.core.selected_values import PickedPictures
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.loading.gather import UNNAMED_ROBOT, what_there_is
from robokata.loading.layout import BodyLayout, arranged, channels_of
from robokata.loading.pictures import probe_of, resized
from robokata.loading.window_spec import WindowSpec
from robokata.loading.windows import Rows, nearest_at, newest_at
from robokata.media.images import RawImages
from robokata.policies._lerobot.adapter import ACTION, STATE, View, spread_out
from robokata.runtime.atomic import replace_json
from robokata.training.data import LeftOut, Weighted

_LATE_NS = NS_PER_S // 1000
"""A sample that is a millisecond younger than its row still belongs to it: clocks are rounded."""
_PICTURES_AT_ONCE = 64


class Taken(NamedTuple):
    """An episode that is learnt from."""

    source: Weighted
    key: str


class Surveyed(NamedTuple):
    """What all episodes have in common, and which of them can be learnt from."""

    view: View
    taken: tuple[Taken, ...]
    left_out: tuple[LeftOut, ...]


class Written(NamedTuple):
    """What was written."""

    episodes: int
    rows: int
    left_out: tuple[LeftOut, ...]
    digest: str
    """SHA-256 of everything in the dataset that comes from the data."""


def survey(sources: Sequence[Weighted], window: WindowSpec) -> Surveyed:
    """Open every episode's index: one robot, one order of channels, one kind of action.

    Raises:
        TrainingRefused: lerobot cannot learn from these sources together, or from none of the episodes.
    """
    if len(sources) > 1 and any(each.weight is not None for each in sources):
        raise TrainingRefused("lerobot's training takes every sample once, so weights cannot be kept. Leave them out.")
    first: View | None = None
    taken, left_out = [], []
    for source in sources:
        for key in source.keys:
            try:
                found = _view_of(source.episode(key), window)
            except RobokataError as error:
                left_out.append(LeftOut(key, str(error)))
                continue
            first = first or found
            _refuse_unlike(first, found)
            taken.append(Taken(source, key))
    if first is None:
        raise TrainingRefused(f"none of {len(left_out)} episodes can be learnt from: {left_out[0].reason}")
    return Surveyed(first, tuple(taken), tuple(left_out))


def write_dataset(surveyed: Surveyed, folder: Path) -> Written:
    """Write the dataset into `folder`, which appears when it is complete; a damaged episode costs itself.

    Raises:
        TrainingRefused: none of the episodes can be learnt from.
        WriteRefused: the folder is occupied, or the disk is full.
    """
    rows = _Rows(surveyed)
    first = next(iter(episodes := iter(rows)), None)
    if first is None:
        raise TrainingRefused(f"none of {len(rows.left_out)} episodes can be learnt from: {rows.left_out[0].reason}")
    rate = Fraction(round(surveyed.view.window.timed_rate_hz))
    leaf = writable_format("lerobot_v3")
    leaf.write(folder, _chained(first, episodes), anchor=STATE, rate_hz=rate, pictures="image")
    _spread_statistics(folder / "meta" / "stats.json", surveyed.view)
    return Written(rows.episodes, rows.rows, tuple(rows.left_out), rows.digest.hexdigest())


class _Rows:
    """The episodes as rows, one after another. A class, because it counts what it gave and what it left out."""

    def __init__(self, surveyed: Surveyed) -> None:
        self._surveyed = surveyed
        self.left_out = list(surveyed.left_out)
        self.episodes = self.rows = 0
        self.digest = hashlib.sha256(json.dumps(surveyed.view.to_json(), sort_keys=True).encode())

    def __iter__(self) -> Iterator[Episode]:
        for source, key in self._surveyed.taken:
            try:
                made = rows_of(source.episode(key), self._surveyed.view)
            except RobokataError as error:
                self.left_out.append(LeftOut(key, str(error)))
                continue
            self._count(made)
            yield replace(made, id=str(self.episodes - 1))

    def _count(self, made: Episode) -> None:
        self.episodes += 1
        self.rows += len(made.stream(STATE))
        for stream in made.streams.values():
            if stream.is_picture:
                self.digest.update(probe_of(stream, np.arange(len(stream))))
            else:
                self.digest.update(np.ascontiguousarray(stream.table).tobytes())


def rows_of(episode: Episode, view: View) -> Episode:
    """One episode on the grid of the policy's rate: state, action, and pictures at the size that is learnt.

    Raises:
        TrainingRefused: a number or a picture is absent somewhere, and lerobot knows no masks.
        Unsupported: a camera holds depth or floats, not 8-bit pictures.
        DamagedData: something cannot be read.
    """
    window = view.window
    rate = Fraction(round(window.timed_rate_hz))
    seen = [episode.stream(name) for name in (*window.inputs, *window.cameras)]
    action = episode.stream(window.action)
    first_ns = max(int(stream.clock.times_ns.min()) for stream in seen)
    # A row after the last picture would show the past as the present.
    known_ns = min(int(stream.clock.times_ns.max()) for stream in seen) + round(NS_PER_S / rate)
    span_ns = min(int(action.clock.times_ns.max()), known_ns) - first_ns
    count = span_ns * rate // NS_PER_S + 1 if span_ns >= 0 else 0
    if count < 2:
        raise TrainingRefused(f"episode {episode.id} is too short: {max(0, span_ns) / NS_PER_S:.3g} s.")
    at_ns = first_ns + grid_ns(int(count), rate)
    numbers = {name: _table(episode.stream(name), view)[_newest(episode, name, at_ns)] for name in window.inputs}
    actions = _table(action, view)[nearest_at(action.clock.times_ns, at_ns).rows]
    clock = grid_clock(int(count), rate, quality=ClockQuality.DECLARED)
    state = _vector(episode, STATE, Role.STATE, view.state(numbers), view.state_channels)
    learnt = _vector(episode, ACTION, Role.ACTION, view.learnt(actions), view.action_channels)
    streams = [replace(each, clock=clock) for each in (state, learnt) if each.shape[0]]
    for name in window.cameras:
        pictures = _seen(episode, name, at_ns, window.picture_px)
        streams.append(replace(pictures, name=view.features[name], clock=clock))
    return Episode(
        id=episode.id,
        streams={stream.name: stream for stream in streams},
        embodiment=episode.embodiment,
        instructions=tuple(i for i in episode.instructions if i.start_s is None and i.end_s is None)[:1],
        declared_rate_hz=rate,
    )


def _view_of(episode: Episode, window: WindowSpec) -> View:
    for name in (*window.inputs, window.action, *window.cameras):
        stream = episode.streams.get(name)
        is_right = stream is not None and (stream.is_picture if name in window.cameras else stream.is_numeric)
        if stream is None or not is_right or not len(stream):
            raise TrainingRefused(f"episode {episode.id} has no {name!r} to learn from. {what_there_is(episode)}")
    action = episode.stream(window.action)
    reference = action.meaning.reference
    channels = {name: channels_of(episode.stream(name)) for name in (*window.inputs, window.action)}
    robot = episode.embodiment.name if episode.embodiment else UNNAMED_ROBOT
    is_change = reference is not None and str(reference).startswith(("delta", "velocity", "relative"))
    return View(BodyLayout(robot, channels), window, is_change)


def _refuse_unlike(first: View, other: View) -> None:
    if other.layout.embodiment != first.layout.embodiment:
        raise TrainingRefused(
            f"lerobot's policies know one robot, and the data has {first.layout.embodiment} and "
            f"{other.layout.embodiment}. Choose one with where = (small_vla learns from several)."
        )
    for name, channels in other.layout.channels.items():
        if set(channels) != set(first.layout.channels[name]):
            raise TrainingRefused(
                f"{name!r} holds {', '.join(first.layout.channels[name])} in some episodes and {', '.join(channels)} "
                "in others, and lerobot knows no masks. Choose the episodes of one kind with where =."
            )
    if other.is_change is not first.is_change:
        raise TrainingRefused(f"{first.window.action!r} holds targets in some episodes and differences in others.")


def _table(stream: Stream, view: View) -> NDArray[np.float32]:
    """All samples of a stream in the view's order of channels, (T, D)."""
    return arranged(stream.table, channels_of(stream), view.layout.channels[stream.name])


def _newest(episode: Episode, name: str, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sample that is newest at each row, (N,)."""
    newest: Rows = newest_at(episode.stream(name).clock.times_ns, at_ns + _LATE_NS)
    if not newest.is_there.all():
        at_s = episode.seconds(int(at_ns[np.argmin(newest.is_there)]))
        raise TrainingRefused(f"episode {episode.id}: {name!r} has nothing newer than half a second at {at_s:.2f} s.")
    return newest.rows


def _vector(episode: Episode, name: str, role: Role, values: NDArray[np.float32], channels: tuple[str, ...]) -> Stream:
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise TrainingRefused(f"episode {episode.id}: {channels[column]!r} is no number in row {row}.")
    clock = step_clock(len(values))
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(values), channels=channels)


def _seen(episode: Episode, name: str, at_ns: NDArray[np.int64], picture_px: int) -> Stream:
    """A camera's pictures at the rows; their own bytes where they have the size that is learnt."""
    stream = episode.stream(name)
    if stream.values.dtype != np.uint8:
        raise Unsupported(f"stream {name!r} of episode {episode.id} holds {stream.values.dtype}, not 8 bits.")
    picked = np.maximum.accumulate(_newest(episode, name, at_ns))
    if stream.shape == (picture_px, picture_px, 3) and stream.kind is Kind.IMAGE:
        return Stream(name, Kind.IMAGE, Role.CAMERA, stream.clock, PickedPictures(stream.pictures, picked))
    ordinals, place = np.unique(picked, return_inverse=True)
    blocks = [ordinals[start : start + _PICTURES_AT_ONCE] for start in range(0, len(ordinals), _PICTURES_AT_ONCE)]
    small = np.concatenate([resized(stream.pictures[block], picture_px=picture_px) for block in blocks])
    values = RawImages(ArrayValues(small[place]), where=f"{episode.id}: {name}")
    return Stream(name, Kind.IMAGE, Role.CAMERA, stream.clock, values)


def _spread_statistics(path: Path, view: View) -> None:
    statistics = json.loads(path.read_text(encoding="utf-8"))
    for name, least in view.least_spread.items():
        if name in statistics:
            statistics[name] = spread_out(statistics[name], least)
    replace_json(path, statistics, indent=None)


def _chained(first: Episode, others: Iterator[Episode]) -> Iterator[Episode]:
    yield first
    yield from others
