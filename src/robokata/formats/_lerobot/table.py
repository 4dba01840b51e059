"""Rows of a LeRobot dataset as Parquet that the `datasets` library reads with the right types."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require
from robokata.formats._lerobot.nested import DTYPES, Nested, hf_feature, nested_array
from robokata.formats._lerobot.statistics import QUANTILES

_IMAGE = {"_type": "Image"}
_ARRAY_BYTES = 2**30
"""Pictures in one Arrow array."""
EPISODES_PER_ROW_GROUP = 100
"""Rows of the table of episodes that wait to be written: with statistics of 44 channels they take 5 MB."""


class Cells(NamedTuple):
    """The encoded pictures of one column, one per row, in a file: an episode of them is too much to hand around."""

    file: Path
    ends: NDArray[np.int64]
    """Byte behind each picture, (R,)."""
    names: Sequence[str]

    def done(self) -> None:
        """Delete the file."""
        self.file.unlink(missing_ok=True)


def write_cells(pictures: Iterable[bytes], names: Sequence[str], folder: Path) -> Cells:
    """Pictures of all rows as cells, in a new file in `folder`."""
    handle, name = tempfile.mkstemp(suffix=".cells", dir=folder)
    sizes = []
    with os.fdopen(handle, "wb") as out:
        for data in pictures:
            sizes.append(len(data))
            out.write(data)
    return Cells(Path(name), np.cumsum(sizes, dtype=np.int64), names)


def arrow_table(columns: Mapping[str, NDArray[Any] | Cells | Nested], *, list_type: str) -> Any:
    """Columns as an Arrow table with the `huggingface` schema; `list_type` is the library's word for lists.

    `datasets` 4 calls them `List`, those before `Sequence`.
    """
    pyarrow = require("pyarrow", extra="tables")
    table = pyarrow.table({name: _arrow_column(pyarrow, column) for name, column in columns.items()})
    features = {
        name: hf_feature(table.schema.field(name).type, list_type)
        if isinstance(column, Nested)
        else _hf_feature(column, list_type)
        for name, column in columns.items()
    }
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
            columns = [
                _nested(self._pyarrow, [row.get(field.name) for row in self._rows], field.type)
                for field in self._schema
            ]
            self._writer.write_table(self._pyarrow.Table.from_arrays(columns, schema=self._schema))
            self._rows = []


def _nested(pyarrow: Any, cells: Sequence[Any], kind: Any) -> Any:
    """Cells of one column, None where a row has none, as Arrow arrays of lists of lists of numbers or texts."""
    types = require("pyarrow.types", extra="tables")
    if types.is_list(kind):
        ends = np.cumsum([0, *(0 if cell is None else len(cell) for cell in cells)]).astype(np.int32)
        inside = _nested(pyarrow, [item for cell in cells if cell is not None for item in cell], kind.value_type)
        return pyarrow.Array.from_buffers(
            kind, len(cells), [_validity(pyarrow, cells), pyarrow.py_buffer(ends)], children=[inside]
        )
    if types.is_string(kind):
        return _texts(pyarrow, cells)
    numbers = np.asarray([0 if cell is None else cell for cell in cells], kind.to_pandas_dtype())
    return pyarrow.Array.from_buffers(kind, len(cells), [_validity(pyarrow, cells), pyarrow.py_buffer(numbers)])


def _validity(pyarrow: Any, cells: Sequence[Any]) -> Any:
    """Arrow's bitmap of the cells that are there; None where all are."""
    is_there = np.asarray([cell is not None for cell in cells], bool)
    return None if is_there.all() else pyarrow.py_buffer(np.packbits(is_there, bitorder="little"))


def _texts(pyarrow: Any, texts: Sequence[str]) -> Any:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    data = [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(texts), data)


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
        if feature["dtype"] in DTYPES:
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
    table = pyarrow.table({"task_index": _leaf(pyarrow, numbers), "task": _texts(pyarrow, tasks)})
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


def _arrow_column(pyarrow: Any, column: NDArray[Any] | Cells | Nested) -> Any:
    if isinstance(column, Nested):
        array = nested_array(column)
        assert array is not None, "the plan has made the same array before"
        return array
    if isinstance(column, Cells):
        return _picture_column(pyarrow, column)
    if column.dtype == object:
        return pyarrow.array(column.tolist(), pyarrow.string())
    flat = np.ascontiguousarray(column).reshape(-1).astype(column.dtype.newbyteorder("="), copy=False)
    leaf = _leaf(pyarrow, flat)
    if column.ndim == 2:
        return pyarrow.FixedSizeListArray.from_arrays(leaf, column.shape[1])
    # More axes as plain lists: that is how `datasets` itself stores Array2D .. Array5D.
    for axis in range(column.ndim - 1, 0, -1):
        count = int(np.prod(column.shape[:axis]))
        offsets = np.arange(count + 1, dtype=np.int32) * column.shape[axis]
        leaf = pyarrow.ListArray.from_arrays(_leaf(pyarrow, offsets), leaf)
    return leaf


def _leaf(pyarrow: Any, flat: NDArray[Any]) -> Any:
    """Numbers as they lie in memory. `pyarrow.array` asks pandas whether it knows them, 0.3 s per process."""
    if flat.dtype.kind not in "iuf" or not len(flat):
        return pyarrow.array(flat)
    return pyarrow.Array.from_buffers(pyarrow.from_numpy_dtype(flat.dtype), len(flat), [None, pyarrow.py_buffer(flat)])


def _picture_column(pyarrow: Any, cells: Cells) -> Any:
    """Encoded pictures as `datasets` stores them, out of the file without a copy."""
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    with cells.file.open("rb") as file:
        data = pyarrow.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if cells.ends[-1] else b"")
    pieces, start = [], 0
    while start < len(cells.ends):
        before = int(cells.ends[start - 1]) if start else 0
        # Arrow's offsets within one array are 32 bits wide.
        end = max(start + 1, int(np.searchsorted(cells.ends, before + _ARRAY_BYTES, side="right")))
        offsets = np.concatenate([[0], cells.ends[start:end] - before]).astype(np.int32)
        here = data.slice(before, int(cells.ends[end - 1]) - before)
        binary = pyarrow.Array.from_buffers(pyarrow.binary(), end - start, [None, pyarrow.py_buffer(offsets), here])
        names = _texts(pyarrow, cells.names[start:end])
        pieces.append(pyarrow.StructArray.from_arrays([binary, names], fields=list(kind)))
        start = end
    return pyarrow.chunked_array(pieces, kind)


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
