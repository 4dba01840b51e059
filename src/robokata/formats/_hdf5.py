"""HDF5 files from anybody: links stay inside, sizes are bounded by what the file holds, damage is named."""

from __future__ import annotations

import math
import os
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, MediaMissing, TooLarge, UntrustedContent, Unsupported
from robokata.core.require import require
from robokata.core.values import Index, LazyValues, Values, ordinals

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".hdf5", ".h5", ".hdf")

_OPEN_FILES = 32
"""Files kept open in this process: far below the 256 descriptors that some systems allow a process."""
_OPEN_DATASETS = 64
"""Datasets kept open per file, so that a chunk that two reads share is unpacked once: four cameras and the
low-dimensional streams of two episodes, with room."""
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
_MAX_PACKED_CHUNK_BYTES = 1 << 20
"""HDF5 lets a packed chunk grow without limit while it unpacks; up to this size that is at most 1 GiB."""
_MAX_ATTRIBUTE_BYTES = 1 << 26
"""The largest published attribute is a MuJoCo model of about 1 MB."""
_WHOLE_BYTES = 1 << 26
"""Streams up to 64 MiB are read whole and kept: a 10-minute episode of 100 numbers at 50 Hz has 24 MB."""
SMALL_BYTES = 1 << 16
"""Values without a place among the streams that are read when the episode is opened; larger ones stay lazy."""


class Table(NamedTuple):
    """One dataset inside a file, as its header describes it; nothing of it has been read."""

    name: str
    """Path below the group that was listed: `obs/agentview_image`."""
    path: bytes
    """Path from the file's root, as HDF5 spells it."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    content: str
    """`numbers`, `text`, `blobs` (bytes of any length), `lists` (numbers of any count), `references`."""
    stored_bytes: int
    attributes: Mapping[str, Any]


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which `demo_10` comes after `demo_9`."""
    parts = re.split(r"(\d{1,18})", name)
    return tuple((1, int(part), part) if part.isdigit() and part.isascii() else (0, 0, part) for part in parts)


def hdf5_files(folder: Path) -> list[Path]:
    """Files directly in `folder` that are called HDF5, in natural order; [] where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name.lower().endswith(SUFFIXES) and not e.name.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=natural) if (folder / name).is_file()]


def has_signature(path: Path) -> bool:
    """True where HDF5's signature stands at byte 0, or behind a user block of up to 4 kB."""
    try:
        with path.open("rb") as file:
            head = file.read(4096 + len(SIGNATURE))
    except OSError:
        return False
    return any(head[at : at + 8] == SIGNATURE for at in (0, 512, 1024, 2048, 4096))


@contextmanager
def guarded(path: Path, what: str) -> Iterator[None]:
    """The one place where h5py's own errors become damage of the file.

    h5py turns HDF5's error stack into whichever built-in exception fits best, so the list is long.

    Raises:
        DamagedData: h5py could not do what the block asked of it.
        TooLarge: it asked for more memory than there is.
    """
    try:
        yield
    except MemoryError:
        raise TooLarge(path, f"{what} does not fit into memory.") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, NotImplementedError) as error:
        text = str(error.args[0]) if error.args else type(error).__name__
        raise DamagedData(path, f"{what} cannot be read: {text.strip().rstrip('.')}.") from None


@dataclass
class _Open:
    """A file that is open in this process, and the state of the disk at which it was opened."""

    file: Any
    state: tuple[int, int, int]
    datasets: OrderedDict[bytes, Any] = field(default_factory=OrderedDict)


_open: OrderedDict[str, _Open] = OrderedDict()
"""One table per process, not per Source: HDF5 shares what it knows about a file between all handles on it, so
a second handle on a file that has changed would answer from the old one's memory."""


def _opened(path: Path) -> _Open:
    name = str(path)
    try:
        stat = path.stat()
    except OSError:
        raise MediaMissing(path, "the file is not there.") from None
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    kept = _open.get(name)
    if kept is not None and kept.state == state:
        _open.move_to_end(name)
        return kept
    if kept is not None:
        _close(_open.pop(name))
    h5py = require("h5py", extra="hdf5")
    if not has_signature(path):
        head = path.read_bytes()[:8] if stat.st_size < 4096 else b""
        raise DamagedData(path, f"not HDF5: {_first_bytes(path, head)}.")
    try:
        # No lock: network and read-only mounts refuse them, and nothing is written here.
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise DamagedData(path, _why_unopened(str(error), stat.st_size)) from None
    _open[name] = _Open(file, state)
    while len(_open) > _OPEN_FILES:
        _close(_open.popitem(last=False)[1])
    return _open[name]


