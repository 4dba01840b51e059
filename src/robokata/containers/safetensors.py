"""Arrays of a safetensors file: a length, a JSON header with offsets, and the bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, MediaMissing, TooLarge

MAX_FILE_BYTES = 256 * 2**20
"""Largest file that is read whole: LeRobot v1 keeps two numbers per episode and four per channel in them."""
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?",
}  # fmt: skip


def read_safetensors(path: Path) -> Mapping[str, NDArray[Any]]:
    """All arrays of a file, by name; types that numpy lacks (BF16, F8) are left out.

    Raises:
        MediaMissing: it does not exist.
        TooLarge: it is far larger than what LeRobot keeps in such a file.
        DamagedData: the header is broken, or its offsets do not fit the file.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TooLarge(path, f"the file is larger than {MAX_FILE_BYTES >> 20} MiB.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
    except OSError as error:
        raise DamagedData(path, f"cannot be read: {error.strerror}.") from None
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise _damaged(path, f"the header claims {length} bytes, and {max(0, len(data) - 8)} are there.", 0)
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise _damaged(path, "the header is not JSON.", 8) from None
    if not isinstance(header, dict):
        raise _damaged(path, "the header is not an object.", 8)
    body = memoryview(data)[8 + length :]
    entries = {str(name): entry for name, entry in header.items() if name != "__metadata__"}
    arrays = {name: _array(path, name, entry, body) for name, entry in entries.items()}
    return {name: array for name, array in arrays.items() if array is not None}


def _array(path: Path, name: str, entry: Any, body: memoryview) -> NDArray[Any] | None:
    fields = entry if isinstance(entry, dict) else {}
    shape: list[int] = fields.get("shape") or []
    offsets: list[int] = fields.get("data_offsets") or []
    if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
        raise _damaged(path, f"the header's entry of {name!r} is broken.", 8)
    kind = _DTYPES.get(str(fields.get("dtype")))
    if kind is None:
        return None
    start, end = offsets
    wanted = math.prod(shape) * np.dtype(kind).itemsize
    if not start <= end <= len(body) or end - start != wanted:
        raise _damaged(
            path, f"{name!r} of {shape} takes {wanted} bytes, and the header points to {start}:{end} of {len(body)}.", 8
        )
    return np.frombuffer(body[start:end], dtype=kind).reshape(shape)


def _are_counts(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(number) is int and 0 <= number < 2**48 for number in numbers)


def _damaged(path: Path, reason: str, offset: int) -> DamagedData:
    return DamagedData(path, reason, offset=offset, next_move="Restore it from the original.")
