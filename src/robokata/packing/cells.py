"""Cells of a column that holds texts, bytes or arrays of any length, as one run of bytes beside what each piece is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_TEXT_ERRORS = "surrogatepass"
"""JSON and paths hold halves of surrogate pairs, which plain UTF-8 refuses; they come back as they were."""


class PackedCells(NamedTuple):
    """All cells as bytes one behind the other."""

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    """Byte behind each cell, (n,)."""
    kinds: list[str]
    """Of each cell: `text`, `bytes`, `array`, `number`, `none`."""
    shapes: list[list[Any] | None]
    """Type and shape of each `array` and `number`."""


def pack_cells(column: NDArray[Any]) -> PackedCells:
    """Every cell of a column of dtype object, or of fixed-width texts, in the order of the memory.

    Raises:
        ValueError: a cell is something else than text, bytes, numbers or nothing.
    """
    pieces = [_piece(cell) for cell in column.reshape(-1)]
    return PackedCells(
        np.frombuffer(b"".join(piece.data for piece in pieces), np.uint8),
        np.cumsum([len(piece.data) for piece in pieces], dtype=np.int64),
        [piece.kind for piece in pieces],
        [piece.shape for piece in pieces],
    )


def unpack_cells(packed: PackedCells, shape: tuple[int, ...]) -> NDArray[Any]:
    """The column again, of this shape and dtype object.

    Raises:
        ValueError: the bytes are not what `kinds` and `shapes` say, or are not as many cells as the shape.
    """
    blob = packed.data.tobytes()
    out = np.empty(len(packed.ends), dtype=object)
    start = 0
    for row, (end, kind, form) in enumerate(zip(packed.ends.tolist(), packed.kinds, packed.shapes, strict=True)):
        out[row] = _cell(blob[start:end], kind, form)
        start = end
    return out.reshape(shape)


def is_unicode(column: NDArray[Any]) -> bool:
    """True where every text of a column can be written as UTF-8: half a surrogate pair cannot."""
    try:
        for text in column.reshape(-1):
            str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


class _Piece(NamedTuple):
    kind: str
    data: bytes
    shape: list[Any] | None = None


def _piece(cell: Any) -> _Piece:
    if isinstance(cell, np.ndarray) and cell.dtype == object:
        inner = pack_cells(cell)
        told = {"kinds": inner.kinds, "shapes": inner.shapes, "ends": inner.ends.tolist()}
        return _Piece("cells", inner.data.tobytes(), [told, list(cell.shape)])
    if cell is None:
        return _Piece("none", b"")
    if isinstance(cell, str):
        return _Piece("text", cell.encode(errors=_TEXT_ERRORS))
    if isinstance(cell, bytes):
        return _Piece("bytes", bytes(cell))
    if not isinstance(cell, (np.ndarray, np.generic, int, float)):
        raise ValueError(f"a cell holds {type(cell).__name__}, which is neither text nor bytes nor numbers")
    array = np.asarray(cell)
    if array.dtype.hasobject:
        raise ValueError("a cell holds Python objects")
    kind = "array" if isinstance(cell, np.ndarray) else "number"
    return _Piece(kind, np.ascontiguousarray(array).tobytes(), [array.dtype.str, list(array.shape)])


def _cell(data: bytes, kind: str, form: Any) -> Any:
    if kind in ("text", "bytes", "none"):
        return data.decode(errors=_TEXT_ERRORS) if kind == "text" else data if kind == "bytes" else None
    if kind == "cells":
        told: Mapping[str, Any] = form[0]
        ends = np.asarray(told["ends"], np.int64)
        inner = PackedCells(np.frombuffer(data, np.uint8), ends, told["kinds"], told["shapes"])
        return unpack_cells(inner, tuple(form[1]))
    if kind not in ("array", "number"):
        raise ValueError(f"a cell of the kind {kind!r}")
    dtype = np.dtype(form[0])
    if dtype.hasobject:
        raise ValueError("a cell of Python objects")
    array = np.frombuffer(data, dtype).reshape(form[1])
    # Earlier archives kept each text as an array of one.
    is_alone = kind == "number" or (dtype.kind in "US" and not array.ndim)
    return array[()].item() if is_alone and dtype.kind in "US" else array[()] if is_alone else array
