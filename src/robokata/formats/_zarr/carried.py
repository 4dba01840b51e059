"""What our writer put beside a replay buffer, found again."""

from __future__ import annotations

import numpy as np

from robokata.containers.zarr.array import ChunkCache, ZarrArray
from robokata.containers.zarr.store import Store
from robokata.core.errors import DamagedData, TooLarge
from robokata.formats._zarr.write import BLOB_GROUP, PAGE_BYTES
from robokata.packing.carry import MAX_BYTES


def carried_bytes(store: Store, cache: ChunkCache, number: int, *, episodes: int) -> bytes:
    """What was carried beside one episode.

    Raises:
        DamagedData: its pages or their index cannot be read, or do not belong to the buffer.
        TooLarge: the index gives it more than any recording carries.
        Unsupported: an array of a data type that we do not read.
    """
    where = store.place(f"{BLOB_GROUP}/ends")
    ends, pages = (ZarrArray(store, f"{BLOB_GROUP}/{name}", cache) for name in ("ends", "pages"))
    if ends.shape != (episodes,) or ends.dtype != np.int64:
        raise DamagedData(where, f"is {ends.dtype} {list(ends.shape)}, but the buffer has {episodes} episodes.")
    if pages.dtype != np.uint8 or pages.shape[1:] != (PAGE_BYTES,):
        raise DamagedData(store.place(pages.name), f"is {pages.dtype} {list(pages.shape)}, not pages of bytes.")
    around = ends.take(np.arange(max(number - 1, 0), number + 1))
    start, end = int(around[0]) if number else 0, int(around[-1])
    if not 0 <= start <= end <= len(pages) * PAGE_BYTES:
        raise DamagedData(where, f"gives episode {number} the bytes {start} to {end}, which do not exist.")
    if end - start > MAX_BYTES:
        raise TooLarge(where, f"gives episode {number} {end - start} bytes.")
    first, last = start // PAGE_BYTES, -(-end // PAGE_BYTES)
    data = pages.take(np.arange(first, last)).tobytes()
    return data[start - first * PAGE_BYTES : end - first * PAGE_BYTES]
