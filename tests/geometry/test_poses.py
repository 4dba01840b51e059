"""Rigid transforms hold their group laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.geometry import poses

angles = st.floats(-math.pi, math.pi)
vectors = st.tuples(angles, angles, angles).map(np.array)


@given(vectors)
def test_a_rotation_comes_back_from_its_vector(vector: np.ndarray) -> None:
    rotation = poses.rotation_from_vector(vector)
    again = poses.rotation_from_vector(poses.rotation_vector(rotation))
    np.testing.assert_allclose(again, rotation, atol=1e-6)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


@given(vectors)
def test_a_rotation_comes_back_from_its_quaternion(vector: np.ndarray) -> None:
    rotation = poses.rotation_from_vector(vector)
    np.testing.assert_allclose(poses.rotation_from_quat_xyzw(poses.quat_xyzw_of(rotation)), rotation, atol=1e-9)


@given(vectors, vectors)
def test_a_pose_times_its_inverse_is_nothing(vector: np.ndarray, position: np.ndarray) -> None:
    pose = poses.pose_of(position, poses.rotation_from_vector(vector))
    np.testing.assert_allclose(pose @ poses.inverse(pose), np.eye(4), atol=1e-9)


@given(vectors, vectors, st.floats(0, 1))
def test_the_way_between_two_poses_turns_evenly(one: np.ndarray, other: np.ndarray, share: float) -> None:
    start, end = (poses.pose_of(v, poses.rotation_from_vector(v)) for v in (one, other))
    whole = poses.angle_between_rad(start[:3, :3], end[:3, :3])
    part = poses.angle_between_rad(start[:3, :3], poses.between(start, end, share)[:3, :3])
    assert part == pytest.approx(share * whole, abs=1e-5)


@pytest.mark.parametrize("axis", range(3))
def test_half_a_turn_has_an_axis(axis: int) -> None:
    vector = math.pi * np.eye(3)[axis]
    found = poses.rotation_vector(poses.rotation_from_vector(vector))
    np.testing.assert_allclose(np.abs(found), np.abs(vector), atol=1e-6)


def test_quaternions_of_a_hand_that_turns_while_it_points_down_never_change_sign() -> None:
    yaws = np.linspace(-1.5, 1.5, 400)
    # A hand is never quite upright, and leans now to one side and now to the other.
    leans = [poses.rotation_from_vector([0.01 * np.sin(9 * yaw), 0.01 * np.cos(7 * yaw), 0.0]) for yaw in yaws]
    down = np.diag([1.0, -1.0, -1.0])
    quats = np.array(
        [poses.quat_xyzw_of(lean @ poses.yaw_rotation(yaw) @ down) for lean, yaw in zip(leans, yaws, strict=True)]
    )
    assert np.abs(np.diff(quats, axis=0)).max() > 1, "the sign rule w >= 0 flips here, or this test shows nothing"
    smooth = poses.continuous_quats(quats)
    assert np.abs(np.diff(smooth, axis=0)).max() < 0.02
    for before, after in zip(quats, smooth, strict=True):
        np.testing.assert_allclose(
            poses.rotation_from_quat_xyzw(before), poses.rotation_from_quat_xyzw(after), atol=1e-12
        )


def test_a_cube_is_brought_back_by_the_least_of_its_turns() -> None:
    turns = [poses.yaw_rotation(k * math.pi / 2) for k in range(4)]
    turn = poses.nearest_turn(poses.yaw_rotation(1.4), poses.yaw_rotation(0.0), turns)
    assert poses.angle_between_rad(poses.yaw_rotation(1.4) @ turn, np.eye(3)) == pytest.approx(math.pi / 2 - 1.4)


def test_rotations_of_arrays_are_those_of_each_alone() -> None:
    quats = np.random.default_rng(0).normal(size=(50, 4))
    turns = poses.rotations_from_quat_xyzw(quats)
    one_by_one = np.stack([poses.rotation_from_quat_xyzw(quat) for quat in quats])
    assert turns == pytest.approx(one_by_one, abs=1e-15)
    assert poses.quats_xyzw_of(turns) == pytest.approx(np.stack([poses.quat_xyzw_of(turn) for turn in turns]))
    assert poses.rotations_from_six(poses.six_of(turns)) == pytest.approx(turns)


def test_a_rigid_motion_agrees_with_its_matrix() -> None:
    seven, other = [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.9], [0.0, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5]
    a_from_b, b_from_c = (poses.rigid_from_seven(np.array(each)) for each in (seven, other))
    matrix = poses.pose_from_seven(seven) @ poses.pose_from_seven(other)
    assert a_from_b.then(b_from_c).as_pose() == pytest.approx(poses.seven_of(matrix))
    assert a_from_b.then(a_from_b.inverse()).as_pose() == pytest.approx([0, 0, 0, 0, 0, 0, 1])
