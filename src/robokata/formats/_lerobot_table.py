"""Rows of a LeRobot dataset as Parquet that the `datasets` library reads with the right types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require
from robokata.formats._lerobot_statistics import QUANTILES

_IMAGE = {"_type": "Image"}
EPISODES_PER_ROW_GROUP = 100
"""Rows of the table of episodes that wait to be written: with statistics of 44 channels they take 5 MB."""


class Cells(NamedTuple):
    """The encoded pictures of one column, one per row."""

    data: Sequence[bytes]
    names: Sequence[str]


def arrow_table(columns: Mapping[str, NDArray[Any] | Cells], *, list_type: str) -> Any:
    """Columns as an Arrow table with the `huggingface` schema; `list_type` is the library's word for lists.

    `datasets` 4 calls them `List`, those before `Sequence`.
    """
    pyarrow = require("pyarrow", extra="tables")
    table = pyarrow.table({name: _arrow_column(pyarrow, column) for name, column in columns.items()})
    features = {name: _hf_feature(column, list_type) for name, column in columns.items()}
    return table.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}}).encode()})


def open_table(path: Path, table: Any) -> Any:
    """A Parquet file for tables of the same schema."""
    parquet = require("pyarrow.parquet", extra="tables")
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [name for name in table.column_names if "string" in str(table.schema.field(name).type)]
    pictures = {f"{n}.bytes" for n in table.column_names if str(table.schema.field(n).type).startswith("struct")}
    leaves = _leaves(table.schema)
    # Dictionaries pay for what repeats; encoded pictures do not get smaller by packing them again.
    packed = {leaf: "NONE" if leaf in pictures else "SNAPPY" for leaf in leaves}
    repeats = [name for name in ("episode_index", "task_index", *texts) if name in table.column_names]
    return parquet.ParquetWriter(
        path, table.schema, compression=packed, use_dictionary=repeats or False, write_page_checksum=True
    )


class EpisodesTable:
    """The table of episodes, written as they come. A class, because rows wait until they fill a row group.

    The columns follow from the features: an episode that lacks a cell leaves it empty.
    """

    def __init__(self, path: Path, features: Mapping[str, Mapping[str, Any]]) -> None:
        pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = pyarrow.schema(_episode_fields(pyarrow, features))
        self._pyarrow, self._rows = pyarrow, list[Mapping[str, Any]]()
        self._writer = parquet.ParquetWriter(path, self._schema, write_page_checksum=True)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one episode."""
        self._rows.append(row)
        if len(self._rows) == EPISODES_PER_ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._writer.close()

    def give_up(self) -> None:
        """Leave the file as it is."""
        self._writer.is_open = False

    def _flush(self) -> None:
        if self._rows:
            cells = {name: [row.get(name) for row in self._rows] for name in self._schema.names}
            self._writer.write_table(self._pyarrow.table(cells, schema=self._schema))
            self._rows = []


def _episode_fields(pyarrow: Any, features: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any]]:
    whole, number, texts = pyarrow.int64(), pyarrow.float64(), pyarrow.list_(pyarrow.string())
    fields = [("episode_index", whole), ("tasks", texts), ("length", whole)]
    fields += [(name, whole) for name in ("dataset_from_index", "dataset_to_index")]
    fields += [(f"data/{name}", whole) for name in ("chunk_index", "file_index")]
    for name, feature in features.items():
        if feature["dtype"] == "video":
            fields += [(f"videos/{name}/{part}", whole) for part in ("chunk_index", "file_index")]
            fields += [(f"videos/{name}/{part}", number) for part in ("from_timestamp", "to_timestamp")]
    for name, feature in features.items():
        if feature["dtype"] == "string":
            continue
        cell = number
        # Statistics of pictures are (C, 1, 1), of numbers as the feature.
        for _ in feature["shape"]:
            cell = pyarrow.list_(cell)
        fields += [(f"stats/{name}/{quantity}", cell) for quantity in ("min", "max", "mean", "std", *QUANTILES)]
        fields.append((f"stats/{name}/count", pyarrow.list_(whole)))
    return [*fields, ("meta/episodes/chunk_index", whole), ("meta/episodes/file_index", whole)]


def write_tasks_table(path: Path, tasks: Sequence[str]) -> None:
    """The table that LeRobot reads with pandas: the task text is the frame's index."""
    pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
    numbers = np.arange(len(tasks), dtype=np.int64)
    table = pyarrow.table({"task_index": numbers, "task": pyarrow.array(list(tasks), pyarrow.string())})
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [{"name": None, "field_name": None, **text, "metadata": {"encoding": "UTF-8"}}],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number},
            {"name": "task", "field_name": "task", **text},
        ],
        "pandas_version": "2.2.0",
    }
    parquet.write_table(table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()}), path)


def _arrow_column(pyarrow: Any, column: NDArray[Any] | Cells) -> Any:
    if isinstance(column, Cells):
        kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        data = pyarrow.array(column.data, pyarrow.binary())
        return pyarrow.StructArray.from_arrays([data, pyarrow.array(column.names, pyarrow.string())], fields=list(kind))
    if column.dtype == object:
        return pyarrow.array(column.tolist(), pyarrow.string())
    flat = np.ascontiguousarray(column).reshape(-1).astype(column.dtype.newbyteorder("="), copy=False)
    leaf = pyarrow.array(flat)
    if column.ndim == 2:
        return pyarrow.FixedSizeListArray.from_arrays(leaf, column.shape[1])
    # More axes as plain lists: that is how `datasets` itself stores Array2D .. Array5D.
    for axis in range(column.ndim - 1, 0, -1):
        count = int(np.prod(column.shape[:axis]))
        offsets = np.arange(count + 1, dtype=np.int32) * column.shape[axis]
        leaf = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), leaf)
    return leaf


def _hf_feature(column: NDArray[Any] | Cells, list_type: str) -> dict[str, Any]:
    if isinstance(column, Cells):
        return dict(_IMAGE)
    if column.dtype == object:
        return {"dtype": "string", "_type": "Value"}
    value = {"dtype": column.dtype.name, "_type": "Value"}
    if column.ndim == 1:
        return value
    if column.ndim == 2:
        return {"feature": value, "length": column.shape[1], "_type": list_type}
    return {"shape": list(column.shape[1:]), "dtype": column.dtype.name, "_type": f"Array{column.ndim - 1}D"}


def _leaves(schema: Any) -> list[str]:
    """Paths of the Parquet columns: what settings per column are keyed by."""
    paths = []
    for field in schema:
        kind, path = field.type, field.name
        while str(kind).startswith(("list<", "fixed_size_list<")):
            kind, path = kind.value_type, f"{path}.list.element"
        paths += [f"{path}.{child.name}" for child in kind] if str(kind).startswith("struct") else [path]
    return paths
