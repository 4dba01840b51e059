"""HDF5 files from anybody: links stay inside, sizes are bounded by what the file holds, damage is named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.hdf5.open_files import guarded, opened
from robokata.containers.hdf5.values import (
    Table,
    blobs,
    by_name,
    check_packed_chunks,
    claimed_bytes,
    content,
    plain,
    text,
    texts,
)
from robokata.core.errors import DamagedData, TooLarge, Unsupported, UntrustedContent
from robokata.core.require import require
from robokata.core.values import Index, LazyValues, Values, ordinals

_OPEN_DATASETS = 64
"""Datasets kept open per file, so that a chunk that two reads share is unpacked once: four cameras and the
low-dimensional streams of two episodes, with room."""
_OPEN_GROUPS = 64
"""Groups kept open per file: an episode of the richest published layout has 20."""
_MAX_LINK_HOPS = 16
"""Soft links followed in a row; longer chains are circles."""
_MAX_DEPTH = 16
"""Groups inside groups: the deepest published layout (Isaac Lab) has 5."""
_MAX_OBJECTS = 10_000
"""Objects in one episode: the richest published layout has about 100; more is a group that links to itself."""
_MAX_CHILDREN = 1_000_000
"""Episodes in one file: the largest published ones have some 10,000."""
_MAX_ROWS = 100_000_000
"""Samples of one stream: 27 hours at 1 kHz."""
_FREE_BYTES = 1 << 28
"""A dataset that was created and never written reads as zeros and lies in no bytes at all. Up to 256 MiB of
that is read, because a blank camera is a defect to show; beyond it is a bomb."""
_ZLIB_RATIO = 1032
"""The most that deflate can pack into one byte (zlib's own bound)."""
_MAX_READ_BYTES = 1 << 34
"""One read of one stream: 16 GiB, an hour of a raw 640 x 480 camera at 5 Hz; more is read in slices."""
_MAX_CHUNK_BYTES = 1 << 30
"""HDF5 unpacks a whole chunk to give one sample; 1 GiB holds a 20 s episode of raw 640 x 480 colour at 50 Hz."""
_MAX_ATTRIBUTE_BYTES = 1 << 26
"""The largest published attribute is a MuJoCo model of about 1 MB."""
_WHOLE_BYTES = 1 << 26
"""Streams up to 64 MiB are read whole and kept: a 10-minute episode of 100 numbers at 50 Hz has 24 MB."""
SMALL_BYTES = 1 << 16
"""Values without a place among the streams that are read when the episode is opened; larger ones stay lazy."""


class Listing(NamedTuple):
    """What lies below one group."""

    tables: list[Table]
    group_attributes: dict[str, dict[str, Any]]
    """Attributes of the groups that have any, by path below the listed one."""


class Glimpse(NamedTuple):
    """One group, as an index sees it."""

    attributes: dict[str, Any]
    rows: int | None
    """Rows of the dataset asked for, None where there is none."""


@dataclass(frozen=True)
class Container:
    """One HDF5 file, by path. Opened when something is asked of it; closed again when many others are open."""

    path: Path

    def children(self, group: str) -> dict[str, bytes]:
        """Names below a group (as text: as HDF5 spells them), in natural order.

        Raises:
            DamagedData: there is no such group, or it cannot be read.
        """
        with guarded(self.path, f"group '{group}'"):
            names = self._names(self._group(group.encode(), group), group)
            return dict(sorted(zip(map(text, names), names, strict=True), key=by_name))

    def has(self, path: bytes) -> bool:
        """True where something has this path.

        Raises:
            DamagedData: the groups on the way cannot be read.
            UntrustedContent: the path leads out of this file.
        """
        with guarded(self.path, f"'{text(path)}'"):
            parent, _, last = path.rpartition(b"/")
            if parent and not self.has(parent):
                return False
            at = self._object(parent)
            return _is_group(at) and bool(at.links.exists(last))

    def attributes(self, path: bytes | str) -> dict[str, Any]:
        """Attributes of an object as plain values: str, numbers, lists of str, numpy arrays.

        Raises:
            DamagedData: they cannot be read.
            TooLarge: one claims more than any published attribute holds.
        """
        raw = path.encode() if isinstance(path, str) else path
        with guarded(self.path, f"the attributes of '{text(raw)}'"):
            return self._attributes(self._object(raw), text(raw))

    def glimpse(self, group: bytes, *, member: bytes) -> Glimpse:
        """What an index needs of an episode: its attributes, and the rows of one dataset in it.

        Raises:
            DamagedData: one of them cannot be read.
        """
        with guarded(self.path, f"'{text(group)}'"):
            at = self._object(group)
            attributes, rows = self._attributes(at, text(group)), None
            if _is_group(at) and at.links.exists(member):
                found = self._inside(at, member, text(group + b"/" + member), 0)
                shape = found.shape if _is_dataset(found) else None
                rows = int(shape[0]) if shape else None
            return Glimpse(attributes, rows)

    def is_group(self, path: bytes) -> bool:
        """True where the path names a group, False where it names a dataset.

        Raises:
            DamagedData: it cannot be read.
        """
        with guarded(self.path, f"'{text(path)}'"):
            return _is_group(self._object(path))

    def table(self, path: bytes) -> Table:
        """One dataset by its path.

        Raises:
            DamagedData: there is none, or it cannot be read.
            UntrustedContent: it lies outside of this file.
        """
        with guarded(self.path, f"'{text(path)}'"):
            found = self._object(path)
            if not _is_dataset(found):
                raise DamagedData(self.path, f"'{text(path)}' is not a dataset.")
            return self._table(found, text(path), path)

    def listing(self, group: bytes) -> Listing:
        """All that lies below a group, in the file's order; nothing but headers and attributes is read.

        Raises:
            DamagedData: part of the group cannot be read.
            UntrustedContent: something in it lies outside of this file.
        """
        with guarded(self.path, f"group '{text(group) or '/'}'"):
            found = Listing([], {})
            self._walk(self._group(group, text(group)), group, "", found)
            return found

    def values(self, table: Table) -> Values:
        """What a table holds, read when it is indexed."""
        if table.content != "numbers" or claimed_bytes(table) <= _WHOLE_BYTES:
            dtype = table.dtype if table.content == "numbers" else np.dtype(object)
            return LazyValues(table.shape, dtype, lambda: self._read(table, slice(None), table.shape[0]))
        return DatasetValues(self, table)

    def whole(self, table: Table) -> Any:
        """A small table read now: a numpy array, a text, a number; a large one as lazy values.

        Raises:
            DamagedData: it cannot be read.
        """
        if table.content == "references":
            return "HDF5 references, which are not followed"
        if claimed_bytes(table) > SMALL_BYTES and table.shape:
            return self.values(table)
        value = self._read(table, (), 1)
        return plain(value) if not table.shape or table.content == "text" else value

    def row(self, table: Table, index: int) -> bytes:
        """The bytes of one encoded picture, without the zeros that pad it to the longest one of its stream.

        Neither JPEG (ends in ff d9) nor PNG (ends in 82) can end in a zero, so nothing of the picture is cut.

        Raises:
            DamagedData: it cannot be read.
        """
        value = self._read(table, index, 1, is_raw=True)
        data = bytes(value) if isinstance(value, bytes) else np.asarray(value, np.uint8).tobytes()
        return data.rstrip(b"\0")

    def _read(self, table: Table, selection: Any, rows: int, *, is_raw: bool = False) -> Any:
        row_bytes = math.prod(table.shape[1:]) * max(table.dtype.itemsize, 1)
        what = f"'{text(table.path)}'"
        file_bytes = opened(self.path).size
        with guarded(self.path, what):
            dataset = self._dataset(table)
            packed = dataset.id.get_create_plist().get_nfilters() > 0
            stored = min(table.stored_bytes, file_bytes) * (_ZLIB_RATIO if packed else 1)
            if rows * row_bytes > min(_FREE_BYTES + stored, _MAX_READ_BYTES):
                raise TooLarge(
                    self.path, f"{what} claims {rows * row_bytes} bytes, of which the file holds {table.stored_bytes}."
                )
            value = dataset[selection]
            if is_raw:
                return value
            if table.content == "text":
                return texts(value)
            return blobs(value) if table.content == "blobs" else value

    def _dataset(self, table: Table) -> Any:
        kept = opened(self.path)
        dataset = kept.datasets.get(table.path)
        if dataset is None:
            h5py = require("h5py", extra="hdf5")
            dataset = h5py.Dataset(self._object(table.path))
            self._check_filters(dataset.id, f"'{text(table.path)}'")
            check_packed_chunks(dataset, self.path, text(table.path))
            kept.datasets[table.path] = dataset
            while len(kept.datasets) > _OPEN_DATASETS:
                kept.datasets.popitem(last=False)
        kept.datasets.move_to_end(table.path)
        if dataset.shape != table.shape or dataset.dtype != table.dtype:
            raise DamagedData(self.path, f"'{text(table.path)}' has changed since the dataset was opened.")
        return dataset

    def _check_filters(self, dataset_id: Any, what: str) -> None:
        h5z = require("h5py.h5z", extra="hdf5")
        plan = dataset_id.get_create_plist()
        for number in range(plan.get_nfilters()):
            code = plan.get_filter(number)[0]
            if not h5z.filter_avail(code):
                raise Unsupported(
                    f"{self.path}: {what} is packed with HDF5 filter {code}, which h5py does not have. "
                    "`pip install hdf5plugin` and `import hdf5plugin` bring the usual ones; or run h5repack."
                )

    def _group(self, path: bytes, shown: str) -> Any:
        found = self._object(path)
        if not _is_group(found):
            raise DamagedData(self.path, f"'{shown}' is not a group.")
        return found

    def _names(self, group: Any, shown: str) -> list[bytes]:
        count = group.get_num_objs()
        if count > _MAX_CHILDREN:
            raise TooLarge(self.path, f"group '{shown}' claims {count} members.")
        return list(group)

    def _object(self, path: bytes) -> Any:
        """The object at a path from the root. The group above it is kept: the next question is about its neighbour."""
        kept = opened(self.path)
        parent, _, last = path.strip(b"/").rpartition(b"/")
        group = kept.groups.get(parent)
        if group is None:
            group = self._inside(kept.file.id, parent, text(path), 0)
            if len(kept.groups) >= _OPEN_GROUPS:
                kept.groups.clear()
            kept.groups[parent] = group
        return self._inside(group, last, text(path), 0)

    def _inside(self, start: Any, path: bytes, shown: str, hops: int) -> Any:
        """The object at `path`, followed link by link, because HDF5 itself would open any file a link names."""
        h5l, h5o = require("h5py.h5l", extra="hdf5"), require("h5py.h5o", extra="hdf5")
        if hops > _MAX_LINK_HOPS:
            raise DamagedData(self.path, f"'{shown}' is a soft link that leads in a circle.")
        at = opened(self.path).file.id if path.startswith(b"/") else start
        for part in (p for p in path.split(b"/") if p and p != b"."):
            if not _is_group(at):
                raise DamagedData(self.path, f"'{shown}' leads through something that is not a group.")
            if not at.links.exists(part):
                raise DamagedData(self.path, f"'{shown}' is not there.")
            kind = at.links.get_info(part).type
            if kind == h5l.TYPE_HARD:
                at = h5o.open(at, part)
            elif kind == h5l.TYPE_SOFT:
                at = self._inside(at, at.links.get_val(part), shown, hops + 1)
            else:
                raise UntrustedContent(
                    self.path,
                    f"'{shown}' is a link to another file, which is not followed.",
                    next_move="Copy what it names into this file.",
                )
        return at

    def _walk(self, group: Any, path: bytes, prefix: str, found: Listing) -> None:
        if prefix.count("/") > _MAX_DEPTH:
            raise DamagedData(self.path, f"'{prefix}' lies deeper than any layout nests groups.")
        for name in self._names(group, prefix):
            shown = prefix + text(name)
            place = path + b"/" + name if path else name
            child = self._inside(group, name, text(place), 0)
            if _is_group(child):
                attributes = self._attributes(child, text(place))
                if attributes:
                    found.group_attributes[shown] = attributes
                self._walk(child, place, shown + "/", found)
            elif _is_dataset(child):
                found.tables.append(self._table(child, shown, place))
            if len(found.tables) > _MAX_OBJECTS:
                raise TooLarge(self.path, f"'{prefix}' holds more than {_MAX_OBJECTS} datasets.")

    def _table(self, dataset_id: Any, name: str, path: bytes) -> Table:
        h5d = require("h5py.h5d", extra="hdf5")
        plan, shown = dataset_id.get_create_plist(), text(path)
        layout = plan.get_layout()
        if layout == h5d.VIRTUAL or plan.get_external_count():
            raise UntrustedContent(
                self.path,
                f"'{shown}' keeps its values in other files, which are not followed.",
                next_move="Copy them into this file: h5repack does.",
            )
        shape, dtype = tuple(int(n) for n in dataset_id.shape), dataset_id.dtype
        if layout == h5d.CHUNKED and math.prod(plan.get_chunk()) * dtype.itemsize > _MAX_CHUNK_BYTES:
            raise TooLarge(self.path, f"'{shown}' is stored in chunks of {plan.get_chunk()}, over 1 GiB each.")
        if shape and shape[0] > _MAX_ROWS:
            raise TooLarge(self.path, f"'{shown}' claims {shape[0]} samples.")
        attributes = self._attributes(dataset_id, shown)
        stored = int(dataset_id.get_storage_size())
        return Table(name, path, shape, dtype, content(dtype), stored, attributes)

    def _attributes(self, found: Any, shown: str) -> dict[str, Any]:
        h5a, h5py = require("h5py.h5a", extra="hdf5"), require("h5py", extra="hdf5")
        count = h5a.get_num_attrs(found)
        if not count:
            return {}
        found_here: dict[str, Any] = {}
        manager = h5py.AttributeManager(_Identified(found))
        for number in range(count):
            attribute = h5a.open(found, index=number)
            name = text(attribute.name)
            claimed = math.prod(attribute.shape or ()) * max(attribute.dtype.itemsize, 1)
            if claimed > _MAX_ATTRIBUTE_BYTES:
                raise TooLarge(self.path, f"attribute '{name}' of '{shown}' claims {claimed} bytes.")
            if content(attribute.dtype) == "references":
                found_here[name] = "HDF5 references, which are not followed"
            else:
                found_here[name] = plain(manager[attribute.name])
        return found_here


class _Identified(NamedTuple):
    """What h5py's attribute reader needs of an object."""

    id: Any


def _is_group(found: Any) -> bool:
    return hasattr(found, "links")


def _is_dataset(found: Any) -> bool:
    # An object can also be a committed type, which is neither.
    return hasattr(found, "get_storage_size")


class DatasetValues:
    """A large dataset, (T, ...), of which every look reads what it asks for and no more."""

    def __init__(self, container: Container, table: Table) -> None:
        self.container, self.table = container, table

    def __repr__(self) -> str:
        return f"DatasetValues({self.table.name}, {self.dtype}{list(self.shape)})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.table.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.table.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, len(self))
        if isinstance(index, (int, np.integer)):
            return np.asarray(self.container._read(self.table, int(wanted[0]), 1))
        if not len(wanted):
            return np.empty((0, *self.shape[1:]), self.dtype)
        first, end = int(wanted.min()), int(wanted.max()) + 1
        # One read of the span where at least a quarter of it is wanted: a seek costs more than a few rows.
        if end - first <= 4 * len(wanted):
            block = self.container._read(self.table, slice(first, end), end - first)
            is_span = len(wanted) == end - first and bool(np.all(np.diff(wanted) == 1))
            return np.asarray(block if is_span else block[wanted - first])
        return np.stack([self.container._read(self.table, int(i), 1) for i in wanted])
