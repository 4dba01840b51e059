"""Zarr arrays, version 2 and 3, read chunk by chunk after their metadata has been vetted.

The metadata, the bounds and the chunk files are ours, the codecs are numcodecs' and imagecodecs'. The `zarr`
library decodes whatever its registries hold (`pickle` too), inflates without a bound, and gives the fill value
for a chunk that is lost without a word; here each of the three is seen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.zarr.codecs import MAX_CHUNK_BYTES, bound_bytes, decode_chunk
from robokata.containers.zarr.metadata import cut, read_layout
from robokata.containers.zarr.store import Store
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.values import Index, ordinals

CACHE_BYTES = 128 << 20
"""Decoded chunks kept per dataset: two picture chunks of Diffusion Policy (18 MB) per camera of five cameras, and
enough that a chunk which crosses an episode border is decoded once."""


class ChunkCache:
    """Decoded chunks, the last used kept longest. A class, because it is one memory for all arrays of a dataset."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self.limit_bytes, self.held_bytes = limit_bytes, 0
        self._kept: OrderedDict[tuple[str, tuple[int, ...]], NDArray[Any]] = OrderedDict()

    def get(self, array: str, index: tuple[int, ...]) -> NDArray[Any] | None:
        """A decoded chunk, or None where it is not held."""
        kept = self._kept.get((array, index))
        if kept is not None:
            self._kept.move_to_end((array, index))
        return kept

    def put(self, array: str, index: tuple[int, ...], chunk: NDArray[Any]) -> None:
        """Hold a chunk; the oldest go, never the one just put."""
        self._kept[array, index] = chunk
        self.held_bytes += chunk.nbytes
        while self.held_bytes > self.limit_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.held_bytes -= oldest.nbytes


