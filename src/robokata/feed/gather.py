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
from robokata.feed.layout import BodyLayout, channels_of
from robokata.feed.pictures import kept_pictures, probe_of
from robokata.feed.window_spec import WindowSpec
from robokata.feed.windows import Rows, chunk_offsets_ns, moments, nearest_at, newest_at, offsets_ns

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
    at_ns: NDArray[np.int64]
    instructions: tuple[tuple[str, ...], ...]
    """What may be said at each moment: several texts are paraphrases, none is an empty tuple."""
    is_change: bool
    """True where the source says that its actions are differences or velocities, not targets."""
    digest: str
    """SHA-256 of everything above that comes from the data."""

    def __len__(self) -> int:
        return len(self.at_ns)


def gather(episode: Episode, *, spec: WindowSpec, folder: Path | None = None) -> Gathered:
    """Read one episode whole; its pictures go to files in `folder` (default: the cache).

    Raises:
        TrainingRefused: the episode has none of the streams that training asks for, or no action.
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
    at_ns = _moments(spec, action, inputs, cameras)
    past = at_ns[:, None] + offsets_ns(spec.history_s)
    future = at_ns[:, None] + chunk_offsets_ns(spec.chunk_steps, spec.rate_hz)
    tables = {name: _finite(s.table) for name, s in {**inputs, spec.action: action}.items()}
    made = Gathered(
        key=episode.id,
        layout=BodyLayout(
            episode.embodiment.name if episode.embodiment else UNNAMED_ROBOT,
            {name: channels_of(s) for name, s in {**inputs, spec.action: action}.items()},
        ),
        tables=tables,
        inputs={name: newest_at(s.clock.times_ns, past) for name, s in inputs.items()},
        actions=nearest_at(action.clock.times_ns, future),
        frames={n: _frames(episode, s, at_ns, spec.picture_px, folder) for n, s in cameras.items()},
        at_ns=at_ns,
        instructions=_instructions(episode, at_ns),
        is_change=_is_change(action),
        digest="",
    )
    return replace(made, digest=_digest(made, cameras))


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


def _moments(
    spec: WindowSpec, action: Stream, inputs: Mapping[str, Stream], cameras: Mapping[str, Stream]
) -> NDArray[np.int64]:
    """Moments at which everything that the episode has was already seen once, and an action still follows."""
    seen = [*cameras.values(), *inputs.values()]
    first_ns = max(int(s.clock.times_ns.min()) for s in seen)
    last_ns = int(action.clock.times_ns.max())
    # The first camera sets the pace: its picture is then of the very moment that the action is for.
    return moments(seen[0].clock.times_ns, first_ns=first_ns, last_ns=last_ns, every_s=spec.every_s)


def _frames(episode: Episode, stream: Stream, at_ns: NDArray[np.int64], picture_px: int, folder: Path | None) -> Frames:
    newest = newest_at(stream.clock.times_ns, at_ns)
    ordinals, rows = np.unique(newest.rows, return_inverse=True)
    file = kept_pictures(episode, stream, ordinals, picture_px=picture_px, folder=folder)
    return Frames(file, rows.astype(np.int32), newest.is_there)


def _instructions(episode: Episode, at_ns: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
    said = [i for i in episode.instructions if i.text.strip()]
    if all(i.start_s is None and i.end_s is None for i in said):
        return (tuple(i.text for i in said),) * len(at_ns)
    at_s = (at_ns - episode.start_ns) / 1e9
    return tuple(
        tuple(i.text for i in said if (i.start_s is None or i.start_s <= now) and (i.end_s is None or now < i.end_s))
        for now in at_s
    )


def _digest(made: Gathered, cameras: Mapping[str, Stream]) -> str:
    digest = hashlib.sha256(f"{made.key}|{made.layout.as_json()}".encode())

    def add(*arrays: NDArray[Any]) -> None:
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())

    for name, table in made.tables.items():
        add(table, *made.inputs.get(name, ()))
    add(*made.actions, made.at_ns)
    for name, frames in made.frames.items():
        add(frames.rows, frames.is_there)
        ordinals = np.unique(newest_at(cameras[name].clock.times_ns, made.at_ns).rows)
        digest.update(probe_of(cameras[name], ordinals))
    digest.update(repr(made.instructions).encode())
    return digest.hexdigest()
