"""Messages of one topic as columns, with the messages that hold each: a field may be absent, null or of another kind.

JSON and protobuf promise nothing: a number is whole in one message and a fraction in the next, a list grows, a text
appears when something goes wrong. What a column is follows from all messages, never from the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.ros.decode import Columns, placed

_KIND = "\0"
"""Between a field and the kind of its values, until all messages are known: no field's name holds it."""
_NUMBER, _LIST, _TEXT, _BYTES = "number", "list", "text", "bytes"
_MAX_UNSIGNED = 2**64


class Table(NamedTuple):
    """Columns of some messages."""

    messages: int
    """How many, T."""
    columns: Columns
    rows: Mapping[str, NDArray[np.int64]]
    """Column -> messages that hold it, (n,) rising; a column that is not named here stands in every message."""

    @property
    def dense(self) -> Columns:
        """The columns that every message holds."""
        return {name: column for name, column in self.columns.items() if name not in self.rows}


def table_of(messages: Sequence[Mapping[str, Any]]) -> Table:
    """Parsed messages as columns; values of one field that differ in kind (number, list, text) are told apart.

    `settled` names the columns once all messages are known.
    """
    held: dict[str, tuple[list[int], list[Any]]] = {}
    for number, message in enumerate(messages):
        for name, value in message.items():
            if value is not None:
                numbers, values = held.setdefault(f"{name}{_KIND}{_kind(value)}", ([], []))
                numbers.append(number)
                values.append(value)
    columns = {name: _column(values, name.rpartition(_KIND)[2]) for name, (_, values) in held.items()}
    rows = {name: np.asarray(where, np.int64) for name, (where, _) in held.items() if len(where) < len(messages)}
    return Table(len(messages), columns, rows)


def joined(tables: Sequence[Table]) -> Table:
    """Tables of consecutive messages as one."""
    if len(tables) == 1:
        return tables[0]
    starts = [0, *itertools.accumulate(table.messages for table in tables)]
    columns: dict[str, NDArray[Any]] = {}
    rows: dict[str, NDArray[np.int64]] = {}
    for name in dict.fromkeys(name for table in tables for name in table.columns):
        holding = [(start, table) for start, table in zip(starts, tables, strict=False) if name in table.columns]
        where = [start + table.rows.get(name, np.arange(table.messages)) for start, table in holding]
        columns[name] = _end_to_end([table.columns[name] for _, table in holding])
        if len(columns[name]) < starts[-1]:
            rows[name] = np.concatenate(where).astype(np.int64)
    return Table(starts[-1], columns, rows)


def settled(table: Table) -> Table:
    """A table whose fields have their own names: of a field of several kinds the rarer ones say their kind."""
    kinds: dict[str, list[str]] = {}
    for name in table.columns:
        kinds.setdefault(name.partition(_KIND)[0], []).append(name)
    columns: dict[str, NDArray[Any]] = {}
    rows: dict[str, NDArray[np.int64]] = {}
    for field, names in kinds.items():
        merged = _without_empty_lists(table, names)
        for place, name in enumerate(sorted(merged, key=lambda n: -len(merged[n][1]))):
            where, columns_of_kind = merged[name]
            label = field if not place else f"{field}#{name.rpartition(_KIND)[2]}"
            columns[label] = columns_of_kind
            if len(columns_of_kind) < table.messages:
                rows[label] = where
    return Table(table.messages, columns, rows)


def reordered(table: Table, numbers: NDArray[np.int64]) -> Table:
    """The same messages in another order: `numbers` (T,) says which number each one gets."""
    columns, rows = {}, {}
    for name, column in table.columns.items():
        own = numbers if name not in table.rows else numbers[table.rows[name]]
        order = np.argsort(own)
        columns[name] = column[order]
        if name in table.rows:
            rows[name] = own[order]
    return Table(table.messages, columns, rows)


def _without_empty_lists(table: Table, names: Sequence[str]) -> dict[str, tuple[NDArray[np.int64], NDArray[Any]]]:
    """The columns of one field by kind; an empty list among lists of texts is one of them."""
    found = {name: (table.rows.get(name, np.arange(table.messages)), table.columns[name]) for name in names}
    lists = [name for name in names if name.endswith(f"{_KIND}{_LIST}")]
    texts = [name for name in names if name.endswith(f"{_KIND}{_TEXT}")]
    if not lists or not texts or any(len(value) for value in found[lists[0]][1]):
        return found
    (where, empty), (others, said) = found.pop(lists[0]), found[texts[0]]
    whole = np.empty(len(empty) + len(said), object)
    for row, value in enumerate([*[()] * len(empty), *said]):
        whole[row] = value
    numbers = np.concatenate([where, others])
    order = np.argsort(numbers)
    found[texts[0]] = (numbers[order], whole[order])
    return found


def _kind(value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        return _NUMBER
    if isinstance(value, np.ndarray):
        return _LIST
    if isinstance(value, list):
        return _LIST if all(v is None or isinstance(v, (bool, int, float)) for v in value) else _TEXT
    return _BYTES if isinstance(value, bytes) else _TEXT


def _column(values: Sequence[Any], kind: str) -> NDArray[Any]:
    if kind == _NUMBER:
        return _numbers(values)
    out = np.empty(len(values), object)
    for row, value in enumerate(values):
        if kind == _LIST:
            out[row] = np.asarray([_as_float(v) for v in value] if isinstance(value, list) else value, np.float64)
        elif isinstance(value, list):
            out[row] = tuple(str(v) for v in value)
        else:
            out[row] = value if isinstance(value, (str, bytes)) else str(value)
    is_matrix = kind == _LIST and len({sample.shape for sample in out}) == 1
    return np.stack(list(out)) if is_matrix else out


def _numbers(values: Sequence[bool | int | float]) -> NDArray[Any]:
    """One type that holds all of them: a fraction makes all of them fractions."""
    if all(isinstance(v, bool) for v in values):
        return np.asarray(values, np.bool_)
    if any(isinstance(v, float) for v in values):
        return np.asarray([_as_float(v) for v in values], np.float64)
    low, high = min(values), max(values)
    if low >= -(2**63) and high < 2**63:
        return np.asarray(values, np.int64)
    if low >= 0 and high < _MAX_UNSIGNED:
        return np.asarray([int(v) for v in values], np.uint64)
    return np.asarray([_as_float(v) for v in values], np.float64)


def _as_float(value: float | None) -> float:
    if value is None:
        return float("nan")  # JSON has no NaN: writers put null in its place.
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _end_to_end(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Parts of one column, one behind the other."""
    kinds = {part.dtype.kind for part in parts}
    if kinds <= set("biuf") and len({part.shape[1:] for part in parts}) == 1:
        is_unsigned = np.dtype(np.uint64) in {part.dtype for part in parts} and "f" not in kinds
        if is_unsigned and all(part.dtype.kind in "bu" or int(part.min(initial=0)) >= 0 for part in parts):
            return np.concatenate([part.astype(np.uint64) for part in parts])
        return np.concatenate(parts)
    ends = [0, *itertools.accumulate(len(part) for part in parts)]
    rows = [np.arange(a, b, dtype=np.int64) for a, b in itertools.pairwise(ends)]
    return placed(parts, rows, ends[-1])
