"""What a written Rerun recording holds, by the SDK's own reader, beside the episode that it was made from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.core.require import require
from robokata.core.stream import Kind, Stream
from robokata.formats._rerun.recording import timelines_of


class Entity(NamedTuple):
    """The rows of one entity, over all chunks."""

    times: Mapping[str, NDArray[np.int64]]
    """Timeline -> time of each row, (R,), nanoseconds or counts."""
    scalars: NDArray[np.float64]
    """All numbers of its curves, row after row; empty where it has none."""
    tensors: NDArray[Any]
    """All numbers of its tensors, row after row; empty where it has none."""


def read_entities(path: Path) -> Mapping[str, Entity]:
    """All entities of a recording that change over time.

    Raises:
        DamagedData: the SDK cannot read the file.
    """
    require("rerun", extra="rerun")
    from rerun.chunk import RrdReader

    times: defaultdict[str, defaultdict[str, list[NDArray[np.int64]]]] = defaultdict(lambda: defaultdict(list))
    scalars: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
    tensors: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)
    try:
        for chunk in RrdReader(path).stream():
            if chunk.is_static:
                continue
            table = chunk.to_record_batch()
            for name in table.schema.names:
                if name.endswith(":scalars"):
                    scalars[chunk.entity_path].append(table.column(name).flatten().to_numpy(zero_copy_only=False))
                elif name == "Tensor:data":
                    tensors[chunk.entity_path] += _tensor_numbers(table.column(name))
                elif ":" not in name and "RowId" not in name:
                    times[chunk.entity_path][name].append(_integers(table.column(name)))
    except (RuntimeError, ValueError, OSError) as error:
        raise DamagedData(path, f"the Rerun SDK cannot read it: {error}.") from None
    return {
        entity: Entity(
            {name: np.concatenate(parts) for name, parts in timelines.items()},
            np.concatenate(scalars[entity]) if entity in scalars else np.empty(0),
            np.concatenate(tensors[entity]) if entity in tensors else np.empty(0),
        )
        for entity, timelines in times.items()
    }


def differences(stream: Stream, found: Entity | None, *, is_curves: bool) -> Iterator[str]:
    """What of a stream is not in its entity: times of a clock, or numbers of its curves."""
    if found is None:
        yield "is not in the recording"
        return
    for name, expected in timelines_of(stream).items():
        rows = found.times.get(name, np.empty(0, np.int64))
        there, wanted = Counter(rows.tolist()), Counter(expected.tolist())
        # Packets that are only decoded (from the key before the first picture on) have times of their own.
        if not (wanted <= there if stream.kind is Kind.VIDEO else wanted == there):
            yield f"{len(rows)} times on the timeline {name!r} are not its {len(expected)} times"
            return
    if is_curves and not _are_equal(found.scalars, stream.table.astype(np.float64)):
        yield "the numbers of its curves differ"
    if not is_curves and stream.is_numeric and not _are_equal(found.tensors, np.asarray(stream.values[:])):
        yield "the numbers of its tensors differ"


def _are_equal(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    # Chunks come in no fixed order: sorted, with NaN behind all numbers.
    return np.array_equal(np.sort(found), np.sort(expected.ravel()), equal_nan=True)


def _tensor_numbers(column: Any) -> list[NDArray[Any]]:
    """The numbers of each tensor of a column; a buffer is a union over the types of numbers."""
    buffers = column.flatten().field("buffer")
    return [np.asarray(buffer.value.values) for buffer in buffers]


def _integers(column: Any) -> NDArray[np.int64]:
    pa = require("pyarrow", extra="tables")
    return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)
