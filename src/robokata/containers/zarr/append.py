"""A Zarr version 2 store that grows: rows are appended, chunks leave memory as soon as they are full."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require


class Sink(Protocol):
    """Takes the files of a store, each once."""

    def put(self, key: str, data: bytes) -> None: ...


class FolderSink:
    """A folder; a file per key."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes) -> None:
        """Write one file."""
        file = self.root / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


class ZipSink:
    """A zip; a member per key, stored as it is: chunks are compressed already."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def put(self, key: str, data: bytes) -> None:
        """Write one member, dated 1980: the same input gives the same bytes."""
        self.archive.writestr(zipfile.ZipInfo(key), data)


@contextmanager
def new_store(place: Path, *, is_zip: bool) -> Iterator[Sink]:
    """A store that did not exist, with its groups.

    Raises:
        OSError: it cannot be written.
    """
    with one_thread():
        if not is_zip:
            yield FolderSink(place)
            return
        with zipfile.ZipFile(place, "x", zipfile.ZIP_STORED) as archive:
            yield ZipSink(archive)


@contextmanager
def one_thread() -> Iterator[None]:
    """Blosc's threads write their blocks in the order in which they finish: other bytes for the same numbers."""
    blosc = require("numcodecs.blosc", extra="zarr")
    before, blosc.use_threads = blosc.use_threads, False
    try:
        yield
    finally:
        blosc.use_threads = before


def put_json(sink: Sink, key: str, value: Mapping[str, Any]) -> None:
    """One file of metadata."""
    sink.put(key, json.dumps(value, indent=4).encode())


def put_group(sink: Sink, name: str) -> None:
    """A group; "" is the root."""
    put_json(sink, f"{name}/.zgroup" if name else ".zgroup", {"zarr_format": 2})


class GrowingArray:
    """One array, cut along its rows only. A class, because it holds the rows of the chunk that is not yet full."""

    def __init__(
        self, sink: Sink, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, rows: int, codec: Any
    ) -> None:
        self.sink, self.name, self.codec = sink, name, codec
        # Zarr names the byte order; all machines that train are little-endian.
        self.dtype, self.shape = dtype.newbyteorder("<") if dtype.itemsize > 1 else dtype, shape
        self.rows, self.count, self._chunks = rows, 0, 0
        self._held: list[NDArray[Any]] = []
        self._held_rows = 0

    def append(self, block: NDArray[Any]) -> None:
        """Add rows; every chunk that they fill is written."""
        self.count += len(block)
        start = 0
        while start < len(block):
            piece = block[start : start + self.rows - self._held_rows]
            # A copy: what is held must not keep the whole block in memory.
            self._held.append(np.array(piece, self.dtype))
            self._held_rows += len(piece)
            start += len(piece)
            if self._held_rows == self.rows:
                self._flush()

    def finish(self) -> None:
        """Write the last chunk, filled up with zeros, and the metadata, which needs the final length."""
        if self._held_rows:
            padding = np.zeros((self.rows - self._held_rows, *self.shape), self.dtype)
            self._held.append(padding)
            self._flush()
        metadata = {
            "zarr_format": 2,
            "shape": [self.count, *self.shape],
            "chunks": [self.rows, *(max(1, n) for n in self.shape)],
            "dtype": self.dtype.str,
            "compressor": _said(self.codec),
            "fill_value": False if self.dtype.kind == "b" else 0,
            "order": "C",
            "filters": None,
        }
        put_json(self.sink, f"{self.name}/.zarray", metadata)

    def _flush(self) -> None:
        chunk = np.ascontiguousarray(np.concatenate(self._held))
        self._held, self._held_rows = [], 0
        data = chunk.tobytes() if self.codec is None else bytes(self.codec.encode(chunk))
        key = ".".join(["0"] * len(self.shape))
        if chunk.size:
            self.sink.put(f"{self.name}/{self._chunks}{'.' if key else ''}{key}", data)
        self._chunks += 1


def _said(codec: Any) -> dict[str, Any] | None:
    """What a codec's configuration says, without what it leaves open: older libraries refuse settings that they do not
    know, and UMI brings its own, older JPEG XL."""
    return None if codec is None else {name: value for name, value in codec.get_config().items() if value is not None}
