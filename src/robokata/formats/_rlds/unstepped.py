"""Pictures that stand in no step of an RLDS episode: they ride in its record, and the camera comes back whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robokata.containers.tf_example import ints_of
from robokata.core.clock import step_clock
from robokata.core.episode import Episode
from robokata.core.stream import Stream
from robokata.formats._rlds.record import STEPS, Record
from robokata.media.images import EncodedImages

PICTURES = "episode_metadata/robokata_pictures/"
"""Followed by the name of a step feature: the bytes of the pictures of that camera that stand in no step."""
SAMPLES = "episode_metadata/robokata_samples/"
"""Where each sample of the camera lies: its first step, or -1 minus its number among those that stand in no step."""


def places_of(picked: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Place of each of `count` samples, (T,), by the sample that stands in each step, (R,)."""
    samples, first = np.unique(picked, return_index=True)
    places = np.full(count, -1, np.int64)
    places[samples] = first
    left_out = np.flatnonzero(places < 0)
    places[left_out] = -1 - np.arange(len(left_out))
    return places


def with_left_out(found: Episode, record: Record, load: Callable[[], Record]) -> Episode:
    """The episode with every picture of its cameras, where its writer kept those that stand in no step.

    Raises:
        DamagedData: what was kept does not belong to a camera of the episode.
    """
    names = [name.removeprefix(PICTURES) for name in record.features if name.startswith(PICTURES)]
    return replace(found, streams={**found.streams, **{name: _whole(found, name, record, load) for name in names}})


def _whole(found: Episode, name: str, record: Record, load: Callable[[], Record]) -> Stream:
    stream, kept = found.streams.get(name), record.features[PICTURES + name]
    if stream is None or not stream.is_picture or kept.kind != "bytes" or SAMPLES + name not in record.features:
        raise record.damaged(f"{PICTURES + name} belongs to no camera of the episode.")
    feature = record.features[SAMPLES + name]
    places = record.decode(SAMPLES + name, lambda: ints_of(feature, np.dtype(np.int64)))
    if not len(places) or places.min() < -record.count(PICTURES + name) or places.max() >= len(stream):
        raise record.damaged(f"{SAMPLES + name} names pictures that are not there.")

    def picture(index: int) -> bytes:
        place, current = int(places[index]), load()
        return (
            current.items(STEPS + name).copy(place) if place >= 0 else current.items(PICTURES + name).copy(-1 - place)
        )

    pictures = EncodedImages(len(places), picture, where=f"{record.file}: {record.where}: {name}")
    return replace(stream, values=pictures, clock=step_clock(len(places)))
