"""Tests of the check `dead_channel`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from checks.robots_of_numbers import findings, reasons, robot, swing, verdicts
from robokata.checks import dead_channel
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.core.shelf import shelf
from robokata.testing import tiny_source

NAMES = ("pan", "lift", "gripper")


def _takes(count: int, *, dead: dict[int, int]) -> list[Episode]:
    """`count` takes; in take k, channel dead[k] stands still."""
    takes = []
    for number in range(count):
        state = swing(seed=number)
        if number in dead:
            state[:, dead[number]] = 0.5
        takes.append(robot(state, names=NAMES, name=str(number)))
    return takes


def test_a_channel_that_never_changes_in_any_episode_is_one_finding_of_the_dataset() -> None:
    (found,) = findings(dead_channel, *_takes(3, dead={0: 1, 1: 1, 2: 1}))
    assert found.message == (
        "1 of 3 channels of state of arm never change in 3 episodes: lift; their standard deviation is 0"
    )
    assert (found.level, found.episode, found.measured, found.expected) == (Level.WARNING, None, 1, 0)


def test_a_sensor_that_dies_in_one_episode_is_a_warning_on_that_episode() -> None:
    (found,) = findings(dead_channel, *_takes(6, dead={4: 1}))
    assert found.message == "lift of state keeps one value through this episode and changes in all other 5 episodes"
    assert (found.level, found.episode, found.channel) == (Level.WARNING, "4", "lift")


def test_a_gripper_that_is_not_used_in_one_episode_is_information() -> None:
    assert [f.level for f in findings(dead_channel, *_takes(6, dead={4: 2}))] == [Level.INFO]


def test_one_episode_alone_gives_information_only() -> None:
    assert [f.level for f in findings(dead_channel, *_takes(1, dead={0: 0}))] == [Level.INFO]


def test_a_channel_that_holds_another_value_in_each_episode_has_a_spread() -> None:
    takes = []
    for number in range(3):
        state = swing(seed=number)
        state[:, 0] = number
        takes.append(robot(state, names=NAMES, name=str(number)))
    assert findings(dead_channel, *takes) == []


def test_sound_robots_are_silent() -> None:
    assert verdicts(dead_channel, *tiny_source(6).episodes.values()) == []


def test_an_episode_of_one_sample_abstains() -> None:
    assert reasons(dead_channel, robot(np.zeros((1, 3)))) == ["no state and no action with two samples or more"]


def test_the_constant_channels_of_the_gr1_set_are_counted(shared_data: Path) -> None:
    folder = shared_data / "lerobot-v2.0-gr1-sim" / "dataset"
    if "lerobot_v2" not in shelf("formats"):
        pytest.skip("no reader for LeRobot v2")
    source = open_source(folder)
    rows = [
        Gathered(key, dead_channel.gather(source.episode(key))) for key in source.keys()
    ]  # keys of a Source, no dict
    counts = {v.stream: v.measured for v in dead_channel.judge(rows, source.facts())}
    assert counts == {"observation.state": 18, "action": 25}
