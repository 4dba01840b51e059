"""What a target format has no place for, packed into bytes that its extension place can hold.

One NumPy archive per episode: `episode.json` says what the episode and each stream was, and arrays hold native
clocks, values that stand in no row, and texts and messages. A reader that finds it gives the original back:
same names, same clocks to the nanosecond, same numbers to the bit.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock
from robokata.core.episode import Annotation, Arm, Embodiment, Episode, Gripper, Instruction, Joint, Origin, Outcome
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.layout import Layout, Place
from robokata.core.selected_values import PickedPictures, PickedValues
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues, LazyValues, Pictures, Values
from robokata.packing.cells import PackedCells, pack_cells, unpack_cells
from robokata.packing.clock_codec import fraction, fraction_text, pack_clock, unpack_clock

Read = TypeVar("Read")

VERSION = 3
MAX_BYTES = 2 * 2**30
"""Largest archive that is unpacked: a day of 1 kHz force of 6 channels in float32 is 2 GB."""
_MEANINGS = ("unit", "frame", "rotation", "reference", "gripper", "normalisation")


def pack(episode: Episode, layout: Layout) -> bytes:
    """The part of an episode that its layout does not put into the target's own places."""
    arrays: dict[str, NDArray[Any]] = {}
    clocks: dict[int, str] = {}
    streams = [_pack_stream(stream, layout.of(stream.name), arrays, clocks) for stream in episode.streams.values()]
    header = {
        "version": VERSION,
        "id": episode.id,
        "embodiment": asdict(episode.embodiment) if episode.embodiment else None,
        "instructions": [asdict(instruction) for instruction in episode.instructions],
        "annotations": [asdict(annotation) for annotation in episode.annotations],
        "outcome": asdict(episode.outcome),
        "origin": asdict(episode.origin),
        "declared_rate_hz": fraction_text(episode.declared_rate_hz),
        "declared_steps": episode.declared_steps,
        "extra": _plain(episode.extra, "extra", arrays),
        "streams": streams,
    }
    arrays["episode.json"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for allow_pickle
    return out.getvalue()


def unpack(found: Episode, data: bytes, *, where: str) -> Episode:
    """The original of an episode that was read from a target's own places, and what was carried beside.

    Raises:
        DamagedData: the archive is broken, or names a stream that the target lacks.
        TooLarge: it claims to unpack to more than any recording has.
    """
    arrays = _Archive(data, where)
    try:
        header = json.loads(arrays["episode.json"].tobytes())
        clocks: dict[str, Clock] = {}
        streams = [_unpack_stream(entry, found, arrays, clocks) for entry in header["streams"]]
        embodiment = header["embodiment"]
        return replace(
            found,
            id=found.id,
            streams={stream.name: stream for stream in streams if stream is not None},
            embodiment=None if embodiment is None else _embodiment(embodiment),
            instructions=tuple(Instruction(**entry) for entry in header["instructions"]),
            annotations=tuple(Annotation(**entry) for entry in header["annotations"]),
            outcome=Outcome(**header["outcome"]),
            origin=Origin(**{**header["origin"], "made_from": tuple(header["origin"]["made_from"])}),
            declared_rate_hz=fraction(header["declared_rate_hz"]),
            declared_steps=header["declared_steps"],
            extra=_restored(header["extra"], arrays),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DamagedData(where, f"what was carried beside the episode is broken: {error!r}.") from None


def native_names(data: bytes, *, where: str) -> dict[str, str]:
    """Name in the target -> stream that it holds, of the streams that are read back from the target's own places.

    Raises:
        DamagedData: the archive is broken.
        TooLarge: it claims to unpack to more than any recording has.
    """
    try:
        streams = json.loads(_Archive(data, where)["episode.json"].tobytes())["streams"]
        return {entry["target"]: str(entry["name"]) for entry in streams if entry["target"] is not None}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedData(where, f"what was carried beside the episode is broken: {error!r}.") from None


def _pack_stream(
    stream: Stream, place: Place, arrays: dict[str, NDArray[Any]], clocks: dict[int, str]
) -> dict[str, Any]:
    packed = partial(pack_clock, put=partial(_put, arrays), packed=clocks)
    entry: dict[str, Any] = {
        "name": stream.name,
        "kind": stream.kind.value,
        "role": stream.role.value,
        "channels": list(stream.channels) if stream.channels else None,
        "meaning": {
            name: asdict(getattr(stream.meaning, name))
            for name in _MEANINGS
            if getattr(stream.meaning, name) is not None
        },
        "encoding": stream.encoding,
        "extra": _plain(stream.extra, f"extra {stream.name}", arrays),
        "clock": packed(stream.clock),
        "other_clocks": {name: packed(clock) for name, clock in stream.other_clocks.items()},
        "target": place.target if place.is_native else None,
        "way": place.way.value,
        "is_counter": stream.role is Role.BOOKKEEPING and place.target is None,
    }
    if place.is_native and place.target is not None:
        if place.appears_at is not None:
            entry["appears_at"] = _put(arrays, place.appears_at)
    elif stream.kind in (Kind.TEXT, Kind.MESSAGE, Kind.RAGGED) or (
        not stream.is_picture and stream.values.dtype.hasobject
    ):
        entry["cells"] = _pack_cells(stream.values, arrays)
    elif not stream.is_picture:
        values = np.asarray(stream.values[:])
        entry |= {"values": _put(arrays, values), "shape": list(values.shape), "dtype": _dtype_json(values.dtype)}
    return entry


def _pack_cells(values: Values, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Cells of any length as one run of bytes and their ends; ragged arrays keep dtype and shape."""
    # All at once: one sample on its own is a 0-d array, a text among its neighbours is a text.
    column = np.asarray(values[:])
    packed = pack_cells(column)
    return {
        "bytes": _put(arrays, packed.data),
        "ends": _put(arrays, packed.ends),
        "kinds": packed.kinds,
        "shapes": packed.shapes,
        "shape": list(column.shape),
    }


def _unpack_stream(
    entry: Mapping[str, Any], found: Episode, arrays: _Archive, clocks: dict[str, Clock]
) -> Stream | None:
    made_anew = found.streams.get(entry["name"])
    if entry["is_counter"] and made_anew is not None:
        # Counters are the target's own: those of the dataset it came from would contradict its index.
        return made_anew
    values = _unpack_values(entry, found, arrays)
    if values is None:
        return None
    if not isinstance(entry["name"], str):
        raise TypeError(f"a stream is called {entry['name']!r}")
    return Stream(
        name=entry["name"],
        kind=_kind_now(entry, found),
        role=Role(entry["role"]),
        clock=_clock(entry["clock"], arrays, clocks),
        values=values,
        channels=tuple(entry["channels"]) if entry["channels"] else None,
        meaning=Meaning(**{name: _fact(fact) for name, fact in entry["meaning"].items()}),
        encoding=found.streams[entry["target"]].encoding if entry["target"] else entry["encoding"],
        other_clocks={name: _clock(clock, arrays, clocks) for name, clock in entry["other_clocks"].items()},
        extra=_restored(entry["extra"], arrays),
        declared=found.streams[entry["target"]].declared if entry["target"] else {},
        oddities=found.streams[entry["target"]].oddities if entry["target"] else {},
    )


def _clock(entry: Mapping[str, Any], arrays: _Archive, clocks: dict[str, Clock]) -> Clock:
    """Streams that shared a clock share it again."""
    key = json.dumps(entry, sort_keys=True)
    if key not in clocks:
        clocks[key] = unpack_clock(entry, array=arrays.promised, rows=arrays.rows, at_most=MAX_BYTES // 8)
    return clocks[key]


def _kind_now(entry: Mapping[str, Any], found: Episode) -> Kind:
    """What a stream is now: a raw picture that went into a video comes back as a video, and numbers stay numbers."""
    kind, pictures = Kind(entry["kind"]), (Kind.VIDEO, Kind.IMAGE)
    now = found.streams[entry["target"]].kind if entry["target"] else kind
    # Depth without a channel axis reads as numbers, and a matrix of bytes as a picture, until the original is known.
    return now if kind in pictures and now in pictures else kind


def _unpack_values(entry: Mapping[str, Any], found: Episode, arrays: _Archive) -> Values | None:
    if entry["target"] is not None:
        native = found.streams[entry["target"]].values
        picked = arrays[entry["appears_at"]] if "appears_at" in entry else None
        if picked is None:
            return native
        # By the class, not by the protocol: asking the object would open the media behind it.
        if hasattr(type(native), "luma"):
            return PickedPictures(cast(Pictures, native), picked)
        return PickedValues(native, picked)
    if "values" in entry:
        if "shape" not in entry:  # version 1 of the archive says neither
            return ArrayValues(arrays.rows(entry["values"]))
        shape, dtype = tuple(entry["shape"]), _dtype(entry["dtype"])
        if not shape or dtype.hasobject:
            raise ValueError(f"the values of {entry['name']} are {dtype} of the shape {shape}")
        return LazyValues(shape, dtype, lambda: arrays.promised(entry["values"], shape, dtype))
    if "cells" not in entry:
        return None
    cells = entry["cells"]
    shape = tuple(cells.get("shape", (len(cells["kinds"]),)))
    return LazyValues(shape, object, lambda: arrays.guarded(lambda: _unpack_cells(cells, shape, arrays)))


def _unpack_cells(entry: Mapping[str, Any], shape: tuple[int, ...], arrays: _Archive) -> NDArray[Any]:
    packed = PackedCells(arrays[entry["bytes"]], arrays[entry["ends"]], entry["kinds"], entry["shapes"])
    return unpack_cells(packed, shape)


_DAMAGE = (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise on damaged bytes; RuntimeError is an encrypted or an unknown kind of member."""


class _Archive:
    """The arrays of an archive, each unpacked at first use. A class, because it keeps what it has unpacked."""

    def __init__(self, data: bytes, where: str) -> None:
        self._where = where
        self._kept: dict[str, NDArray[Any]] = {}
        self._zip = self.guarded(lambda: zipfile.ZipFile(io.BytesIO(data)))
        claimed = sum(info.file_size for info in self._zip.infolist())
        if claimed > MAX_BYTES:
            raise TooLarge(where, f"what was carried beside the episode claims to unpack to {claimed / 2**30:.1f} GiB.")

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._kept:
            self._kept[name] = self.guarded(lambda: self._read(name))
        return self._kept[name]

    def rows(self, name: str) -> NDArray[Any]:
        """An array that nobody told of before.

        Raises:
            ValueError: it is one number.
        """
        if not self[name].ndim:
            raise ValueError(f"{name} is one number")
        return self[name]

    def promised(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array whose shape and type were told before.

        Raises:
            DamagedData: it is another.
        """
        found = self[name]
        if found.shape != shape or found.dtype != dtype:
            raise DamagedData(
                self._where, f"{name} is {found.dtype}{list(found.shape)}, and {dtype}{list(shape)} was promised."
            )
        return found

    def guarded(self, read: Callable[[], Read]) -> Read:
        """Run what takes something out of the archive; what it raises becomes damage of this file.

        Raises:
            DamagedData: it cannot be unpacked.
        """
        try:
            return read()
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            EOFError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as e:
            raise DamagedData(self._where, f"what was carried beside the episode cannot be unpacked: {e}.") from None

    def _read(self, name: str) -> NDArray[Any]:
        with self._zip.open(f"{name}.npy") as member:
            array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _put(arrays: dict[str, NDArray[Any]], array: NDArray[Any]) -> str:
    name = f"array_{len(arrays)}"
    arrays[name] = array
    return name


def _dtype_json(dtype: np.dtype[Any]) -> Any:
    """A dtype as JSON: a word, or the fields of a compound."""
    return np.lib.format.dtype_to_descr(dtype)


def _dtype(told: Any) -> np.dtype[Any]:
    # JSON has no tuples, and NumPy takes a field for nothing else.
    fields = [tuple(field) for field in told] if isinstance(told, list) else told
    return np.lib.format.descr_to_dtype(fields)


def _plain(value: Any, where: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """A value as JSON, with arrays and bytes moved out; what is neither becomes its text."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {"__array__": _put(arrays, value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist(), where, arrays)
    if hasattr(type(value), "shape") and hasattr(type(value), "__getitem__") and not isinstance(value, np.generic):
        # Large fields of the source stay lazy until somebody wants them, and this is somebody.
        return _plain(np.asarray(value[:]), where, arrays)
    if isinstance(value, bytes):
        return {"__bytes__": _put(arrays, np.frombuffer(value, np.uint8))}
    if isinstance(value, np.generic):
        return _plain(value.item(), where, arrays)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, where, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, where, arrays) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _restored(value: Any, arrays: _Archive) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__array__"}:
            return arrays[value["__array__"]]
        if set(value) == {"__bytes__"}:
            return arrays[value["__bytes__"]].tobytes()
        return {key: _restored(item, arrays) for key, item in value.items()}
    return [_restored(item, arrays) for item in value] if isinstance(value, list) else value


def _fact(entry: Mapping[str, Any]) -> Fact:
    return Fact(entry["value"], Evidence(entry["evidence"]), entry["score"])


def _embodiment(entry: Mapping[str, Any]) -> Embodiment:
    joints = tuple(Joint(**joint) for joint in entry["joints"])
    arms = tuple(_arm(arm) for arm in entry.get("arms", ()))
    return Embodiment(
        entry["name"],
        Evidence(entry["evidence"]),
        joints,
        tuple(entry["cameras"]),
        entry["model"],
        arms,
        tuple(entry["reach_m"]) if entry.get("reach_m") else None,
    )


def _arm(entry: Mapping[str, Any]) -> Arm:
    gripper = entry["gripper"]
    if gripper is not None:
        gripper = Gripper(**{**gripper, "stroke": tuple((float(a), float(b)) for a, b in gripper["stroke"])})
    return Arm(entry["name"], tuple(entry["joints"]), entry["tip"], tuple(entry["home"]), gripper)
