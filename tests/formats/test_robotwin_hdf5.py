"""Reading RoboTwin's raw episodes: padded JPEGs, joint actions, end poses, sentences beside."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

import makers.robotwin_hdf5 as maker
from robokata.core.clock import ClockQuality
from robokata.core.detection import find_datasets, open_source
from robokata.core.errors import DamagedData
from robokata.core.stream import Kind, Role
from robokata.testing import read_barcode


def test_every_camera_gives_the_picture_of_its_row_and_its_own_bytes(tmp_path: Path) -> None:
    episode = open_source(maker.make(tmp_path, episodes=2, steps=12)).episode("episode1")
    for name in ("observation/head_camera/rgb", "observation/left_camera/rgb"):
        stream = episode.stream(name)
        assert (stream.kind, stream.encoding, len(stream)) == (Kind.IMAGE, "jpeg", 12)
        assert read_barcode(stream.values[7])[:2] == (1, 7)
        encoded = stream.pictures.encoded(7)
        assert encoded is not None
        assert encoded.data.endswith(b"\xff\xd9")


def test_joint_actions_are_actions_end_poses_states_and_calibration_is_a_sensor(tmp_path: Path) -> None:
    episode = open_source(maker.make(tmp_path, episodes=1, steps=12)).episode("episode0")
    roles = {name: stream.role for name, stream in episode.streams.items()}
    parts = ("left_arm", "left_gripper", "right_arm", "right_gripper", "vector")
    assert [roles[f"joint_action/{part}"] for part in parts] == [Role.ACTION] * 5
    assert roles["endpose/left_endpose"] is Role.STATE
    assert roles["observation/head_camera/intrinsic_cv"] is Role.SENSOR
    assert episode.stream("joint_action/vector").clock.quality is ClockQuality.UNKNOWN


def test_sentences_beside_the_episodes_are_instructions(tmp_path: Path) -> None:
    source = open_source(maker.make(tmp_path, episodes=2, steps=12))
    assert [(i.text, i.source) for i in source.episode("episode1").instructions] == [
        ("lift block 1", "instructions/episode1.json: seen"),
        ("raise block 1", "instructions/episode1.json: unseen"),
    ]
    assert source.facts().rows[0].instructions == ("lift block 0", "raise block 0")


def test_the_folder_of_the_task_leads_to_its_episodes(tmp_path: Path) -> None:
    maker.make(tmp_path, episodes=2, steps=12)
    assert [found.format for found in find_datasets(tmp_path / "task")] == ["robotwin_hdf5"]


def test_an_episode_without_joint_actions_costs_itself(tmp_path: Path) -> None:
    path = maker.make(tmp_path, episodes=3, steps=12)
    with h5py.File(path / "episode1.hdf5", "a") as file:
        del file["joint_action"]
    source = open_source(path)
    with pytest.raises(DamagedData, match="holds no rows in 'joint_action'"):
        source.episode("episode1")
    assert [row.steps for row in source.facts().rows] == [12, None, 12]
