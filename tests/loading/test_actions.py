"""Tests of actions as they are learnt: nothing is lost, and a moved table changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loading.reaching import TIP
from robokata.geometry.poses import quats_xyzw_of, rotated, rotations_from_quat_xyzw
from robokata.loading.actions import Frame, decoded, encoded, plan_actions
from robokata.loading.layout import BodyLayout, groups_of

LAYOUT = BodyLayout(
    "toy",
    {
        "observation.state": ("j0", "j1", "gripper"),
        "observation.tip_pose": TIP,
        "action": ("j0", "j1", "gripper"),
        "action.tip_pose": (*TIP, "opening"),
    },
)
SEEN = ("observation.state", "observation.tip_pose")


def poses(rng: np.random.Generator, *shape: int) -> np.ndarray:
    quat = rng.normal(size=(*shape, 4))
    return np.concatenate([rng.normal(size=(*shape, 3)), quat / np.linalg.norm(quat, axis=-1, keepdims=True)], -1)


@given(st.integers(0, 2**32), st.sampled_from(list(Frame)))
def test_decoding_what_was_encoded_gives_the_same_pose(seed: int, frame: Frame) -> None:
    rng = np.random.default_rng(seed)
    actions = np.concatenate([poses(rng, 4, 6), rng.uniform(size=(4, 6, 1))], -1)
    present = {"observation.tip_pose": poses(rng, 4), "observation.state": rng.normal(size=(4, 3))}
    plan = plan_actions(LAYOUT, "action.tip_pose", sources=SEEN, frame=frame)
    learnt = encoded(plan, actions, present, frame=frame)
    assert learnt.shape == (4, 6, 10)
    again = decoded(plan, learnt, present, frame=frame, width=8)
    np.testing.assert_allclose(again[..., [0, 1, 2, 7]], actions[..., [0, 1, 2, 7]], atol=1e-9)
    same = rotations_from_quat_xyzw(again[..., 3:7]), rotations_from_quat_xyzw(actions[..., 3:7])
    np.testing.assert_allclose(*same, atol=1e-9)


@given(st.integers(0, 2**32))
def test_in_the_hands_frame_moving_the_whole_scene_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    actions, tip = poses(rng, 5), poses(rng)
    plan = plan_actions(LAYOUT, "action.tip_pose", sources=SEEN, frame=Frame.TIP)

    def moved(pose: np.ndarray, by: np.ndarray) -> np.ndarray:
        turn = rotations_from_quat_xyzw(by[3:])
        turned = turn @ rotations_from_quat_xyzw(pose[..., 3:])
        return np.concatenate([rotated(turn, pose[..., :3]) + by[:3], quats_xyzw_of(turned)], -1)

    by, opening = poses(rng), np.zeros((5, 1))
    here = encoded(plan, np.concatenate([actions, opening], -1), {"observation.tip_pose": tip}, frame=Frame.TIP)
    there = encoded(
        plan,
        np.concatenate([moved(actions, by), opening], -1),
        {"observation.tip_pose": moved(tip, by)},
        frame=Frame.TIP,
    )
    np.testing.assert_allclose(here, there, atol=1e-9)


def test_joints_are_learnt_as_differences_and_the_gripper_as_it_is() -> None:
    plan = plan_actions(LAYOUT, "action", sources=SEEN, frame=Frame.TIP)
    present = {"observation.state": np.asarray([1.0, 2.0, 0.04])}
    learnt = encoded(plan, np.asarray([[1.5, 2.0, 0.08]]), present, frame=Frame.TIP)
    np.testing.assert_allclose(learnt, [[0.5, 0.0, 0.08]])


def test_actions_that_are_differences_already_are_learnt_as_they_are() -> None:
    plan = plan_actions(LAYOUT, "action", sources=SEEN, frame=Frame.TIP, is_change=True)
    assert [learnt.stream for learnt in plan] == [None, None, None]


def test_numbers_without_names_are_never_matched_by_their_place() -> None:
    layout = BodyLayout("toy", {"observation.state": ("0", "1"), "action": ("0", "1")})
    plan = plan_actions(layout, "action", sources=("observation.state",), frame=Frame.TIP)
    assert [learnt.stream for learnt in plan] == [None, None]


@pytest.mark.parametrize(
    ("channels", "kinds"),
    [
        ((*TIP, "opening"), ["pose", "plain"]),
        (("x", "y", "z", "qx", "qy", "qz", "qw"), ["pose"]),
        (("x", "y", "z"), ["plain"] * 3),
        (tuple(f"left.{c}" for c in TIP) + tuple(f"right.{c}" for c in TIP), ["pose", "pose"]),
        (("box", "max.x", "max.y"), ["plain"] * 3),
    ],
)
def test_poses_are_found_by_their_channels_names(channels: tuple[str, ...], kinds: list[str]) -> None:
    groups = groups_of(channels)
    assert [group.kind for group in groups] == kinds
    assert sorted(column for group in groups for column in group.columns) == list(range(len(channels)))


@given(st.integers(0, 2**32))
def test_a_rotation_survives_quaternion_and_six_numbers(seed: int) -> None:
    quat = poses(np.random.default_rng(seed), 10)[:, 3:]
    again = quats_xyzw_of(rotations_from_quat_xyzw(quat))
    np.testing.assert_allclose(np.abs(np.sum(quat * again, -1)), 1, atol=1e-12)
    assert (again[:, 3] >= 0).all()