def _first_bytes(path: Path, head: bytes) -> str:
    if not head:
        try:
            with path.open("rb") as file:
                head = file.read(8)
        except OSError as error:
            return f"it cannot be opened ({error.strerror})"
    return f"it starts with {head.hex(' ')}" if head else "it is empty"


def _close(kept: _Open) -> None:
    kept.datasets.clear()
    with guarded(Path(str(kept.file.filename)), "the end of the file"):
        kept.file.close()


def _why_unopened(error: str, size: int) -> str:
    cut = re.search(r"truncated file: .*stored_eof = (\d+)", error)
    if cut:
        return f"the file is cut: its header promises {int(cut[1])} bytes, it has {size}."
    return f"not sound HDF5: {error.strip().rstrip('.')}."


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
            return {shown: name for shown, name in sorted(zip(map(_text, names), names, strict=True), key=_by_name)}

    def has(self, path: str) -> bool:
        """True where something that lies inside this file has this path.

        Raises:
            DamagedData: the groups on the way cannot be read.
        """
        with guarded(self.path, f"'{path}'"):
            at = _opened(self.path).file.id
            parts = path.encode().split(b"/")
            for number, part in enumerate(parts):
                if not self._is_group(at) or part not in self._names(at, path):
                    return False
                at = self._inside(at, part, path, 0) if number < len(parts) - 1 else None
            return True

    def attributes(self, path: bytes | str) -> dict[str, Any]:
        """Attributes of an object as plain values: str, numbers, lists of str, numpy arrays.

        Raises:
            DamagedData: they cannot be read.
            TooLarge: one claims more than any published attribute holds.
        """
        raw = path.encode() if isinstance(path, str) else path
        with guarded(self.path, f"the attributes of '{_text(raw)}'"):
            return self._attributes(self._inside(_opened(self.path).file.id, raw, _text(raw), 0), _text(raw))

    def length(self, path: bytes) -> int | None:
        """Rows of one dataset, None where the path is a group or a single number.

        Raises:
            DamagedData: it cannot be read.
        """
        with guarded(self.path, f"'{_text(path)}'"):
            found = self._inside(_opened(self.path).file.id, path, _text(path), 0)
            shape = None if self._is_group(found) else found.shape
            return int(shape[0]) if shape else None

    def tables(self, group: bytes) -> list[Table]:
        """All datasets below a group, in the file's order.

        Raises:
            DamagedData: part of the group cannot be read.
            UntrustedContent: something in it lies outside of this file.
        """
        with guarded(self.path, f"group '{_text(group) or '/'}'"):
            found: list[Table] = []
            self._walk(self._group(group, _text(group)), group, "", found)
            return found

    def group_attributes(self, group: bytes) -> dict[str, dict[str, Any]]:
        """Attributes of the groups below a group that have any, by path below it.

        Raises:
            DamagedData: part of the group cannot be read.
        """
        with guarded(self.path, f"group '{_text(group) or '/'}'"):
            found: dict[str, dict[str, Any]] = {}
            self._walk_groups(self._group(group, _text(group)), "", found)
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
        return _plain(value) if not table.shape or table.content == "text" else value

    def _read(self, table: Table, selection: Any, rows: int) -> Any:
        row_bytes = math.prod(table.shape[1:]) * max(table.dtype.itemsize, 1)
        what = f"'{_text(table.path)}'"
        file_bytes = _opened(self.path).state[0]
        with guarded(self.path, what):
            dataset = self._dataset(table)
            self._check_filters(dataset.id, what)
            packed = dataset.id.get_create_plist().get_nfilters() > 0
            stored = min(table.stored_bytes, file_bytes) * (_ZLIB_RATIO if packed else 1)
            if rows * row_bytes > min(_FREE_BYTES + stored, _MAX_READ_BYTES):
                raise TooLarge(
                    self.path, f"{what} claims {rows * row_bytes} bytes, of which the file holds {table.stored_bytes}."
                )
            if packed:
                _check_packed_chunks(dataset, self.path, what)
            if table.content == "text":
                return _texts(dataset[selection])
            value = dataset[selection]
            return _blobs(value) if table.content == "blobs" else value

    def _dataset(self, table: Table) -> Any:
        kept = _opened(self.path)
        dataset = kept.datasets.get(table.path)
        if dataset is None:
            h5py = require("h5py", extra="hdf5")
            dataset = h5py.Dataset(self._inside(kept.file.id, table.path, table.name, 0))
            kept.datasets[table.path] = dataset
            while len(kept.datasets) > _OPEN_DATASETS:
                kept.datasets.popitem(last=False)
        kept.datasets.move_to_end(table.path)
        if dataset.shape != table.shape or dataset.dtype != table.dtype:
            raise DamagedData(self.path, f"'{_text(table.path)}' has changed since the dataset was opened.")
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

    def _is_group(self, found: Any) -> bool:
        return hasattr(found, "links")

    def _group(self, path: bytes, shown: str) -> Any:
        found = self._inside(_opened(self.path).file.id, path, shown, 0)
        if not self._is_group(found):
            raise DamagedData(self.path, f"'{shown}' is not a group.")
        return found

    def _names(self, group: Any, shown: str) -> list[bytes]:
        count = group.get_num_objs()
        if count > _MAX_CHILDREN:
            raise TooLarge(self.path, f"group '{shown}' claims {count} members.")
        return list(group)

    def _inside(self, start: Any, path: bytes, shown: str, hops: int) -> Any:
        """The object at `path`, followed link by link, because HDF5 itself would open any file a link names."""
        h5l, h5o = require("h5py.h5l", extra="hdf5"), require("h5py.h5o", extra="hdf5")
        if hops > _MAX_LINK_HOPS:
            raise DamagedData(self.path, f"'{shown}' is a soft link that leads in a circle.")
        at = _opened(self.path).file.id if path.startswith(b"/") else start
        for part in (p for p in path.split(b"/") if p and p != b"."):
            if not self._is_group(at):
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

    def _walk(self, group: Any, path: bytes, prefix: str, found: list[Table]) -> None:
        if prefix.count("/") > _MAX_DEPTH:
            raise DamagedData(self.path, f"'{prefix}' lies deeper than any layout nests groups.")
        for name in self._names(group, prefix):
            shown = prefix + _text(name)
            place = path + b"/" + name if path else name
            child = self._inside(group, name, _text(place), 0)
            if self._is_group(child):
                self._walk(child, place, shown + "/", found)
            elif hasattr(child, "get_storage_size"):
                found.append(self._table(child, shown, place))
            if len(found) > _MAX_OBJECTS:
                raise TooLarge(self.path, f"'{prefix}' holds more than {_MAX_OBJECTS} datasets.")

    def _walk_groups(self, group: Any, prefix: str, found: dict[str, dict[str, Any]]) -> None:
        for name in self._names(group, prefix):
            child = self._inside(group, name, prefix + _text(name), 0)
            if self._is_group(child) and prefix.count("/") < _MAX_DEPTH and len(found) < _MAX_OBJECTS:
                attributes = self._attributes(child, prefix + _text(name))
                if attributes:
                    found[prefix + _text(name)] = attributes
                self._walk_groups(child, prefix + _text(name) + "/", found)

    def _table(self, dataset_id: Any, name: str, path: bytes) -> Table:
        h5d = require("h5py.h5d", extra="hdf5")
        plan, shown = dataset_id.get_create_plist(), _text(path)
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
        return Table(name, path, shape, dtype, _content(dtype), stored, attributes)

    def _attributes(self, found: Any, shown: str) -> dict[str, Any]:
        h5a, h5py = require("h5py.h5a", extra="hdf5"), require("h5py", extra="hdf5")
        count = h5a.get_num_attrs(found)
        if not count:
            return {}
        plain: dict[str, Any] = {}
        manager = h5py.AttributeManager(_Identified(found))
        for number in range(count):
            attribute = h5a.open(found, index=number)
            name = _text(attribute.name)
            claimed = math.prod(attribute.shape or ()) * max(attribute.dtype.itemsize, 1)
            if claimed > _MAX_ATTRIBUTE_BYTES:
                raise TooLarge(self.path, f"attribute '{name}' of '{shown}' claims {claimed} bytes.")
            if _content(attribute.dtype) == "references":
                plain[name] = "HDF5 references, which are not followed"
            else:
                plain[name] = _plain(manager[attribute.name])
        return plain


class _Identified(NamedTuple):
    """What h5py's attribute reader needs of an object."""

    id: Any


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
            return np.asarray(block if len(wanted) == end - first and wanted[0] == first else block[wanted - first])
        return np.stack([self.container._read(self.table, int(i), 1) for i in wanted])
