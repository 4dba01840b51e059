"""The episode index of a replay buffer, and what its arrays declare beside what is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robokata.containers.zarr.array import ChunkCache, ZarrArray
from robokata.containers.zarr.store import Store
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.source import Declaration, Size

ENDS = "meta/episode_ends"
MAX_EPISODES = 10**7
"""Ten times the largest collection of robot episodes there is; more is a broken header."""


def read_ends(store: Store, cache: ChunkCache) -> NDArray[np.int64]:
    """The row after the last of each episode, (E,), as it is written: it may fall, and point anywhere.

    Raises:
        DamagedData: there is no index, part of it is missing, or it holds no whole numbers.
        Unsupported: it has a data type that we do not read.
    """
    where = store.place(ENDS)
    if not store.children(ENDS):
        raise DamagedData(
            store.path,
            "holds no meta/episode_ends, so nobody can say where episodes end.",
            next_move="If the copy was cut short, copy it again.",
        )
    array = ZarrArray(store, ENDS, cache)
    if len(array.shape) != 1 or array.dtype.kind not in "iu":
        raise DamagedData(where, f"the episode index is {array.dtype} of shape {array.shape}, not whole numbers.")
    if len(array) > MAX_EPISODES:
        raise TooLarge(where, f"the episode index claims {len(array)} episodes.")
    absent = array.first_absent()
    if absent is not None:
        raise DamagedData(store.place(array.key(absent)), "the episode index is not all there.")
    return array.take(np.arange(len(array))).astype(np.int64)


def chunk_declaration(array: ZarrArray, *, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Declaration:
    """Chunk files that an array calls for, beside those that are there; the hint names the first rows that are not."""
    found, absent = len(array.chunk_files), array.first_absent()
    hint = ""
    if absent is not None:
        rows = array.layout.file_shape[0]
        first, end = absent[0] * rows, min((absent[0] + 1) * rows, len(array))
        hit = np.flatnonzero((starts < end) & (ends > first))
        hint = (
            f"{array.key(absent)} is the first that is not there: rows {first} to {end - 1}"
            f"{f', from episode {hit[0]} on' if len(hit) else ''}, read as {array.layout.fill}. "
            "Sound only if the writer leaves out chunks of nothing but that value."
        )
    return Declaration(
        f"chunk files of {array.name}", array.files_declared, found, f"{array.name} (shape and chunks)", hint
    )


def size_of(array: ZarrArray) -> Size:
    """Bytes of an array's chunk files; a zip tells them at no cost, a folder is sampled where it holds thousands."""
    files = sorted(array.chunk_files)
    # 500 of many thousand files tell the size to a few percent, and a stat of each would take seconds.
    step = max(len(files) // 500, 1) if array.store.path.is_dir() else 1
    sampled = files[::step]
    measured = sum(array.store.size_bytes(array.key(at)) for at in sampled)
    return Size(measured if step == 1 else measured * len(files) // len(sampled), step > 1)
