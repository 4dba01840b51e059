"""Tests of the survey: what `kata look` says, and which conditions on episodes it accepts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.core.episode import Embodiment
from robokata.core.errors import QueryRefused
from robokata.core.leaf_kinds import readable_formats, writable_formats
from robokata.core.source import EpisodeList, EpisodeRow, Facts
from robokata.core.values import ArrayValues
from robokata.runtime.query import rows_where
from robokata.survey.dataset_survey import survey, survey_episode
from robokata.testing import tiny_episode, tiny_source

ROWS = [
    EpisodeRow("0", steps=100, duration_s=2.0, instructions=("pick up the cup", "put it down"), split="train"),
    EpisodeRow("1", steps=300, duration_s=6.0, instructions=("open the drawer",), split="val", success=True),
    EpisodeRow("2", robot="aloha", session="monday", file="data/2.parquet"),
]
COLUMNS = "id, steps, duration_s, instruction, instructions, split, robot, success, session, file"


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("steps > 100", ["1"]),
        ("steps >= 100 AND instruction LIKE '%cup%'", ["0"]),
        ("list_contains(instructions, 'put it down')", ["0"]),
        ("duration_s IS NULL", ["2"]),
        ("split = 'val' OR robot = 'aloha'", ["1", "2"]),
        ("success", ["1"]),
        ("session = 'monday' AND file LIKE 'data/%' AND id = '2'", ["2"]),
        ("false", []),
        ("true", ["0", "1", "2"]),
    ],
)
def test_a_condition_may_use_every_column(where: str, ids: list[str]) -> None:
    assert [row.id for row in rows_where(ROWS, where)] == ids


@pytest.mark.parametrize("where", ["stepz > 1", "steps >", "", "steps > 1; DROP TABLE episodes"])
def test_a_condition_that_is_none_is_refused_with_the_columns(where: str) -> None:
    with pytest.raises(QueryRefused) as caught:
        rows_where(ROWS, where)
    assert str(caught.value).startswith(f"--where {where!r} is no condition on the table of episodes: ")
    assert str(caught.value).endswith(
        f" Columns: {COLUMNS}. Example: --where \"steps > 100 AND instruction LIKE '%cup%'\""
    )


@pytest.mark.parametrize(
    "where",
    [
        "id IN (SELECT column0 FROM read_csv('/etc/passwd'))",
        "EXISTS (SELECT * FROM read_text('/etc/passwd'))",
        "EXISTS (SELECT * FROM '/etc/passwd')",
        "true); COPY episodes TO '/tmp/robokata_stolen.csv'; SELECT (1",
    ],
)
def test_a_condition_reads_and_writes_no_files(where: str) -> None:
    with pytest.raises(QueryRefused):
        rows_where(ROWS, where)
    assert not Path("/tmp/robokata_stolen.csv").exists()


def test_no_episodes_is_an_answer() -> None:
    assert rows_where([], "steps > 1") == []
    empty = survey(EpisodeList([]))
    assert (empty.episodes, empty.selected_episodes, empty.steps, empty.hours) == (0, 0, 0, 0)
    assert (empty.streams, empty.instructions, empty.unreadable) == ((), {}, {})


def test_a_condition_that_leaves_nothing_is_an_answer() -> None:
    view = survey(tiny_source(3, duration_s=0.4), where="steps > 9999")
    assert (view.episodes, view.selected_episodes, view.steps, view.splits, view.streams) == (3, 0, 0, {}, ())


def test_what_is_unknown_is_none_and_what_is_known_is_counted() -> None:
    view = survey(tiny_source(3, duration_s=0.4))
    state = view.streams[0]
    assert (state.name, state.unit, state.meaning, state.shape) == ("observation.state", None, {}, (6,))
    assert state.rate_hz == pytest.approx(50, rel=0.02)
    assert (view.licence, view.total_bytes, view.steps) == (None, None, 60)
    assert (view.splits, view.outcomes) == ({"train": 2, "val": 1}, {"success": 3})
    json.dumps(view.to_json(), allow_nan=False)


def test_one_episode_goes_one_level_down() -> None:
    view = survey_episode(tiny_source(2, duration_s=0.4), "1")
    assert (view.id, view.robot, view.success, view.declared_steps) == ("1", "tiny_arm", True, 20)
    assert view.streams[0].samples == 20
    assert view.duration_s == pytest.approx(0.38, abs=0.02)


def test_streams_that_only_share_a_name_are_not_shown_as_one() -> None:
    first, second = tiny_episode(0), tiny_episode(1)
    action = second.streams["action"]
    narrow = replace(action.with_values(ArrayValues(action.table[:, :3])), channels=None)
    streams = {name: s for name, s in second.with_stream(narrow).streams.items() if not s.is_picture}
    view = survey(EpisodeList([first, replace(second, streams=streams)]))
    by_name = {stream.name: stream for stream in view.streams}
    assert by_name["action"].problem == "not one stream: its shape is [6] in some episodes and [3] in others"
    assert by_name["observation.state"].problem is None
    cameras = [stream for stream in view.streams if stream.kind in ("image", "video")]
    assert {camera.sampled_in for camera in cameras} == {"1 of 2"}


def test_what_only_the_episodes_say_of_robot_and_rate_is_shown(tmp_path: Path) -> None:
    robot = Embodiment(name="so100")
    source = EpisodeList([replace(tiny_episode(n, duration_s=1.0), embodiment=robot) for n in range(2)])
    for name in writable_formats():
        if name in readable_formats():
            convert(source, tmp_path / name, name, accept_loss=True, workers=1)
            view = survey(open_source(tmp_path / name))
            assert view.robots == ("so100",), name
            # Formats of rows declare the rate of their rows, which may be those of the camera (30 Hz).
            assert view.declared_rate_hz in (30, 50), name


def test_the_dataset_has_the_robots_and_splits_of_its_rows() -> None:
    rows = [EpisodeRow("a", robot="x", split="train"), EpisodeRow("b", robot="y"), EpisodeRow("c", split="val")]
    facts = Facts(format="mcap", version=None, rows=rows)
    assert (facts.robots, facts.splits) == (("x", "y"), {"train": 1, "val": 1})
