"""Language columns of LeRobot: lists of records that stay columns, and whose subtasks are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import makers.lerobot_v3 as maker
from robokata.conversion.convert import convert
from robokata.core.detection import open_source

ENTRY = [("role", pa.string()), ("content", pa.string()), ("style", pa.string())]
TIMED = pa.list_(pa.struct([*ENTRY, ("timestamp", pa.float32()), ("tool_calls", pa.list_(pa.string()))]))
EVENTS = pa.list_(pa.struct(ENTRY))
TYPES = {"language_persistent": TIMED, "language_events": EVENTS, "hints": pa.list_(pa.string())}
STEPS = 12


def entry(content: str | None, style: str, time_s: float) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, "style": style}
    return {**said, "timestamp": time_s, "tool_calls": ['{"name": "say"}'] if style == "plan" else None}


def cells(name: str) -> list[Any]:
    if name == "language_persistent":
        said = [
            entry("reach", "subtask", 0.0),
            entry("lift", "subtask", 0.25),
            entry("1. reach 2. lift", "plan", 0.125),
        ]
        return [said] * STEPS
    if name == "language_events":
        words = {"role": "user", "content": "no, the blue one: Käse", "style": "interjection"}
        return [[words] if row == 4 else [] if row % 2 else None for row in range(STEPS)]
    return [["left"] * (row % 3) for row in range(STEPS)]


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """A LeRobot v3 dataset of one episode with nested columns, written by pyarrow."""
    path = maker.make(tmp_path, episodes=1, steps=STEPS)
    (file,) = path.glob("data/*/*.parquet")
    table = pq.read_table(file)
    info = json.loads((path / "meta" / "info.json").read_text())
    for name, kind in TYPES.items():
        table = table.append_column(name, pa.array(cells(name), kind))
        dtype = "language" if name.startswith("language") else "string"
        info["features"][name] = {"dtype": dtype, "shape": [1], "names": None}
    pq.write_table(table, file)
    (path / "meta" / "info.json").write_text(json.dumps(info))
    return path


def table_of(path: Path) -> pa.Table:
    (file,) = path.glob("data/*/*.parquet")
    return pq.read_table(file)


@pytest.mark.parametrize(
    "way", [("lerobot_v3",), ("lerobot_v2",), ("lerobot_v2", "lerobot_v3"), ("mcap", "lerobot_v3")]
)
def test_nested_columns_stay_columns_of_the_same_type_and_cells(
    way: tuple[str, ...], spoken: Path, tmp_path: Path
) -> None:
    path = spoken
    for number, name in enumerate(way):
        convert(open_source(path), tmp_path / str(number), name)
        path = tmp_path / str(number)
    table, features = table_of(path), json.loads((path / "meta" / "info.json").read_text())["features"]
    for name, kind in TYPES.items():
        assert table.schema.field(name).type == kind
        assert table[name].to_pylist() == cells(name)
        assert features[name]["dtype"] in ("language", "string")


def test_what_is_said_of_spans_is_shown_from_its_time_to_the_next_of_its_style(spoken: Path) -> None:
    said = open_source(spoken).episode("0").annotations
    end_s = said[1].end_s
    assert [(a.label, a.start_s, a.end_s, a.source) for a in said] == [
        ("reach", 0.0, 0.25, "language_persistent: subtask"),
        ("1. reach 2. lift", 0.125, end_s, "language_persistent: plan"),
        ("lift", 0.25, end_s, "language_persistent: subtask"),
    ]
    assert end_s > 0.25
