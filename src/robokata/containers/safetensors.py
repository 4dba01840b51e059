"""Arrays of a safetensors file, bounded in size."""

from __future__ import annotations

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
    import safetensors  # waits for its first use

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TooLarge(path, f"the file is larger than {MAX_FILE_BYTES >> 20} MiB.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
    except OSError as error:
        raise DamagedData(path, f"cannot be read: {error.strerror}.") from None
    try:
        entries = safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # it ships no signature for it
    except safetensors.SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing: ")
        raise DamagedData(
            path, f"is no safetensors file: {reason}.", next_move="Restore it from the original."
        ) from None
    return {
        name: np.frombuffer(entry["data"], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries
        if entry["dtype"] in _DTYPES
    }
