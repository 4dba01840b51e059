"""The chunks that an episode of a replay buffer lies in."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from robokata.containers.zarr.array import ZarrArray
from robokata.containers.zarr.metadata import Layout, cut
from robokata.core.extent import Extent


def buffer_extents(
    arrays: Iterable[ZarrArray], first: int, end: int, *, beside: Mapping[str, Any], carried: bytes | None
) -> Sequence[Extent]:
    """Chunk files (of a zip: its members) that hold rows first..end-1, and what else the episode is made of: the
    arrays' metadata, the numbers `beside` the rows, and what our writer carried.

    A chunk on the border of two episodes belongs to both; of a shard the whole file is taken.
    """
    found: list[Extent] = []
    said: dict[str, Any] = {"arrays": {}, "beside": {n: np.asarray(v).tolist() for n, v in beside.items()}}
    for array in arrays:
        keys = list(_keys(array, first, min(end, len(array))))
        there = [extent for key in keys if (extent := array.store.extent(key)) is not None]
        absent = [key for key in keys if array.store.extent(key) is None]
        rows = [first % array.layout.file_shape[0], max(min(end, len(array)) - first, 0)]
        gaps = [key.removeprefix(array.name) for key in absent]
        said["arrays"][array.name] = {**_described(array.layout), "rows": rows, "absent": gaps}
        found += there
    said["carried"] = None if carried is None else hashlib.sha256(carried).hexdigest()
    joined = list(_joined(found))
    if not joined:
        return []
    return [joined[0]._replace(said=json.dumps(said, sort_keys=True, default=str).encode()), *joined[1:]]


def _described(layout: Layout) -> dict[str, Any]:
    """What turns chunks into numbers, in words that no version of a library changes."""
    # Not the number of rows: it grows when episodes are added, and says nothing about this one.
    described: dict[str, Any] = {
        "row": list(layout.shape[1:]),
        "chunks": list(layout.chunks),
        "shard": list(layout.file_shape),
    }
    pipeline = layout.pipeline
    described |= {"codecs": list(pipeline.codecs), "axes": list(pipeline.axes), "dtype": pipeline.dtype.str}
    return described | {
        "fill": None if layout.fill is None else np.asarray(layout.fill, pipeline.dtype).tobytes().hex()
    }


def _keys(array: ZarrArray, first: int, end: int) -> Iterator[str]:
    grid = cut(array.shape, array.layout.file_shape)
    if end <= first:
        return
    rows = array.layout.file_shape[0]
    for number in range(first // rows, -(-end // rows)):
        for trailing in itertools.product(*(range(int(n)) for n in grid[1:])):
            yield array.key((number, *trailing))


def _joined(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Members of a zip that follow one another as one extent: UMI's have one chunk per picture."""
    last: Extent | None = None
    for extent in sorted(extents, key=lambda e: (str(e.file), e.start or 0)):
        if last is not None and last.file == extent.file and last.end is not None and last.end == extent.start:
            last = last._replace(end=extent.end)
            continue
        if last is not None:
            yield last
        last = extent
    if last is not None:
        yield last
