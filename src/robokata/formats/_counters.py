"""Counters of the dataset that an episode came from, made those of the dataset that it goes to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues


class Counting:
    """`episode_index` and `index` of the episodes of a new dataset. A class, because it counts what was before.

    They say where an episode stands among others: of a subset, the source's numbers would point to episodes and rows
    that are not there. A counter that is broken inside stays as it is: it is a finding, and no conversion hides one.
    """

    def __init__(self) -> None:
        self._episodes, self._rows = 0, 0

    def own(self, episode: Episode) -> Episode:
        """The next episode, with the counters that it has in the new dataset."""
        streams = {name: self._counted(stream) for name, stream in episode.streams.items()}
        # Its own samples, not the target's rows: a counter at 50 Hz beside a camera at 30 Hz counts its own.
        self._rows += len(episode.streams["index"]) if "index" in episode.streams else 0
        self._episodes += 1
        if all(streams[name] is stream for name, stream in episode.streams.items()):
            return episode
        return replace(episode, streams=streams, ref=None)

    def _counted(self, stream: Stream) -> Stream:
        is_counter = stream.role is Role.BOOKKEEPING and stream.name in ("episode_index", "index")
        if not is_counter or not stream.is_numeric or stream.values.dtype.kind not in "iu" or not len(stream):
            return stream
        held = np.asarray(stream.values[:])
        wanted: NDArray[np.int64] = np.full(len(held), self._episodes, np.int64)
        if stream.name == "index":
            wanted = self._rows + np.arange(len(held), dtype=np.int64)
        shift = held.reshape(len(held), -1).astype(np.int64) - wanted[:, None]
        if not shift.any() or (shift != shift[0, 0]).any():
            return stream
        return stream.with_values(ArrayValues((held - shift[0, 0]).astype(held.dtype)))
