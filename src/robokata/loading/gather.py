"""One episode as rows of numbers and pictures: what a worker reads, once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import TrainingRefused
from robokata.core.stream import Stream
from robokata.loading.axis import places_on_one_axis
from robokata.loading.layout import BodyLayout, channels_of
from robokata.loading.pictures import kept_pictures, probe_of
from robokata.loading.window_spec import WindowSpec
from robokata.loading.windows import (
    Rows,
    chunk_offsets_ns,
    consecutive,
    moments,
    nearest_at,
    newest_at,
    offsets_ns,
    same_step,
)

UNNAMED_ROBOT = "robot"
"""Embodiment of episodes whose source does not say which robot it is."""


class Frames(NamedTuple):
    """Pictures of one camera for each sample."""

    file: Path
    """Array of pictures, (n, px, px, 3) uint8."""
    rows: NDArray[np.int32]
    """Picture of each sample, (N,)."""
    is_there: NDArray[np.bool_]


@dataclass(frozen=True)
class Gathered:
    """The samples of one episode: N moments, and which rows of which table each holds."""

    key: str
    layout: BodyLayout
    tables: Mapping[str, NDArray[np.float32]]
    """Stream -> every sample of it, (T, D), in its own channel order."""
    inputs: Mapping[str, Rows]
    """Stream -> rows (N, len(history))."""
    actions: Rows
    """Rows of the action stream, (N, chunk_steps)."""
    frames: Mapping[str, Frames]
    at: NDArray[np.int64]
    """Where the moments lie: nanoseconds, or step numbers where the episode has no times."""
    instructions: tuple[tuple[str, ...], ...]
    """What may be said at each moment: several texts are paraphrases, none is an empty tuple."""
    is_change: bool
    """True where the source says that its actions are differences or velocities, not targets."""
    digest: str
    """SHA-256 of everything above that comes from the data."""

    def __len__(self) -> int:
        return len(self.at)


def gather(episode: Episode, *, spec: WindowSpec, folder: Path | None = None) -> Gathered:
    """Read one episode whole; its pictures go to files in `folder` (default: the cache).

    Raises:
        TrainingRefused: the episode has none of the streams that training asks for, or no action; or nothing says which
            of their samples belong together.
    """
    action = _numbers(episode, spec.action)
    if action is None or not len(action):
        raise TrainingRefused(f"episode {episode.id} has no numbers in {spec.action!r}. {what_there_is(episode)}")
    inputs = {name: stream for name in spec.inputs if (stream := _numbers(episode, name)) is not None and len(stream)}
    cameras = {
        name: stream
        for name in spec.cameras
        if (stream := episode.streams.get(name)) is not None and stream.is_picture and len(stream)
    }
    if not inputs and not cameras:
        asked = ", ".join((*spec.inputs, *spec.cameras)) or "nothing"
        raise TrainingRefused(f"episode {episode.id} has none of {asked}. {what_there_is(episode)}")
    windows = _windows(episode, spec, action, inputs, cameras)
    tables = {name: _finite(s.table) for name, s in {**inputs, spec.action: action}.items()}
    made = Gathered(
        key=episode.id,
        layout=BodyLayout(
            episode.embodiment.name if episode.embodiment else UNNAMED_ROBOT,
            {name: channels_of(s) for name, s in {**inputs, spec.action: action}.items()},
        ),
        tables=tables,
        inputs=windows.inputs,
        actions=windows.actions,
        frames={
            name: _frames(episode, stream, windows.pictures[name], spec.picture_px, folder)
            for name, stream in cameras.items()
        },
        at=windows.at,
        instructions=_instructions(episode, windows.at, is_timed=windows.is_timed),
        is_change=_is_change(action),
        digest="",
    )
    return replace(made, digest=_digest(made, cameras, windows.pictures))


def what_there_is(episode: Episode) -> str:
    """The streams of an episode in one sentence, for an error."""
    numbers = ", ".join(s.name for s in episode.numeric()) or "none"
    pictures = ", ".join(s.name for s in episode.pictures()) or "none"
    return f"It has numbers: {numbers}; pictures: {pictures}."


def _finite(table: NDArray[Any]) -> NDArray[np.float32]:
    """The table with NaN, which is absence, for whatever is no number: one infinity would drown every statistic."""
    with np.errstate(over="ignore"):
        numbers = np.asarray(table, np.float32)
    return np.where(np.isfinite(numbers), numbers, np.float32(np.nan))


def _numbers(episode: Episode, name: str) -> Stream | None:
    stream = episode.streams.get(name)
    return stream if stream is not None and stream.is_numeric else None


def _is_change(action: Stream) -> bool:
    reference = action.meaning.reference
    return reference is not None and str(reference).startswith(("delta", "velocity", "relative"))


class _Windows(NamedTuple):
    """Which rows of each stream the samples of an episode hold."""

    at: NDArray[np.int64]
    is_timed: bool
    inputs: dict[str, Rows]
    actions: Rows
    pictures: dict[str, Rows]


def _windows(
    episode: Episode, spec: WindowSpec, action: Stream, inputs: Mapping[str, Stream], cameras: Mapping[str, Stream]
) -> _Windows:
    """Windows at moments when everything that the episode has was already seen once, and an action still follows."""
    seen = [*cameras.values(), *inputs.values()]
    places = places_on_one_axis(episode, [action, *seen], spec)
    first = max(int(places.of[s.name].min()) for s in seen)
    pair = newest_at if places.is_timed else same_step
    if spec.rate_hz is None:
        run = consecutive(
            places.of[action.name],
            first=first,
            chunk_steps=spec.chunk_steps,
            history_steps=spec.history_steps,
            every_steps=spec.every_steps,
        )
        past, has_past, at, actions = run.past, run.has_past, run.at, run.chunk
    else:
        last_ns = int(places.of[action.name].max())
        # The first camera sets the pace: its picture is then of the very moment that the action is for.
        at = moments(places.of[seen[0].name], first_ns=first, last_ns=last_ns, every_s=spec.every_s)
        past, has_past = at[:, None] + offsets_ns(spec.history_s), np.ones((), bool)
        actions = nearest_at(places.of[action.name], at[:, None] + chunk_offsets_ns(spec.chunk_steps, spec.rate_hz))
    found = {name: pair(places.of[s.name], past) for name, s in inputs.items()}
    found = {name: Rows(rows, is_there & has_past) for name, (rows, is_there) in found.items()}
    return _Windows(at, places.is_timed, found, actions, {n: pair(places.of[s.name], at) for n, s in cameras.items()})


def _frames(episode: Episode, stream: Stream, newest: Rows, picture_px: int, folder: Path | None) -> Frames:
    ordinals, rows = np.unique(newest.rows, return_inverse=True)
    file = kept_pictures(episode, stream, ordinals, picture_px=picture_px, folder=folder)
    return Frames(file, rows.astype(np.int32), newest.is_there)


def _instructions(episode: Episode, at: NDArray[np.int64], *, is_timed: bool) -> tuple[tuple[str, ...], ...]:
    said = [i for i in episode.instructions if i.text.strip()]
    whole = tuple(i.text for i in said if i.start_s is None and i.end_s is None)
    # Without times nothing tells when the seconds of a text are.
    if not is_timed or len(whole) == len(said):
        return (whole,) * len(at)
    at_s = (at - episode.start_ns) / 1e9
    return tuple(
        tuple(i.text for i in said if (i.start_s is None or i.start_s <= now) and (i.end_s is None or now < i.end_s))
        for now in at_s
    )


def _digest(made: Gathered, cameras: Mapping[str, Stream], pictures: Mapping[str, Rows]) -> str:
    digest = hashlib.sha256(f"{made.key}|{made.layout.to_json()}".encode())

    def add(*arrays: NDArray[Any]) -> None:
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())

    for name, table in made.tables.items():
        add(table, *made.inputs.get(name, ()))
    add(*made.actions, made.at)
    for name, frames in made.frames.items():
        add(frames.rows, frames.is_there)
        digest.update(probe_of(cameras[name], np.unique(pictures[name].rows)))
    digest.update(repr(made.instructions).encode())
    return digest.hexdigest()
