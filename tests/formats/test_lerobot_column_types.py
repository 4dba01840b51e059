"""Declared types, names and numbers of columns, beside what lies in the table."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from makers import lerobot_v3
from makers._lerobot_parts import write_json
from robokata.checks.metadata_contradicts_data import gather, judge
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.finding import Finding, Level
from robokata.core.source import Source
from robokata.core.stream import Kind

DATA = "data/chunk-000/file-000.parquet"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return lerobot_v3.make(tmp_path, episodes=1, steps=12)


def declare(path: Path, name: str, **feature: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    info["features"][name] = {**info["features"].get(name, {}), **feature}
    write_json(path / "meta/info.json", info)


def add(path: Path, name: str, cells: pa.Array) -> None:
    table = pq.read_table(path / DATA)
    pq.write_table(table.append_column(name, cells), path / DATA)


def findings(source: Source) -> list[tuple[Level, str]]:
    rows = [Gathered(key, gather(source.episode(key))) for key in source.keys()]
    return [(v.level, v.message.split(" (")[0]) for v in judge(rows, source.facts()) if isinstance(v, Finding)]


def test_pickled_numbers_under_a_number_type_are_an_error_and_stay_bytes(made: Path) -> None:
    cells = [pickle.dumps(np.zeros(7, np.float32)) for _ in range(12)]
    add(made, "arm.joints", pa.array(cells, pa.binary()))
    declare(made, "arm.joints", dtype="float32", shape=[7], names=None)
    source = open_source(made)
    assert findings(source) == [(Level.ERROR, "cells of arm.joints: bytes in the data, float32 in meta/info.json")]
    stream = source.episode("0").streams["arm.joints"]
    assert stream.kind is Kind.MESSAGE
    assert list(stream.values[:]) == cells


@pytest.mark.parametrize("cells", [["1.5"] * 12, ["open"] * 12])
def test_text_under_a_number_type_is_an_error(made: Path, cells: list[str]) -> None:
    add(made, "gripper", pa.array(cells))
    declare(made, "gripper", dtype="float32", shape=[1], names=None)
    assert findings(open_source(made)) == [
        (Level.ERROR, "cells of gripper: text in the data, float32 in meta/info.json")
    ]


def test_another_number_of_names_than_numbers_is_told(made: Path) -> None:
    declare(made, "action", names=["x", "y", "z"])
    ((_, message),) = findings(open_source(made))
    assert message == "names of action: 6 numbers in the data, 3 names in meta/info.json"


def test_one_name_for_a_vector_names_the_axis_as_openpi_writes_it(made: Path) -> None:
    declare(made, "action", names=["actions"])
    assert findings(open_source(made)) == []
    assert open_source(made).episode("0").stream("action").channels is None


def test_text_that_is_declared_as_text_is_silent(made: Path) -> None:
    add(made, "note", pa.array(["go"] * 12))
    declare(made, "note", dtype="string", shape=[1], names=None)
    assert findings(open_source(made)) == []


def test_a_row_without_a_text_is_no_row_with_an_empty_one(made: Path) -> None:
    add(made, "note", pa.array(["go", None, ""] * 4))
    declare(made, "note", dtype="string", shape=[1], names=None)
    episode = open_source(made).episode("0")
    note, action = episode.stream("note"), episode.stream("action")
    kept = [row for row in range(len(action)) if row % 3 != 1]
    assert list(note.values[:]) == [["go", None, ""][row % 3] for row in kept]
    assert list(note.clock.times_ns) == [action.clock.times_ns[row] for row in kept]
