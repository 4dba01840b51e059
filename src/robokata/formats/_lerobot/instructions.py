"""What the robot was asked to do, from the columns of task numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.parquet import ParquetRows, guarded
from robokata.core.clock import NS_PER_S, Clock
from robokata.core.episode import Instruction
from robokata.core.errors import RobokataError
from robokata.core.source import Declaration, EpisodeRow
from robokata.core.stream import Kind
from robokata.formats._lerobot.facts import is_there
from robokata.formats._lerobot.streams import EpisodeRows, column_spec


def tasks_of_table(parquet: ParquetRows, file: Path) -> Mapping[int, str]:
    """Texts by task_index; empty where there is no table. Writers that go through pandas keep the text as the frame's
    index.

    Raises:
        DamagedData: the table cannot be read.
    """
    if not is_there(file):
        return {}
    known = parquet.columns(file)
    text = next((name for name in ("task", "__index_level_0__") if name in known), None)
    if text is None or "task_index" not in known:
        return {}
    table = parquet.rows(file, 0, parquet.count(file), ("task_index", text))
    cells = guarded(file, lambda: {name: table.column(name).to_pylist() for name in ("task_index", text)})
    pairs = zip(cells["task_index"], cells[text], strict=True)
    return {number: words for number, words in pairs if isinstance(number, int) and isinstance(words, str)}


def task_declarations(
    parquet: ParquetRows,
    files: Sequence[Path],
    tasks: Mapping[int, str],
    rows: Iterable[EpisodeRow],
    *,
    index: str,
    table: str,
) -> Iterator[Declaration]:
    """The list of episodes, the table of tasks and the rows' task numbers beside each other, from footers alone."""
    if not tasks:
        return
    known, listed = set(tasks.values()), dict.fromkeys(text for row in rows for text in row.instructions)
    absent = [text for text in listed if text not in known]
    found = "there" if not absent else f"{len(absent)} are not there ({absent[0]!r})"
    yield Declaration(f"tasks that {index} names", "there", found, table, "their rows have other instructions")
    numbers = [number for file in files for number in _extremes(parquet, file)]
    lost = sorted({number for number in numbers if number not in tasks})
    found = "there" if not lost else f"{', '.join(map(str, lost))} not there"
    yield Declaration("numbers in task_index", "there", found, table, "loaders end with an error there")
    order = list(tasks)
    if order != sorted(order) or (order and order[-1] != len(order) - 1):
        first = next(at for at, number in enumerate(order) if number != at)
        hint = "LeRobot looks a task up by its row, and gives the rows other instructions"
        yield Declaration(f"row of task {order[first]}", order[first], first, table, hint)


def _extremes(parquet: ParquetRows, file: Path) -> Iterator[int]:
    """Lowest and highest task number of each row group that says so."""
    try:
        chunks = guarded(file, lambda: _statistics(parquet.file(file).metadata))
    except RobokataError:
        return
    yield from (int(number) for number in chunks if isinstance(number, int))


def _statistics(metadata: Any) -> list[Any]:
    out = []
    for group in (metadata.row_group(number) for number in range(metadata.num_row_groups)):
        for column in (group.column(number) for number in range(metadata.num_columns)):
            told = column.statistics if column.path_in_schema == "task_index" else None
            out += [told.min, told.max] if told is not None and told.has_min_max else []
    return out


def instructions_of(
    indices: NDArray[np.int64], texts: Mapping[int, str], *, clock: Clock, source: str
) -> Iterator[Instruction]:
    """Texts that a column of task numbers points to, (T,); with spans where the number changes in the episode."""
    starts = np.flatnonzero(np.diff(indices, prepend=indices[:1] - 1))
    if len(starts) <= 1:
        if len(starts) and int(indices[0]) in texts:
            yield Instruction(texts[int(indices[0])], source=source)
        return
    times_s = (clock.times_ns - clock.times_ns.min()) / NS_PER_S
    for start, end in zip(starts, [*starts[1:], len(indices) - 1], strict=True):
        text = texts.get(int(indices[start]))
        if text is not None:
            yield Instruction(text, float(times_s[start]), float(times_s[end]), source=source)


def all_instructions(rows: EpisodeRows, texts: Mapping[int, str], clock: Clock) -> list[Instruction]:
    """Every text that the columns of task numbers of an episode point to, those of task_index first.

    A GR00T column like annotation.human.validity points to texts as well ("valid"): it is kept with its column as
    the source, because the file does not say which of its columns are instructions.
    """
    found: list[Instruction] = []
    for name, kind in rows.known.items():
        is_index = name == "task_index" or name.startswith("annotation.")
        spec = column_spec(kind, {})
        if is_index and spec.kind is Kind.TENSOR and spec.dtype.kind in "iu" and rows.count:
            found += instructions_of(rows.integers(name), texts, clock=clock, source=name)
    # task_index first: it is what training reads.
    return sorted(found, key=lambda instruction: instruction.source != "task_index")
