"""Reading ManiSkill trajectories: T actions between T + 1 observations."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

import makers.maniskill_hdf5 as maker
from robokata.conversion.convert import convert
from robokata.core.clock import ClockQuality
from robokata.core.detection import find_datasets, open_source
from robokata.core.errors import DamagedData
from robokata.core.stream import Role
from robokata.testing import read_barcode


def test_observations_stand_before_and_after_each_action_on_one_grid(tmp_path: Path) -> None:
    episode = open_source(maker.make(tmp_path, episodes=2, steps=10)).episode("traj_1")
    action, state, success = (episode.stream(name) for name in ("actions", "obs/agent/qpos", "success"))
    assert (len(action), len(state), len(success)) == (10, 11, 10)
    assert np.array_equal(action.clock.places, state.clock.places[:-1])
    assert np.array_equal(success.clock.places, state.clock.places[1:])
    assert read_barcode(episode.stream("obs/sensor_data/base_camera/rgb").values[10])[:2] == (1, 10)


def test_the_json_beside_gives_rate_robot_outcome_and_control_mode(tmp_path: Path) -> None:
    source = open_source(maker.make(tmp_path, episodes=2, steps=10))
    episode = source.episode("traj_1")
    assert (episode.declared_rate_hz, episode.embodiment and episode.embodiment.name) == (Fraction(20), "panda")
    assert [source.episode(key).outcome.success for key in source.keys()] == [True, False]
    assert episode.extra["env_info"]["env_kwargs"]["control_mode"] == "pd_joint_pos"
    assert episode.stream("actions").clock.quality is ClockQuality.DECLARED
    assert source.facts().rows[0].duration_s == 0.5


def test_roles_tell_robot_simulator_and_endings_apart(tmp_path: Path) -> None:
    episode = open_source(maker.make(tmp_path, episodes=1, steps=10)).episode("traj_0")
    assert {name: stream.role for name, stream in episode.streams.items()} == {
        "actions": Role.ACTION,
        "env_states/actors/cube": Role.SENSOR,
        "obs/agent/qpos": Role.STATE,
        "obs/agent/qvel": Role.STATE,
        "obs/extra/tcp_pose": Role.STATE,
        "obs/sensor_data/base_camera/rgb": Role.CAMERA,
        "success": Role.ENDING,
        "terminated": Role.ENDING,
        "truncated": Role.ENDING,
    }


def test_without_its_json_the_file_is_read_and_the_rate_is_unknown(tmp_path: Path) -> None:
    path = maker.make(tmp_path, episodes=1, steps=10)
    path.with_suffix(".json").unlink()
    source = open_source(path)
    assert source.episode("traj_0").stream("actions").clock.quality is ClockQuality.UNKNOWN
    assert "does not exist" in source.facts().extra["unreadable"]["json"]


def test_steps_that_the_json_contradicts_are_a_declaration_that_does_not_hold(tmp_path: Path) -> None:
    path = maker.make(tmp_path, episodes=2, steps=10)
    said = json.loads(path.with_suffix(".json").read_text())
    said["episodes"][1]["elapsed_steps"] = 12
    path.with_suffix(".json").write_text(json.dumps(said))
    wrong = [d for d in open_source(path).facts().declarations if not d.holds]
    assert [(d.subject, d.declared, d.found) for d in wrong] == [("traj_1.elapsed_steps", 12, 10)]


def test_a_trajectory_without_actions_costs_itself(tmp_path: Path) -> None:
    path = maker.make(tmp_path, episodes=2, steps=10)
    with h5py.File(path, "a") as file:
        del file["traj_0/actions"]
    source = open_source(path)
    with pytest.raises(DamagedData, match="'traj_0' has no actions"):
        source.episode("traj_0")
    assert len(source.episode("traj_1").stream("actions")) == 10


def test_every_number_comes_back_through_lerobot(tmp_path: Path) -> None:
    source = open_source(maker.make(tmp_path / "in", episodes=2, steps=10))
    assert [found.format for found in find_datasets(tmp_path / "in")] == ["maniskill_hdf5"]
    convert(source, tmp_path / "out", "lerobot_v3")
    before, after = source.episode("traj_1"), open_source(tmp_path / "out").episode("1")
    for stream in before.numeric():
        assert np.array_equal(after.stream(stream.name).table, stream.table)
        assert np.array_equal(after.stream(stream.name).clock.places, stream.clock.places)
