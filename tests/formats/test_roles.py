"""What columns are for: by their words and by what they hold, the same in every format."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

from robokata.conversion.convert import convert
from robokata.core.clock import grid_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats._roles import column_role, words_of

FLOATS, BOOLS, WHOLE = np.dtype(np.float32), np.dtype(np.bool_), np.dtype(np.int64)


NAMES = {
    Role.STATE: """state robot_state observation/state proprio obs/proprio qpos joint_positions observation/end_pose
        robot0_eef_pos agent_pos observation.ee_pose gripper_width endpose/left_endpose""",
    Role.ACTION: """action actions joint_action/left_arm action_dict/gripper rel_actions delta.action
        action/rotation""",
    Role.SENSOR: """env_state object_pose observation.environment_state cube_pos_state camera_pose tactile
        gripper_to_cube_pose observation/wrench depth_range observation.imu""",
    Role.UNKNOWN: """action_is_pad state_is_pad action_mask observation.images.top_is_pad valid_actions_mask pad_mask
        action_timestamp action_dim prev_action obs/actions interaction abstraction task_id speed""",
    Role.REWARD: "reward rewards dense_reward discount next/reward",
    Role.ENDING: "is_first is_last done dones success terminated truncated is_success",
    Role.LANGUAGE: "language_embedding observation/instruction_tokens",
}


@pytest.mark.parametrize("role", NAMES)
def test_numbers_have_the_role_that_the_words_of_their_name_say(role: Role) -> None:
    names = NAMES[role].split()
    assert {name: column_role(name, Kind.TENSOR, FLOATS) for name in names} == dict.fromkeys(names, role)


def test_words_are_split_at_every_sign_and_at_capital_letters() -> None:
    assert words_of("obs/robot0_eefPos.x-y") == ["obs", "robot0", "eef", "pos", "x", "y"]


@pytest.mark.parametrize("name", ["state", "action", "robot_state", "qpos"])
def test_a_text_is_neither_state_nor_action_whatever_its_name(name: str) -> None:
    assert column_role(name, Kind.TEXT, np.dtype(object)) is Role.UNKNOWN


def test_a_truth_value_that_says_is_or_has_is_a_flag_and_a_bare_one_a_command() -> None:
    assert column_role("observation.gripper_is_open", Kind.TENSOR, BOOLS, otherwise=Role.SENSOR) is Role.SENSOR
    assert column_role("action/open_gripper", Kind.TENSOR, BOOLS) is Role.ACTION
    assert column_role("action", Kind.TENSOR, WHOLE) is Role.ACTION


def flagged() -> Episode:
    """Streams as training frameworks store them: chunks of actions beside flags that say which of them are padding."""
    clock, steps = grid_clock(12, Fraction(10)), np.arange(12, dtype=np.float32)
    arrays = {
        "state": np.stack([steps, -steps], axis=1),
        "actions": np.stack([steps, steps], axis=1),
        "action_is_pad": steps > 8,
        "image_is_pad": np.repeat((steps > 8)[:, None], 3, axis=1),
    }
    streams = {
        name: Stream(name, Kind.TENSOR, column_role(name, Kind.TENSOR, array.dtype), clock, ArrayValues(array))
        for name, array in arrays.items()
    }
    return Episode("0", streams, declared_rate_hz=Fraction(10))


@pytest.mark.parametrize(
    "name", ["lerobot_v2", "lerobot_v3", "robomimic_hdf5", "aloha_hdf5", "rlds", "zarr_replay", "mcap"]
)
def test_flags_are_no_actions_and_no_cameras_where_another_tool_reads_what_was_written(
    name: str, tmp_path: Path
) -> None:
    convert(EpisodeList([flagged()]), tmp_path / "out", name)
    episode = open_source(tmp_path / "out").episode(open_source(tmp_path / "out").keys()[0])
    assert [s.name for s in episode.of_role(Role.ACTION)] == ["actions"]
    assert [s.name for s in episode.of_role(Role.STATE)] == ["state"]
    assert not list(episode.of_role(Role.CAMERA))


def test_robomimic_trains_on_the_actions_alone_and_takes_no_discount_for_a_reward(tmp_path: Path) -> None:
    clock = grid_clock(12, Fraction(10))
    ones = Stream("discount", Kind.TENSOR, Role.REWARD, clock, ArrayValues(np.ones(12, np.float32)))
    paid = Stream("reward", Kind.TENSOR, Role.REWARD, clock, ArrayValues(np.arange(12, dtype=np.float32)))
    episode = flagged()
    streams = {"discount": ones, **episode.streams, "reward": paid}
    convert(
        EpisodeList([Episode("0", streams, declared_rate_hz=Fraction(10))]), tmp_path / "demo.hdf5", "robomimic_hdf5"
    )
    with h5py.File(tmp_path / "demo.hdf5") as file:
        demo = file["data/demo_0"]
        assert demo["actions"].shape == (12, 2)
        assert demo["rewards"][:].tolist() == list(range(12))
        assert demo["infos/action_is_pad"].dtype == np.bool_
