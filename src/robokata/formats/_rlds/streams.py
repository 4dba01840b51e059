"""The steps of an RLDS episode as streams: what each feature holds, and what it is for by its name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from robokata.containers.tf_example import floats_of, ints_of
from robokata.core.clock import step_clock
from robokata.core.errors import TooLarge, Unsupported
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import IndexedValues, LazyValues
from robokata.formats._rlds.record import INTEGERS, STEPS, Record, int_dtype, step_features, text_of, whole
from robokata.formats._rlds.tfds_features import Spec
from robokata.formats._roles import column_role
from robokata.media.images import EncodedImages, RawImages

ROWS, FLAT = "/ragged_row_lengths_0", "/ragged_flat_values"
"""TFDS's names for the two parts of a feature whose samples differ in length."""
_MAX_STEP_BYTES = 1 << 28
"""One uncompressed sample of a tensor: a 4k picture of float32 has 100 MB."""
_MAX_STREAM_NUMBERS = 1 << 31
"""A record has less than 2 GiB, and a number takes at least one byte."""
_FLOATS = frozenset(["float16", "float32", "float64"])
_PICTURES = {b"\xff\xd8": "jpeg", b"\x89P": "png", b"RI": "webp"}
_COUNTER = {"index", "idx", "timestep", "timestamp", "step_id", "frame_index", "step_index"}

Load = Callable[[], Record]


def streams_of(record: Record, load: Load) -> tuple[dict[str, Stream], dict[str, Any]]:
    """Streams by name, and the step features that are no streams. `load` gives the record back when it is needed.

    Raises:
        DamagedData: a feature does not hold one sample per step.
        Unsupported: the record is no episode.
    """
    steps = record.steps
    streams: dict[str, Stream] = {}
    rest: dict[str, Any] = {}
    void = steps > 0 and _ends_with_is_last(record)
    for key in step_features(record):
        stream = _stream(key, record, load)
        if stream is None:
            if key.removesuffix(ROWS).removeprefix(STEPS) not in streams:
                rest[key] = whole(record, key)
            continue
        if void and stream.role in (Role.ACTION, Role.REWARD):
            # RLDS: of the step with is_last only the observation counts. Many writers put a real action there
            # all the same, so the values stay, and whoever learns or measures from them can leave the sample out.
            stream = _noted(stream, "last_sample_is_void", True)
        streams[stream.name] = stream
    return streams, rest


def _stream(key: str, record: Record, load: Load) -> Stream | None:
    if key.endswith((ROWS, FLAT)):
        return _ragged(key.removesuffix(FLAT), record, load) if key.endswith(FLAT) else None
    feature, spec, steps = record.features[key], record.spec(key), record.steps
    count = record.count(key)
    shape = _sample_shape(key, record, count)
    if shape is None:
        return None
    if feature.kind == "bytes":
        return _of_bytes(key, record, load, shape)
    dtype: np.dtype[Any] = np.dtype(np.float32) if feature.kind == "float" else int_dtype(key, spec)
    if feature.kind == "none" and spec is not None and spec.dtype.startswith("float"):
        dtype = np.dtype(np.float32)
    _check_kind(key, record)
    values = LazyValues((steps, *shape), dtype, lambda: _numbers(load(), key, dtype).reshape(steps, *shape))
    is_picture = dtype == np.uint8 and len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= 16
    name = key.removeprefix(STEPS)
    if is_picture:
        raw = RawImages(values, where=f"{record.file}: {record.where}: {name}")
        return Stream(name, Kind.IMAGE, Role.CAMERA, step_clock(steps), raw, encoding="raw", extra=_extra(spec))
    stream = Stream(
        name,
        Kind.TENSOR,
        _role(name, Kind.TENSOR, dtype),
        step_clock(steps),
        values,
        encoding="raw",
        extra=_extra(spec),
    )
    if spec is not None and spec.dtype and spec.dtype != dtype.name:
        # An example holds float32 and int64 only: what was float64 before it was written has lost its precision.
        stream = _noted(stream, "declared_dtype", spec.dtype)
    return stream


