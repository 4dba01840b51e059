"""`kata measure`: the metrics of trials, on demonstrations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.collection.scripted import ExpertJob, record_expert
from robokata.core.shelf import shelf
from robokata.core.world import Width
from robokata.sim.demonstration import scene_of
from robokata.sim.sensors import Sensors


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("measured") / "lift"
    record_expert(ExpertJob(scene_of("lift"), Width.D0, 0, None, Sensors()), out, episodes=4, workers=1)
    return out


def test_demonstrations_are_measured_and_the_number_of_workers_does_not_matter(kata: Kata, recorded: Path) -> None:
    told = [json.loads(kata("measure", recorded, "--json", "--workers", str(count)).out) for count in (1, 2)]
    assert told[0] == told[1]
    metrics = told[0]["metrics"]
    assert set(metrics) == set(shelf("metrics").names())
    assert told[0]["episodes"] == metrics["success_at_end"]["n"] == 4
    assert metrics["success_at_end"]["value"] == 1.0
    assert metrics["smoothness_sparc"]["low"] <= metrics["smoothness_sparc"]["value"] < 0
    assert metrics["chunk_boundary_jump"]["reason"].startswith("nobody says where chunks begin")


def test_the_table_has_every_metric_and_says_why_one_is_absent(kata: Kata, sample: Path) -> None:
    said = kata("measure", sample)
    assert said.code == 0
    assert all(name in said.out for name in shelf("metrics").names())
    assert "the moment of success is not written down (12 episodes)" in said.out


def test_what_cannot_be_read_is_named_and_in_no_number(kata: Kata, recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lift"
    shutil.copytree(recorded, copy)
    first = min(copy.glob("*.mcap"))
    first.write_bytes(first.read_bytes()[:30])
    told = json.loads(kata("measure", copy, "--json").out)
    assert told["episodes"] == 3
    assert list(told["unread"]) == [first.stem]


def test_a_condition_that_nothing_meets_is_no_answer(kata: Kata, recorded: Path) -> None:
    said = kata("measure", recorded, "--where", "steps > 100000")
    assert said.code == 2
    assert "none of 4 episodes meets --where" in said.err
