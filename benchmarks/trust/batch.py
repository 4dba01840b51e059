"""A training batch, beside rows that are computed from the oracle's values alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust.truth import EpisodeTruth
from robokata.core.clock import Clock
from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.loading.feed import Batch, Feed
from robokata.loading.gather import gather
from robokata.loading.pictures import resized
from robokata.loading.window_spec import WindowSpec

_RATE_HZ, _CHUNK_STEPS, _PICTURE_PX = 10.0, 4, 16
_STALE_NS = 500_000_000
"""Age beyond which a value counts as absent, as docs/training.md says."""


def batch_differences(episode: Episode, truth: EpisodeTruth, *, folder: Path) -> list[str] | None:
    """What a batch of all samples holds otherwise than the oracle, None where the episode has nothing to learn."""
    action = _first(episode, truth, (Role.ACTION,))
    state = _first(episode, truth, (Role.STATE,))
    camera = _camera(episode, truth)
    if action is None or (state is None and camera is None):
        return None
    spec = WindowSpec(
        action.name,
        (state.name,) if state is not None else (),
        (camera.name,) if camera is not None else (),
        chunk_steps=_CHUNK_STEPS,
        rate_hz=_RATE_HZ if action.clock.has_times else None,
        picture_px=_PICTURE_PX,
    )
    gathered = gather(episode, spec=spec, folder=folder)
    if not len(gathered):
        return None  # no moment at which all of it was seen and an action follows
    feed = Feed([gathered], spec)
    batch = feed.batch(np.arange(len(feed)))
    at = feed.episodes[0].at
    found = _unlike_chunks(batch, at, action, _rows(truth, action.name), is_timed=spec.rate_hz is not None)
    if state is not None:
        found += _unlike_state(batch, at, state, _rows(truth, state.name))
    if camera is not None:
        found += _unlike_pictures(batch, at, camera, truth)
    return found


def _first(episode: Episode, truth: EpisodeTruth, roles: Sequence[Role]) -> Stream | None:
    known = (s for s in episode.numeric(*roles) if s.name in truth.streams and len(s))
    return next((s for s in known if truth.streams[s.name].numbers is not None), None)


def _camera(episode: Episode, truth: EpisodeTruth) -> Stream | None:
    for stream in episode.pictures():
        wanted = truth.streams.get(stream.name)
        if stream.values.dtype == np.uint8 and wanted is not None and wanted.pictures and not wanted.within_levels:
            return stream
    return None


def _rows(truth: EpisodeTruth, name: str) -> NDArray[np.float32]:
    numbers = truth.streams[name].numbers
    assert numbers is not None
    with np.errstate(over="ignore"):
        rows = np.asarray(numbers).reshape(len(numbers), -1).astype(np.float32)
    return np.where(np.isfinite(rows), rows, np.float32(np.nan))


def _newest(clock: Clock, at: int) -> int | None:
    """Number of the newest sample that is not younger, None where there is none, or none that is fresh."""
    places = [int(p) for p in clock.places]
    before = [(place, number) for number, place in enumerate(places) if place <= at]
    if not before:
        return None
    place, number = max(before)
    is_stale = at - place > _STALE_NS if clock.has_times else place != at
    return None if is_stale else number


def _unlike_chunks(
    batch: Batch, at: NDArray[np.int64], action: Stream, rows: NDArray[np.float32], *, is_timed: bool
) -> list[str]:
    places = np.asarray(action.clock.places)
    order = np.argsort(places, kind="stable")
    ordered, wrong = places[order], 0
    for number, moment in enumerate(at):
        for step in range(_CHUNK_STEPS):
            if is_timed:
                # The nearest command; the later one where two are as near.
                away = np.abs(ordered - (int(moment) + round(step * 1e9 / _RATE_HZ)))
                choices = [int(order[k]) for k in np.flatnonzero(away == away.min())]
            else:
                place = int(np.searchsorted(ordered, moment)) + step
                choices = [int(order[min(place, len(order) - 1)])]
            given = batch.parts[0].actions[number, step]
            wrong += not any(np.array_equal(given, rows[choice], equal_nan=True) for choice in choices)
    return [f"{wrong} of {len(at) * _CHUNK_STEPS} actions of {action.name} differ"] if wrong else []


def _unlike_state(batch: Batch, at: NDArray[np.int64], state: Stream, rows: NDArray[np.float32]) -> list[str]:
    wrong = 0
    for number, moment in enumerate(at):
        newest = _newest(state.clock, int(moment))
        given: NDArray[Any] = batch.parts[0].numbers[state.name][number, 0]
        wanted = np.full_like(given, np.nan) if newest is None else rows[newest]
        wrong += not np.array_equal(given, wanted, equal_nan=True)
    return [f"{wrong} of {len(at)} rows of {state.name} differ"] if wrong else []


def _unlike_pictures(batch: Batch, at: NDArray[np.int64], camera: Stream, truth: EpisodeTruth) -> list[str]:
    pictures = truth.streams[camera.name].pictures
    assert pictures is not None
    wrong = 0
    for number, moment in enumerate(at):
        newest = _newest(camera.clock, int(moment))
        is_there = bool(batch.has_picture[camera.name][number])
        if newest is None or not is_there:
            wrong += is_there != (newest is not None)
            continue
        wanted = resized(np.asarray(pictures[newest])[None], picture_px=_PICTURE_PX)[0]
        wrong += not np.array_equal(batch.pictures[camera.name][number], wanted)
    return [f"{wrong} of {len(at)} pictures of {camera.name} differ"] if wrong else []
