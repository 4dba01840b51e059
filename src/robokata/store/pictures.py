"""Pictures in a store: video files as they are, encoded pictures byte by byte, raw ones as an array."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import rate_fraction, step_clock
from robokata.core.errors import DamagedData, MediaMissing, WriteRefused
from robokata.core.selected_values import PickedPictures
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import LazyValues, Pictures
from robokata.media.clips import clip_of
from robokata.media.cuts import cut_of, run_of
from robokata.media.images import EncodedImages, RawImages
from robokata.media.mp4_write import write_clip
from robokata.media.packets import VideoPackets
from robokata.media.video import VideoFrames
from robokata.store.backend import refused
from robokata.store.store import Store

_BLOCK = 64
"""Raw pictures copied at a time: 60 MB of 640 x 480."""
_FALLBACK_HZ = Fraction(30)
"""Rate written into the video of a stream that has none: times are kept beside, the container only wants a number."""


def store_pictures(store: Store, stream: Stream) -> dict[str, Any]:
    """Copy the pictures of a stream into the store, none of them decoded that has bytes of its own.

    Raises:
        MediaMissing: their file is lost.
        DamagedData: they cannot be read.
        WriteRefused: a video in messages that starts with no key frame.
    """
    pictures, picked = _unpicked(stream.pictures)
    said: dict[str, Any] = {"kind": stream.kind.value, "role": stream.role.value, "encoding": stream.encoding}
    if picked is not None:
        said["picked"] = store.put(_npy(picked))
    if isinstance(pictures, VideoFrames):
        span_s, declared = pictures.span_s, pictures.declared_shape
        said |= {"way": "video", "part": store.put_file(pictures.path), "count": len(pictures)}
        said |= {"span_s": list(span_s) if span_s else None, "shape": list(declared) if declared else None}
        return said | {"is_depth": pictures.is_depth}
    if isinstance(pictures, VideoPackets):
        return said | _store_packets(store, pictures, stream)
    with _scratch("pictures") as file:
        if isinstance(pictures, EncodedImages) or (len(pictures) and pictures.encoded(0) is not None):
            _write_encoded(file, pictures, stream.name)
            return said | {"way": "images", "part": store.put_file(file), "count": len(pictures)}
        shape, dtype = [int(n) for n in pictures.shape], pictures.dtype.str
        _write_raw(file, pictures)
        said |= {"way": "array", "part": store.put_file(file), "shape": shape, "dtype": dtype}
        return said | {"scale": float(getattr(pictures, "scale", 1.0))}


def stored_stream(store: Store, name: str, said: Mapping[str, Any], *, where: str) -> Stream:
    """The pictures as a stream; its clock and meaning come from what was kept beside.

    Raises:
        DamagedData: the description is none.
    """
    try:
        pictures = _opened(store, said, where)
        if said.get("picked") is not None:
            rows = _loaded(store.get(said["picked"]), where)
            pictures = PickedPictures(pictures, rows.astype(np.int64))
        count = len(pictures)
        return Stream(
            name, Kind(said["kind"]), Role(said["role"]), step_clock(count), pictures, encoding=said["encoding"]
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DamagedData(where, f"what is said of the pictures {name} is broken: {error!r}.") from None


def _opened(store: Store, said: Mapping[str, Any], where: str) -> Pictures:
    part = str(said["part"])
    if said["way"] == "video":
        span_s, shape = said["span_s"], said["shape"]
        path = store.file(part)
        video = VideoFrames(
            path,
            int(said["count"]),
            span_s=(float(span_s[0]), float(span_s[1])) if span_s else None,
            shape=(int(shape[0]), int(shape[1]), int(shape[2])) if shape else None,
            is_depth=bool(said.get("is_depth", False)),
        )
        return cast(Pictures, video)
    if said["way"] == "images":
        return EncodedImages(int(said["count"]), _EncodedPart(store.file(part), int(said["count"])), where=where)
    dtype = np.dtype(said["dtype"])
    if said["way"] != "array" or dtype.hasobject:
        raise ValueError(f"pictures kept as {said['way']!r} of {dtype}")
    shape = tuple(int(n) for n in said["shape"])
    values = LazyValues(shape, dtype, lambda: _mapped(store.file(part), shape, dtype))
    return RawImages(values, where=where, scale=float(said["scale"]))


class _EncodedPart:
    """Encoded pictures in one part: their number, where each ends, their bytes. Keeps where they end."""

    def __init__(self, path: Path, count: int) -> None:
        self.path, self.count = path, count
        self._ends: NDArray[np.int64] | None = None

    def __call__(self, index: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                ends = self._read_ends(file) if self._ends is None else self._ends
                start = int(ends[index - 1]) if index else 0
                file.seek(8 + 8 * self.count + start)
                return file.read(int(ends[index]) - start)
        except FileNotFoundError:
            raise MediaMissing(self.path, "the store lacks these pictures.") from None
        except OSError as error:
            raise DamagedData(self.path, f"cannot be read: {error.strerror}.") from None

    def _read_ends(self, file: Any) -> NDArray[np.int64]:
        size = self.path.stat().st_size
        head = file.read(8)
        # Compared before anything is allocated: the number may be anything in a damaged file.
        if len(head) < 8 or struct.unpack("<Q", head)[0] != self.count or 8 + 8 * self.count > size:
            raise DamagedData(self.path, f"does not hold {self.count} pictures.")
        ends = np.frombuffer(file.read(8 * self.count), "<i8")
        lengths = np.diff(ends, prepend=0)
        if len(ends) != self.count or (lengths < 0).any() or int(ends[-1]) + 8 + 8 * self.count > size:
            raise DamagedData(self.path, "the places of its pictures are broken.")
        self._ends = ends
        return ends


@contextmanager
def _scratch(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Path(folder) / name
        except OSError as error:
            raise refused(folder, error) from None


def _write_encoded(file: Path, pictures: Pictures, name: str) -> None:
    ends = np.zeros(len(pictures), "<i8")
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(pictures)) + ends.tobytes())
        for index in range(len(pictures)):
            encoded = pictures.encoded(index)
            if encoded is None:
                raise DamagedData(file, f"picture {index} of {name} has no bytes of its own, and others have.")
            out.write(encoded.data)
            ends[index] = out.tell() - 8 - 8 * len(pictures)
        out.seek(8)
        out.write(ends.tobytes())


def _write_raw(file: Path, pictures: Pictures) -> None:
    header = {"descr": pictures.dtype.str, "fortran_order": False, "shape": tuple(int(n) for n in pictures.shape)}
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for start in range(0, len(pictures), _BLOCK):
            out.write(np.ascontiguousarray(pictures[start : start + _BLOCK]).tobytes())


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise MediaMissing(path, "the store lacks these pictures.") from None
    except (OSError, ValueError, EOFError) as error:
        raise DamagedData(path, f"the pictures cannot be read: {error}.") from None
    if array.shape != shape or array.dtype != dtype:
        raise DamagedData(path, f"holds {array.dtype}{list(array.shape)}, and {dtype}{list(shape)} is expected.")
    return np.asarray(array)


def _store_packets(store: Store, pictures: VideoPackets, stream: Stream) -> dict[str, Any]:
    """The packets of messages as a video file, copied byte by byte."""
    run = run_of(pictures, np.arange(len(pictures), dtype=np.int64))
    if run is None or cut_of(run) is None:
        raise WriteRefused(
            f"stream {stream.name!r}: its video has no key frame to start from, and cannot be copied. Leave "
            "--materialise out: a snapshot can refer to it."
        )
    rate_hz = rate_fraction(stream.clock.rate_hz() or 0) or _FALLBACK_HZ
    with _scratch("video.mp4") as file:
        write_clip(file, clip_of(run, file.parent, rate_hz=rate_hz), rate_hz=rate_hz)
        part = store.put_file(file)
    return {"way": "video", "part": part, "count": len(pictures), "span_s": None, "shape": None}


def _unpicked(pictures: Pictures) -> tuple[Pictures, NDArray[np.int64] | None]:
    picked: NDArray[np.int64] | None = None
    while isinstance(pictures, PickedPictures):
        picked = pictures.picked if picked is None else pictures.picked[picked]
        pictures = pictures.values
    return pictures, picked


def _npy(array: NDArray[np.int64]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _loaded(data: bytes, where: str) -> NDArray[Any]:
    try:
        return cast(NDArray[Any], np.load(io.BytesIO(data), allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DamagedData(where, f"a list of picture numbers cannot be read: {error}.") from None
