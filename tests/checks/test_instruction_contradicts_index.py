"""Task numbers of rows beside the list of episodes, in datasets whose files disagree."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from makers import lerobot_v3
from makers._lerobot_parts import TEXTS
from robokata.checks.instruction_contradicts_index import gather, judge
from robokata.conversion.convert import convert
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.finding import Finding, Level
from robokata.core.source import Source

INDEX = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return lerobot_v3.make(tmp_path, episodes=3, steps=12)


def rename(path: Path, *tasks: str) -> None:
    table = pq.read_table(path / INDEX)
    at = table.column_names.index("tasks")
    pq.write_table(table.set_column(at, "tasks", pa.array([[task] for task in tasks])), path / INDEX)


def findings(source: Source) -> list[Finding]:
    rows = [Gathered(key, gather(source.episode(key))) for key in source.keys()]
    return [verdict for verdict in judge(rows, source.facts()) if isinstance(verdict, Finding)]


def false(source: Source) -> dict[str, str]:
    return {d.subject: str(d.found) for d in source.facts().declarations if not d.holds}


def test_a_list_that_agrees_with_the_rows_is_silent(made: Path) -> None:
    assert findings(open_source(made)) == []
    assert false(open_source(made)) == {}


def test_a_task_that_no_table_has_is_told_and_the_rows_decide(made: Path) -> None:
    rename(made, TEXTS[0], "fold the towel", TEXTS[2])
    source = open_source(made)
    (finding,) = findings(source)
    assert (finding.level, finding.episode) == (Level.ERROR, "1")
    assert finding.message == (
        f"the list of episodes names 'fold the towel', and the rows point to {TEXTS[1]!r}: 1 of 3 episodes (1)"
    )
    assert false(source) == {"tasks that meta/episodes names": "1 are not there ('fold the towel')"}
    assert [i.text for i in source.episode("1").instructions] == [TEXTS[1]]


def test_two_tasks_that_change_places_are_told_although_the_table_has_both(made: Path) -> None:
    rename(made, TEXTS[1], TEXTS[0], TEXTS[2])
    assert len(findings(open_source(made))) == 2
    assert false(open_source(made)) == {}


@pytest.mark.parametrize("target", ["lerobot_v2", "lerobot_v3"])
def test_a_copy_keeps_what_the_rows_say_and_contradicts_itself_no_more(made: Path, tmp_path: Path, target: str) -> None:
    rename(made, "fold the towel", "fold the towel", "fold the towel")
    convert(open_source(made), tmp_path / "out", target)
    copy = open_source(tmp_path / "out")
    assert findings(copy) == []
    assert [copy.episode(key).instructions[0].text for key in copy.keys()] == list(TEXTS)


def test_a_table_of_tasks_in_another_order_is_told_because_lerobot_goes_by_rows(made: Path) -> None:
    file = made / "meta/tasks.parquet"
    table = pq.read_table(file)
    pq.write_table(table.take(pa.array([1, 0, 2])), file)
    assert false(open_source(made)) == {"row of task 1": "0"}
    assert findings(open_source(made)) == []


def test_a_task_number_that_the_table_lacks_is_told(made: Path) -> None:
    file = made / "meta/tasks.parquet"
    pq.write_table(pq.read_table(file).slice(0, 2), file)
    assert false(open_source(made))["numbers in task_index"] == "2 not there"
