"""The bytes of openpi's protocol: msgpack, with arrays as maps of bytes keys. Nothing of it is ever run.

Facts after openpi@15a9616, `msgpack_numpy.py`; the sizes are bounded by us, which theirs are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from robokata.core.errors import PolicyFailed
from robokata.core.require import require
from robokata.policies._openpi.limits import DEEPEST, vet

_KINDS = "fiub"
"""Kinds of numbers that may travel; the protocol refuses V, O and c, and we have no use for text in arrays."""
_NUMBER = re.compile(rf"[<>|=]?[{_KINDS}][0-9]{{1,2}}|[?]", re.ASCII)
_DIMENSIONS = 8


def packed(message: Mapping[str, Any]) -> bytes:
    """A message as bytes.

    Raises:
        PolicyFailed: it holds something that cannot travel.
    """
    msgpack = require("msgpack", extra="serve")
    try:
        data: bytes = msgpack.packb(_told(dict(message)))
    except (TypeError, ValueError, OverflowError) as error:
        raise PolicyFailed("bad_message", f"the message cannot be sent: {error}") from None
    return data


def unpacked(data: bytes) -> dict[str, Any]:
    """A message from bytes.

    Raises:
        PolicyFailed: more than `limits` lets pass, no msgpack, no map, or an array whose shape, kind or bytes
            do not agree.
    """
    msgpack = require("msgpack", extra="serve")
    try:
        vet(data)
    except ValueError as error:
        raise PolicyFailed("bad_message", f"{error}.") from None
    try:
        # Keys are text or bytes: of numbers, a hundred thousand could be made to collide, which takes hours.
        found = msgpack.unpackb(data, object_hook=_heard, strict_map_key=True)
    except PolicyFailed:
        raise
    except Exception as error:  # noqa: BLE001  # msgpack raises what its unpacker meets: ValueError, UnpackException, ...
        # Its FormatError says nothing more.
        why = ": ".join(filter(None, (type(error).__name__, str(error))))
        raise PolicyFailed("bad_message", f"the message is no msgpack ({why}).") from None
    if not isinstance(found, dict):
        raise PolicyFailed("bad_message", f"the message is {type(found).__name__}, not a map.")
    return found


def _told(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise ValueError("the message is nested too deeply")
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise ValueError(f"arrays of {value.dtype} do not travel")
        return {
            b"__ndarray__": True,
            b"data": np.ascontiguousarray(value).tobytes(),
            b"dtype": value.dtype.str,
            b"shape": list(value.shape),
        }
    if isinstance(value, np.generic):
        if value.dtype.kind not in _KINDS:
            raise ValueError(f"numbers of {value.dtype} do not travel")
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    if isinstance(value, Mapping):
        return {name: _told(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(item, depth + 1) for item in value]
    return value


def _heard(found: dict[Any, Any]) -> Any:
    if b"__ndarray__" in found:
        return _array(found)
    if b"__npgeneric__" in found:
        kind = _kind(found.get(b"dtype"))
        value = found.get(b"data")
        if not isinstance(value, (int, float, bool)):
            raise PolicyFailed("bad_message", "a number of the message is none.")
        try:
            return kind.type(value)
        except (OverflowError, ValueError) as error:
            raise PolicyFailed("bad_message", f"a number of the message is none: {error}") from None
    return found


def _array(found: dict[Any, Any]) -> np.ndarray[Any, Any]:
    kind = _kind(found.get(b"dtype"))
    shape, data = found.get(b"shape"), found.get(b"data")
    if not isinstance(data, bytes) or not isinstance(shape, (list, tuple)) or len(shape) > _DIMENSIONS:
        raise PolicyFailed("bad_message", "an array of the message lacks its bytes or its shape.")
    if any(not isinstance(size, int) or isinstance(size, bool) or size < 0 for size in shape):
        raise PolicyFailed("bad_message", f"an array of the message has the shape {str(shape)[:80]}.")
    # Python's integers: the product of a hostile shape must not wrap round to the number of bytes that came.
    if math.prod(shape) * kind.itemsize != len(data):
        raise PolicyFailed("bad_message", f"an array of shape {str(shape)[:80]} and {kind} has {len(data)} bytes.")
    return np.frombuffer(data, kind).reshape(shape).copy()


def _kind(name: Any) -> np.dtype[Any]:
    if isinstance(name, bytes):
        name = name.decode("ascii", "replace")
    # Kind, byte order and size only: NumPy reads whole structures out of longer words.
    if not isinstance(name, str) or not _NUMBER.fullmatch(name):
        raise PolicyFailed("bad_message", f"arrays of {str(name)[:40]!r} are not read.")
    try:
        return np.dtype(name)
    except TypeError:
        raise PolicyFailed("bad_message", f"arrays of {name!r} are not read.") from None