class ZarrArray:
    """One array of a store; `take` reads rows. A class, because it keeps the list of its chunk files."""

    def __init__(self, store: Store, name: str, cache: ChunkCache) -> None:
        """Read and vet the metadata.

        Raises:
            DamagedData: the metadata is broken (UntrustedContent: it asks for Python objects; TooLarge).
            Unsupported: a data type or a grid that we do not read.
        """
        self.store, self.name, self._cache = store, name, cache
        self.layout = read_layout(store, name)
        self.shape, self.dtype = self.layout.shape, self.layout.pipeline.dtype.newbyteorder("=")
        self._grid = cut(self.shape, self.layout.chunks)
        self._shard_index: dict[tuple[int, ...], NDArray[Any] | None] = {}

    def __len__(self) -> int:
        return self.shape[0]

    @cached_property
    def chunk_files(self) -> frozenset[tuple[int, ...]]:
        """Positions of the chunk files that are there."""
        start = f"{self.layout.prefix}{self.layout.separator}" if self.layout.prefix else ""
        grid, found = cut(self.shape, self.layout.file_shape), []
        for key in self.store.below(self.name):
            if key.startswith(start):
                parts = key[len(start) :].split(self.layout.separator)
                if len(parts) == len(grid) and all(p.isascii() and p.isdigit() and len(p) < 12 for p in parts):
                    found.append(tuple(map(int, parts)))
        return frozenset(at for at in found if all(a < n for a, n in zip(at, grid, strict=True)))

    @property
    def files_declared(self) -> int:
        """Chunk files that shape and chunk shape call for."""
        return int(np.prod(cut(self.shape, self.layout.file_shape), dtype=np.float64))

    def first_absent(self) -> tuple[int, ...] | None:
        """Position of the first chunk file that is not there, None where all are."""
        grid = cut(self.shape, self.layout.file_shape)
        if len(self.chunk_files) >= self.files_declared:
            return None
        return next((at for at in _positions(grid) if at not in self.chunk_files), None)

    def key(self, position: tuple[int, ...]) -> str:
        """Name of a chunk file in the store."""
        parts = [str(number) for number in position]
        parts = [self.layout.prefix, *parts] if self.layout.prefix else parts
        return f"{self.name}/{self.layout.separator.join(parts)}"

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows by number, (n, ...). Each chunk that holds one of them is decoded, and no other.

        Raises:
            DamagedData: a chunk does not decode.
            TooLarge: the rows would fill more than 1 GiB, and most of their chunks do not exist.
        """
        self._refuse_empty_space(rows)
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        numbers = rows // self.layout.chunks[0]
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(numbers)) + 1):
            if not len(run):
                continue
            local = rows[run] - numbers[run[0]] * self.layout.chunks[0]
            is_span = len(local) == 1 or bool(np.all(np.diff(local) == 1))
            inside: Any = slice(int(local[0]), int(local[-1]) + 1) if is_span else local
            for trailing in np.ndindex(*self._grid[1:]):
                chunk = self._chunk((int(numbers[run[0]]), *trailing))
                cells = tuple(
                    slice(t * c, min((t + 1) * c, n))
                    for t, c, n in zip(trailing, self.layout.chunks[1:], self.shape[1:], strict=True)
                )
                here = tuple(slice(0, cell.stop - cell.start) for cell in cells)
                out[(slice(int(run[0]), int(run[-1]) + 1), *cells)] = chunk[inside][(slice(None), *here)]
        return out

    def _refuse_empty_space(self, rows: NDArray[np.int64]) -> None:
        row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.layout.pipeline.item_bytes
        if len(rows) * row_bytes <= MAX_CHUNK_BYTES:
            return
        wanted = set(np.unique(rows // self.layout.file_shape[0]).tolist())
        there = {at[0] for at in self.chunk_files} & wanted
        # A recording of which more than half is fill is a header that lies, not an array with quiet spells.
        if 2 * len(there) < len(wanted):
            raise TooLarge(
                self.store.place(self.name),
                f"declares {self.shape[0]} rows of {row_bytes} bytes, but only {len(there)} of the {len(wanted)} "
                f"chunk files for {len(rows)} of them exist.",
            )

    def _chunk(self, index: tuple[int, ...]) -> NDArray[Any]:
        chunk = self._cache.get(self.name, index)
        if chunk is None:
            chunk = self._decoded(index)
            self._cache.put(self.name, index, chunk)
        return chunk

    def _decoded(self, index: tuple[int, ...]) -> NDArray[Any]:
        layout = self.layout
        key, data = self._stored(index)
        if data is not None:
            return decode_chunk(layout.pipeline, data, layout.chunks, where=self.store.place(key))
        if layout.fill is None:
            raise DamagedData(self.store.place(key), "the chunk is not there, and its array declares no fill value.")
        return np.broadcast_to(np.asarray(layout.fill, self.dtype), layout.chunks)

    def _stored(self, index: tuple[int, ...]) -> tuple[str, bytes | None]:
        layout = self.layout
        expected = int(np.prod(layout.chunks, dtype=np.int64)) * layout.pipeline.item_bytes
        # An encoder adds at most a header to what it cannot shrink.
        limit = bound_bytes(expected) + 65536
        if layout.shards is None:
            key = self.key(index)
            return key, self.store.read(key, limit_bytes=limit)
        ratio = [s // c for s, c in zip(layout.shards.shape, layout.chunks, strict=True)]
        shard = tuple(i // r for i, r in zip(index, ratio, strict=True))
        key, table = self.key(shard), self._table_of(shard, tuple(ratio))
        if table is None:
            return key, None
        offset, length = (int(n) for n in table[tuple(i % r for i, r in zip(index, ratio, strict=True))])
        if offset == length == 2**64 - 1:  # Zarr sharding codec 1.0: both all ones marks an empty chunk.
            return key, None
        data = self.store.read(key, limit_bytes=limit, start=offset, length=length) if length <= limit else b""
        if data is None or len(data) != length:
            raise DamagedData(self.store.place(key), f"its index puts {length} bytes of a chunk at {offset}.")
        return key, data

    def _table_of(self, shard: tuple[int, ...], ratio: tuple[int, ...]) -> NDArray[Any] | None:
        if shard not in self._shard_index:
            shards, key = self.layout.shards, self.key(shard)
            assert shards is not None
            size, start = shards.index_bytes, -shards.index_bytes if shards.index_is_last else 0
            data = self.store.read(key, limit_bytes=size, start=start, length=size)
            where = f"{self.store.place(key)}, shard index"
            table = None if data is None else decode_chunk(shards.table, data, (*ratio, 2), where=where)
            self._shard_index[shard] = table
        return self._shard_index[shard]


class Rows:
    """Rows first..first+count-1 of an array, as the values of a stream."""

    def __init__(self, array: ZarrArray, first: int, count: int) -> None:
        self.array, self.first, self.count = array, first, count

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Index) -> NDArray[Any]:
        rows = self.array.take(self.first + ordinals(index, self.count))
        return np.asarray(rows[0]) if isinstance(index, (int, np.integer)) else rows

    def __repr__(self) -> str:
        return f"Rows({self.array.name}[{self.first}:{self.first + self.count}], {self.dtype}{list(self.shape)})"


def _positions(grid: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    # Not np.ndindex: it lays out the whole grid first, and the grid is as large as the header claims.
    if not grid:
        yield ()
        return
    for first in range(grid[0]):
        for rest in _positions(grid[1:]):
            yield (first, *rest)
