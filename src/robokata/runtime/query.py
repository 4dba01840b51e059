"""SQL conditions on the table of episodes: what `--where` means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from robokata.core.errors import QueryRefused
from robokata.core.require import require
from robokata.core.source import EpisodeRow


def rows_where(rows: Sequence[EpisodeRow], where: str) -> list[EpisodeRow]:
    """Rows of the table of episodes that meet an SQL condition, in the dataset's order.

    Columns: id, steps, duration_s, instruction (the first), instructions, split, robot, success, session, file.

    Raises:
        QueryRefused: DuckDB does not accept the condition; the message lists the columns.
    """
    pyarrow, duckdb = require("pyarrow", extra="tables"), require("duckdb", extra="tables")
    schema = pyarrow.schema(
        [
            ("id", pyarrow.string()),
            ("steps", pyarrow.int64()),
            ("duration_s", pyarrow.float64()),
            ("instruction", pyarrow.string()),
            ("instructions", pyarrow.list_(pyarrow.string())),
            ("split", pyarrow.string()),
            ("robot", pyarrow.string()),
            ("success", pyarrow.bool_()),
            ("session", pyarrow.string()),
            ("file", pyarrow.string()),
            ("row_number", pyarrow.int64()),
        ]
    )
    cells = [
        {
            **{name: getattr(row, name) for name in schema.names if hasattr(row, name)},
            "instructions": list(row.instructions),
            "instruction": next(iter(row.instructions), None),
            "row_number": number,
        }
        for number, row in enumerate(rows)
    ]
    connection = duckdb.connect(config={"enable_external_access": False})
    try:
        connection.register("episodes", pyarrow.Table.from_pylist(cells, schema=schema))
        # `filter` parses one expression: pasted into a SELECT, a ")" would end the condition and start other SQL.
        table = connection.table("episodes").filter(f"({where}\n)")
        wanted = table.order("row_number").project("row_number").fetchall()
    except duckdb.Error as error:
        columns = ", ".join(name for name in schema.names if name != "row_number")
        raise QueryRefused(
            f"--where {where!r} is no condition on the table of episodes: {str(error).splitlines()[0]} "
            f"Columns: {columns}. Example: --where \"steps > 100 AND instruction LIKE '%cup%'\""
        ) from None
    finally:
        connection.close()
    return [rows[number] for (number,) in wanted]


def unknown_columns(rows: Sequence[EpisodeRow], where: str) -> list[str]:
    """Columns that a condition names and of which the index says nothing: no episode can meet it then."""
    said = {name for row in rows for name, value in vars(row).items() if value not in (None, ())}
    said |= {"instruction"} & {name.removesuffix("s") for name in said}
    names = ("steps", "duration_s", "instruction", "instructions", "split", "robot", "success", "session", "file")
    return [name for name in names if name not in said and re.search(rf"\b{name}\b", where, re.IGNORECASE)]
