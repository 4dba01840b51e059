"""ROS messages on the wire (CDR and ROS 1) as columns of numbers.

Messages of one topic mostly share one layout: the same numbers at the same offsets. So one message is walked
field by field, and all messages whose lengths-on-the-wire agree with it are read as one strided array.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.ros.definition import MAX_FIELDS, NUMBERS, Field, Message
from robokata.core.errors import DamagedData, Unsupported

Columns = Mapping[str, NDArray[Any]]
"""Field path -> (T,) or (T, n) numbers; object arrays of `str`, of tuples of `str`, or of arrays of unequal length."""

SPARE_BYTES = 7
"""Bytes that may follow the last field: CDR pads to 4 or 8, librealsense writes 4 too many. More means that the
definition does not describe the message."""
_LAYOUTS_PER_SIZE = 8
"""Layouts tried as arrays among messages of one size before the rest is walked one by one."""


class Leaf(NamedTuple):
    """Where one field lies in one message."""

    dtype: str | None
    """Numpy type of its numbers, None for text."""
    at: int
    length: int
    is_array: bool
    texts: tuple[tuple[int, int], ...] = ()
    """Offset and length of each text."""


class Layout(NamedTuple):
    """Where the fields of one message lie, and the length words that make it so."""

    leaves: dict[str, Leaf]
    words: tuple[tuple[int, int], ...]
    """Offset and size of every length in the message; equal bytes there mean an equal layout."""
    end: int


def lay_out(message: Message, data: bytes | memoryview, *, encoding: str, where: str) -> Layout:
    """Find every field of one message; `encoding` is `cdr` or `ros1`.

    Raises:
        DamagedData: the message ends inside a field.
        Unsupported: an encapsulation of CDR that is not read (parameter lists, delimited).
    """
    walk = _Walk(data, encoding=encoding, where=where)
    walk.message(message.fields, message.parts, "")
    return Layout(walk.leaves, tuple(walk.words), walk.at)


def decode_messages(
    message: Message, messages: Sequence[bytes], *, encoding: str, where: str, is_head: bool = False
) -> Columns:
    """All fields of all messages as columns, (T, ...) each. `is_head` allows bytes behind the last field.

    Raises:
        DamagedData: a message is not what its definition says.
        Unsupported: see `lay_out`; or a wide text.
    """
    pieces: list[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]] = []
    sizes = np.fromiter((len(m) for m in messages), np.int64, len(messages))
    for size in np.unique(sizes):
        left = np.flatnonzero(sizes == size)
        matrix = np.frombuffer(b"".join(messages[i] for i in left.tolist()), np.uint8).reshape(len(left), int(size))
        tried = 0
        while len(left):
            layout = lay_out(message, messages[int(left[0])], encoding=encoding, where=where)
            spare = int(size) - layout.end
            if spare > SPARE_BYTES and not is_head:
                raise DamagedData(where, f"{spare} bytes follow the last field of a {message.type}.")
            fits = _same_words(matrix, layout)
            if tried >= _LAYOUTS_PER_SIZE:
                fits[1:] = False
            tried += 1
            pieces.append((left[fits], _read(matrix[fits], layout, _order(messages[int(left[0])], encoding), where)))
            left, matrix = left[~fits], matrix[~fits]
    return _joined(pieces, len(messages))


def _order(data: bytes | memoryview, encoding: str) -> str:
    return "<" if encoding == "ros1" or data[1] & 1 else ">"


class _Walk:
    """One pass over one message. A class, because offset and alignment move along."""

    def __init__(self, data: bytes | memoryview, *, encoding: str, where: str) -> None:
        self.data, self.where = data, where
        self.leaves: dict[str, Leaf] = {}
        self.words: list[tuple[int, int]] = []
        self.at, self.origin, self.align, self.order = 0, 0, 1, "<"
        self.terminator = 0
        if encoding == "ros1":
            return
        if len(data) < 4:
            raise DamagedData(where, f"a CDR message of {len(data)} bytes has no encapsulation header.")
        # OMG DDS-XTypes 1.3, table 60: 0/1 plain CDR (aligned to 8), 6/7 plain CDR2 (aligned to 4), odd is little.
        kind = data[1]
        if data[0] != 0 or kind not in (0, 1, 6, 7):
            raise Unsupported(f"{where}: CDR encapsulation {data[0]:#04x} {kind:#04x} is not read.")
        self.at = self.origin = 4
        self.align = 4 if kind in (6, 7) else 8
        self.order = "<" if kind & 1 else ">"
        self.words.append((0, 2))
        self.terminator = 1

    def message(self, fields: tuple[Field, ...], parts: Mapping[str, tuple[Field, ...]], path: str) -> None:
        """Walk the fields of one message.

        Raises:
            Unsupported: a wide text.
        """
        for field in fields:
            name = f"{path}.{field.name}" if path else field.name
            if field.type in NUMBERS:
                self._number(field, name)
            elif field.type == "string":
                self._text(field, name)
            elif field.type == "wstring":
                raise Unsupported(f"{self.where}: field {name!r} is a wide string.")
            elif field.length is None:
                self._messages(field, parts, name)
            elif field.is_array:
                for element in range(field.length):
                    self.message(parts[field.type], parts, f"{name}[{element}]")
            else:
                self.message(parts[field.type], parts, name)

    def _messages(self, field: Field, parts: Mapping[str, tuple[Field, ...]], name: str) -> None:
        """A list of messages: its fields are called `name{0}.x`, and differ from message to message."""
        count = self._length()
        # A message has one byte at least: a count that cannot fit is refused before the loop.
        self._need(count)
        for element in range(count):
            if len(self.leaves) > MAX_FIELDS:
                raise Unsupported(f"{self.where}: field {name!r} is a list of {count} messages.")
            self.message(parts[field.type], parts, f"{name}{{{element}}}")

    def _length(self) -> int:
        """The length word of a sequence or a text."""
        self._pad(4)
        self._need(4)
        (value,) = struct.unpack_from(self.order + "I", self.data, self.at)
        self.words.append((self.at, 4))
        self.at += 4
        return int(value)

    def _number(self, field: Field, name: str) -> None:
        count = self._length() if field.length is None else field.length
        code = NUMBERS[field.type]
        size = int(code[1:])
        if count:
            self._pad(size)
        self._need(count * size)
        self.leaves[name] = Leaf(code, self.at, count, field.is_array)
        self.at += count * size

    def _text(self, field: Field, name: str) -> None:
        count = self._length() if field.length is None else field.length
        # Each text has a length word of its own: a count that cannot fit is refused before the loop.
        self._need(count * 4)
        texts = []
        for _ in range(count):
            length = self._length()
            self._need(length)
            texts.append((self.at, max(length - self.terminator, 0)))
            self.at += length
        self.leaves[name] = Leaf(None, self.at, count, field.is_array, tuple(texts))

    def _pad(self, size: int) -> None:
        step = min(size, self.align)
        self.at += -(self.at - self.origin) % step

    def _need(self, count: int) -> None:
        if self.at + count > len(self.data):
            raise DamagedData(self.where, f"a message of {len(self.data)} bytes ends inside a field.")


def _same_words(matrix: NDArray[np.uint8], layout: Layout) -> NDArray[np.bool_]:
    """Which messages, (T,), have the same lengths at the same places."""
    fits = np.ones(len(matrix), np.bool_)
    for at, width in layout.words:
        fits &= (matrix[:, at : at + width] == matrix[0, at : at + width]).all(axis=1)
    return fits


def _read(matrix: NDArray[np.uint8], layout: Layout, order: str, where: str) -> dict[str, NDArray[Any]]:
    # Elements of lists of messages are no columns: the next message may have more of them, or none.
    return {name: _column(matrix, leaf, order, where) for name, leaf in layout.leaves.items() if "{" not in name}


def _column(matrix: NDArray[np.uint8], leaf: Leaf, order: str, where: str) -> NDArray[Any]:
    if leaf.dtype is None:
        return _texts(matrix, leaf, where)
    size = int(leaf.dtype[1:])
    block = np.ascontiguousarray(matrix[:, leaf.at : leaf.at + leaf.length * size])
    numbers = block.view(np.dtype(order + leaf.dtype)) if leaf.length else np.empty((len(matrix), 0), leaf.dtype)
    numbers = numbers.astype(leaf.dtype, copy=False)
    return numbers if leaf.is_array else numbers[:, 0]


def _texts(matrix: NDArray[np.uint8], leaf: Leaf, where: str) -> NDArray[Any]:
    column = np.empty(len(matrix), object)
    spans = [matrix[:, at : at + length] for at, length in leaf.texts]
    # Joint names and frames hardly ever change: one decoding serves all rows.
    if all((span == span[0]).all() for span in spans):
        parts = [_text(span[0].tobytes(), where) for span in spans]
        value = tuple(parts) if leaf.is_array else parts[0]
        for row in range(len(column)):
            column[row] = value
        return column
    for row in range(len(column)):
        parts = [_text(span[row].tobytes(), where) for span in spans]
        column[row] = tuple(parts) if leaf.is_array else parts[0]
    return column


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise DamagedData(where, f"a text is not UTF-8: {data[:16]!r}.") from None


def _joined(pieces: list[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]], count: int) -> Columns:
    """Columns of all pieces in the order of the messages; unequal lengths make a column of arrays."""
    if not pieces:
        return {}
    out: dict[str, NDArray[Any]] = {}
    for name in pieces[0][1]:
        parts = [columns[name] for _, columns in pieces]
        rows = [where for where, _ in pieces]
        out[name] = placed(parts, rows, count)
    return out


def placed(parts: Sequence[NDArray[Any]], rows: Sequence[NDArray[np.int64]], count: int) -> NDArray[Any]:
    """Parts of one column put at their rows."""
    if len({part.shape[1:] for part in parts}) == 1 and len({part.dtype for part in parts}) == 1:
        whole = np.empty((count, *parts[0].shape[1:]), parts[0].dtype)
        for part, row in zip(parts, rows, strict=True):
            whole[row] = part
        return whole
    ragged = np.empty(count, object)
    for part, row in zip(parts, rows, strict=True):
        for sample, at in zip(part, row, strict=True):
            ragged[at] = sample
    return ragged
