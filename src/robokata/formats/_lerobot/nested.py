"""Columns of lists and records (language, subtasks) as JSON, and back into the columns that they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Annotation
from robokata.core.errors import DamagedData
from robokata.core.require import require
from robokata.core.stream import Kind, Stream

COLUMN = "column"
"""Key of a stream's `extra` under which we keep what the column was: its declared dtype and shape, its Arrow schema."""
DTYPES = ("language", "string")
"""Declared dtypes whose columns may be nested."""
_PERSISTENT = "language_persistent"
"""LeRobot 0.6: every row holds all that is said over the episode, each with its time."""


class Nested(NamedTuple):
    """A nested column of one episode: JSON per row, and the Arrow schema of the column that it becomes."""

    cells: NDArray[Any]
    schema: bytes


def column_facts(arrow_type: Any, feature: Mapping[str, Any]) -> dict[str, Any]:
    """What a writer needs to make the same column again; empty where the column is not declared as nested."""
    types = require("pyarrow.types", extra="tables")
    if feature.get("dtype") not in DTYPES or not types.is_nested(arrow_type):
        return {}
    pyarrow = require("pyarrow", extra="tables")
    schema = pyarrow.schema([("cell", arrow_type)]).serialize().to_pybytes()
    return {COLUMN: {"dtype": feature["dtype"], "shape": feature.get("shape"), "schema": schema}}


def facts_of(stream: Stream) -> Mapping[str, Any] | None:
    """What was kept of the nested column that a stream comes from; None where it comes from none."""
    facts = stream.extra.get(COLUMN)
    is_known = isinstance(facts, Mapping) and isinstance(facts.get("schema"), bytes) and facts.get("dtype") in DTYPES
    return facts if is_known and stream.kind is Kind.MESSAGE and not stream.shape else None


def cell_json(cell: Any) -> bytes:
    """One cell as JSON."""
    return json.dumps(cell, default=str).encode()


def nested_array(column: Nested) -> Any | None:
    """The Arrow array of a nested column; None where JSON does not hold every cell of it exactly."""
    pyarrow = require("pyarrow", extra="tables")
    try:
        kind = pyarrow.ipc.read_schema(pyarrow.py_buffer(column.schema)).field("cell").type
        array = pyarrow.array([json.loads(cell) for cell in column.cells], kind)
        is_same = all(cell_json(cell.as_py()) == said for cell, said in zip(array, column.cells, strict=True))
    except (pyarrow.ArrowException, ValueError, TypeError, KeyError, OSError):
        return None
    return array if is_same else None


def hf_feature(kind: Any, list_type: str) -> Any:
    """The `datasets` feature of a nested Arrow type."""
    types = require("pyarrow.types", extra="tables")
    if types.is_struct(kind):
        return {field.name: hf_feature(field.type, list_type) for field in kind}
    if types.is_list(kind) or types.is_large_list(kind):
        return {"feature": hf_feature(kind.value_type, list_type), "_type": list_type}
    name = "string" if types.is_string(kind) or not types.is_primitive(kind) else str(kind)
    return {
        "dtype": {"float": "float32", "double": "float64", "halffloat": "float16"}.get(name, name),
        "_type": "Value",
    }


def subtasks_of(streams: Sequence[Stream]) -> tuple[Annotation, ...]:
    """What LeRobot's language column says of spans of the episode (subtasks, plans), each from its time to the next."""
    said = next((s for s in streams if s.name == _PERSISTENT and s.kind is Kind.MESSAGE and len(s)), None)
    if said is None:
        return ()
    try:
        cells = json.loads(said.values[0].item())
        end_s = float(said.clock.times_ns[-1] - said.clock.times_ns[0]) / NS_PER_S
    except (DamagedData, ValueError, TypeError, RecursionError):
        return ()  # unreadable_data tells
    entries = [entry for entry in cells if _is_timed(entry)] if isinstance(cells, list) else []
    return tuple(_spans(sorted(entries, key=lambda entry: float(entry["timestamp"])), end_s))


def _is_timed(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
        return False
    time_s = entry.get("timestamp")
    return isinstance(time_s, (int, float)) and bool(np.isfinite(time_s))


def _spans(entries: Iterable[Mapping[str, Any]], end_s: float) -> Iterator[Annotation]:
    """Each entry holds until the next of its own style."""
    listed = list(entries)
    for at, entry in enumerate(listed):
        style, start_s = entry.get("style"), float(entry["timestamp"])
        later = (float(e["timestamp"]) for e in listed[at + 1 :] if e.get("style") == style)
        until_s = next((time_s for time_s in later if time_s > start_s), max(end_s, start_s))
        yield Annotation(entry["content"], start_s, until_s, source=f"{_PERSISTENT}: {style or 'no style'}")