def _sample_shape(key: str, record: Record, count: int) -> tuple[int, ...] | None:
    """Shape of one sample, None where the values do not fall into steps and nothing says that they should."""
    spec, steps = record.spec(key), record.steps
    is_blob = record.features[key].kind == "bytes" and spec is not None and spec.form != "opaque"
    # Pictures and encoded tensors are one byte string per step whatever their shape; strings keep theirs.
    is_blob = is_blob and spec is not None and (spec.form == "image" or spec.dtype not in ("string", "object", ""))
    if spec is None or spec.form == "opaque" or (spec.size is None and not is_blob):
        if steps == 0:
            return () if count == 0 else None
        if count % steps or count == 0:
            return None
        return () if count == steps else (count // steps,)
    size = 1 if is_blob else spec.size or 0
    if count == 0 and steps and size and record.features[key].kind == "none":
        return None
    if count != steps * size:
        of = "" if size == 1 else f" of {size}"
        raise record.damaged(f"{key} holds {count} values, which are not {steps} steps{of}.")
    shape = () if is_blob else tuple(side or 0 for side in spec.shape)
    # A shape of zero numbers agrees with an empty record whatever its other sides claim.
    if math.prod(side or 1 for side in (steps, *shape)) > _MAX_STREAM_NUMBERS:
        raise TooLarge(record.file, f"{record.where}: features.json gives {key} the shape {list(shape)}.")
    return shape


def _check_kind(key: str, record: Record) -> None:
    spec, kind = record.spec(key), record.features[key].kind
    if spec is None or spec.form == "opaque" or kind == "none":
        return
    wanted = "float" if spec.dtype.startswith(("float", "bfloat")) else "int64"
    if kind != wanted or spec.dtype in ("string", "object") or spec.form == "image":
        raise record.damaged(f"{key} is {spec.form} of {spec.dtype} in features.json, and a list of {kind} here.")


def _numbers(record: Record, key: str, dtype: np.dtype[Any]) -> Any:
    feature = record.features[key]
    if dtype.kind == "f":
        return record.decode(key, lambda: floats_of(feature))
    return record.decode(key, lambda: ints_of(feature, dtype))


def _of_bytes(key: str, record: Record, load: Load, shape: tuple[int, ...]) -> Stream:
    """Pictures, texts, encoded tensors, or bytes that nobody explains."""
    name, spec, steps = key.removeprefix(STEPS), record.spec(key), record.steps
    items = record.items(key)
    first = items.copy(0) if len(items.starts) else b""
    codec = _PICTURES.get(first[:2])
    clock, extra = step_clock(steps), _extra(spec)
    is_image = spec.form == "image" if spec is not None else codec is not None
    if is_image and spec is not None and spec.dtype not in ("", "uint8"):
        extra["declared_dtype"] = spec.dtype
    # TFDS packs a float32 depth picture into the four bytes of an RGBA PNG: decoded as colours it would be wrong.
    if is_image and not shape and (spec is None or spec.dtype in ("uint8", "uint16")):
        pictures = EncodedImages(
            steps, lambda i: load().items(key).copy(i), where=f"{record.file}: {record.where}: {name}"
        )
        encoding = codec or (spec.encoding if spec is not None else "") or None
        said = {} if spec is None else _declared(spec)
        return Stream(name, Kind.IMAGE, Role.CAMERA, clock, pictures, encoding=encoding, extra=extra, declared=said)
    if spec is not None and spec.form in ("tensor", "label") and spec.dtype not in ("string", "object", ""):
        return _encoded_tensor(key, spec, record, load)
    is_text = all(text_of(items.copy(i)) is not None for i in range(len(items.starts)))
    kind = Kind.TEXT if is_text and not is_image else Kind.MESSAGE
    role = _role(name, kind, np.dtype(object))
    values = LazyValues((steps, *shape), object, lambda: _objects(load(), key, kind).reshape(steps, *shape))
    return Stream(name, kind, role, clock, values, encoding=codec or "raw", extra=extra)


def _declared(spec: Spec) -> dict[str, Any]:
    """What features.json says of a picture, in the words of `Stream.declared`."""
    sides = zip(("height", "width", "channels"), spec.shape[-3:], strict=False) if len(spec.shape) == 3 else ()
    said: dict[str, Any] = {name: side for name, side in sides if side is not None}
    if spec.encoding in ("jpeg", "png"):
        said["codec"] = spec.encoding
    return {**said, "bits": 16} if spec.dtype == "uint16" else said


def _encoded_tensor(key: str, spec: Spec, record: Record, load: Load) -> Stream:
    name, size = key.removeprefix(STEPS), spec.size
    if spec.encoding not in ("bytes", "zlib") or size is None:
        raise record.damaged(f"{key} is {spec.form} of {spec.dtype} in features.json, and a list of bytes here.")
    if spec.dtype not in (*INTEGERS, *_FLOATS):
        raise Unsupported(f"{record.file}: {record.where}: {key} is an encoded tensor of {spec.dtype}.")
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    expected = size * dtype.itemsize
    if expected > _MAX_STEP_BYTES:
        raise TooLarge(record.file, f"{record.where}: one sample of {key} claims {expected} bytes.")
    shape = tuple(side or 0 for side in spec.shape)

    def sample(index: int) -> Any:
        current = load()
        data = current.items(key).copy(index)
        if spec.encoding == "zlib":
            data = _inflated(data, expected, current, key)
        if len(data) != expected:
            raise current.damaged(f"sample {index} of {key} has {len(data)} bytes, expected {expected}.")
        return np.frombuffer(data, dtype).reshape(shape)

    values = IndexedValues((record.steps, *shape), dtype.newbyteorder("="), sample)
    clock = step_clock(record.steps)
    return Stream(
        name, Kind.TENSOR, _role(name, Kind.TENSOR, dtype), clock, values, encoding=spec.encoding, extra=_extra(spec)
    )


def _inflated(data: bytes, expected: int, record: Record, key: str) -> bytes:
    try:
        # One byte more than expected shows a longer sample; a bomb never gets further.
        return zlib.decompressobj().decompress(data, expected + 1)
    except zlib.error as error:
        raise record.damaged(f"{key} cannot be inflated: {error}.") from None


def _ragged(key: str, record: Record, load: Load) -> Stream | None:
    """Samples that differ in length: flat values beside the length of each."""
    flat, spec, steps = record.features[key + FLAT], record.spec(key), record.steps
    if key + ROWS not in record.features or key + "/ragged_row_lengths_1" in record.features or flat.kind == "bytes":
        return None
    rows = record.decode(key, lambda: ints_of(record.features[key + ROWS], np.dtype(np.int64)))
    inner = tuple(spec.shape[1:]) if spec is not None else ()
    sides = tuple(side for side in inner if side is not None)
    size, total = math.prod(sides), record.count(key + FLAT)
    if size == 0:
        return None
    if len(rows) != steps or (len(rows) and rows.min() < 0) or len(sides) != len(inner):
        raise record.damaged(f"{key} holds the lengths of {len(rows)} samples, not of {steps} steps.")
    if int(rows.astype(np.float64).sum()) * size != total:
        raise record.damaged(f"{key} holds {total} values, and its samples' lengths ask for another number.")

    # The functions that read later hold no record: they ask for it again, so that it can be let go.
    dtype: np.dtype[Any] = np.dtype(np.float32) if flat.kind == "float" else int_dtype(key, spec)

    def samples() -> Any:
        values = _numbers(load(), key + FLAT, dtype).reshape(-1, *sides)
        out = np.empty(steps, object)
        for step, part in enumerate(np.split(values, np.cumsum(rows)[:-1]) if steps else ()):
            out[step] = part
        return out

    name = key.removeprefix(STEPS)
    values = LazyValues((steps,), object, samples)
    return Stream(
        name,
        Kind.RAGGED,
        _role(name, Kind.RAGGED, dtype),
        step_clock(steps),
        values,
        encoding="raw",
        extra=_extra(spec),
    )


def _objects(record: Record, key: str, kind: Kind) -> Any:
    items = record.items(key)
    out = np.empty(len(items.starts), object)
    for index in range(len(out)):
        out[index] = text_of(items.copy(index)) if kind is Kind.TEXT else items.copy(index)
    return out


def _ends_with_is_last(record: Record) -> bool:
    flag = record.features.get(STEPS + "is_last")
    if flag is None or flag.kind != "int64":
        return False
    values = record.decode("is_last", lambda: ints_of(flag, np.dtype(np.int64)))
    return bool(len(values) and values[-1])


def _extra(spec: Spec | None) -> dict[str, Any]:
    return {"description": spec.description} if spec is not None and spec.description else {}


def _noted(stream: Stream, key: str, value: Any) -> Stream:
    return replace(stream, extra={**stream.extra, key: value})


def _role(name: str, kind: Kind, dtype: np.dtype[Any]) -> Role:
    """What a feature is for: RLDS fixes the flags, reward and discount; the rest is custom, and goes by its words."""
    if name.rpartition("/")[2].lower() in _COUNTER:
        return Role.BOOKKEEPING
    otherwise = Role.SENSOR if name.startswith("observation/") else Role.UNKNOWN
    return column_role(name, kind, dtype, otherwise=otherwise)
