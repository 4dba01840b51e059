"""Episodes in a mirror."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from robokata.core.episode import Embodiment, Episode
from robokata.core.errors import StepRefused
from robokata.core.shelf import shelf
from robokata.core.values import ArrayValues
from robokata.geometry.kinematics import placed
from robokata.geometry.poses import pose_from_seven
from robokata.steps.mirror_episode import other_side, step
from robokata.testing import tiny_episode
from steps.simulated import lifted, paired


def tips(episode: Episode, row: int) -> dict[str, np.ndarray]:
    """Tip poses of the recorded joints, by forward kinematics."""
    robot = episode.embodiment
    assert robot is not None
    state = episode.streams["observation.state"]
    joints = dict(zip(state.channels or (), state.table[row], strict=True))
    found = placed(robot.model or "", {joint.name: float(joints[joint.name]) for joint in robot.joints})
    return {arm.name: found.sites[arm.tip] for arm in robot.arms}


def recorded(episode: Episode, row: int) -> dict[str, np.ndarray]:
    stream = episode.streams["observation.tip_pose"]
    robot = episode.embodiment
    assert robot is not None
    return {arm.name: pose_from_seven(stream.table[row, 7 * n : 7 * n + 7]) for n, arm in enumerate(robot.arms)}


@pytest.mark.parametrize("made", [lifted, paired], ids=["panda", "pair"])
def test_mirrored_joints_bring_the_tip_to_the_mirrored_pose(made: Callable[[], Episode]) -> None:
    episode = made()
    (image,) = step(episode)
    rows = range(0, len(image.streams["observation.state"]), 6)
    was = max(
        np.abs(tips(episode, row)[arm] - pose).max() for row in rows for arm, pose in recorded(episode, row).items()
    )
    now = max(np.abs(tips(image, row)[arm] - pose).max() for row in rows for arm, pose in recorded(image, row).items())
    assert now <= was + 2e-5, "joints and poses agree as well as they did"


@pytest.mark.parametrize("made", [lifted, paired], ids=["panda", "pair"])
def test_a_mirror_image_of_a_mirror_image_is_the_original(made: Callable[[], Episode]) -> None:
    episode = made()
    (image,) = step(episode)
    (again,) = step(replace(image, id=episode.id))
    for stream in again.numeric():
        np.testing.assert_allclose(stream.table, episode.streams[stream.name].table, atol=1e-12)
    for stream in again.pictures():
        was = np.asarray(episode.streams[stream.name].values[5], np.float64)
        assert np.abs(stream.values[5] - was).mean() < 8
    assert [each.text for each in again.instructions] == [each.text for each in episode.instructions]
    assert again.annotations == episode.annotations


def test_things_tips_and_pictures_are_on_the_other_side() -> None:
    episode = lifted()
    (image,) = step(episode)
    before, after = (e.streams["simulation.objects"].table for e in (episode, image))
    np.testing.assert_allclose(after[:, 1], -before[:, 1])
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]])
    for name in ("observation.images.scene", "observation.images.wrist"):
        was, now = (np.asarray(e.streams[name].values[9], np.float64) for e in (episode, image))
        assert np.abs(was[:, ::-1] - now).mean() < 2
        assert image.streams[name].encoding == "jpeg"
    np.testing.assert_array_equal(image.streams["action"].table[:, 7], episode.streams["action"].table[:, 7])


def test_flipped_pictures_are_those_that_the_simulator_renders_of_the_mirrored_motion() -> None:
    from robokata.sim.demonstration import scene_of, world_of
    from robokata.sim.render import renderer_of

    episode = lifted()
    (image,) = step(episode)
    world = world_of(scene_of("lift"))
    renderer = renderer_of(world, height_px=64, width_px=64)
    for row in (0, 12, 25):
        physics = episode.streams["simulation.state"].table[row].copy()
        arm = [world.model.joint(f"joint{n}").qposadr[0] for n in range(1, 8)]
        physics[arm] = image.streams["observation.state"].table[row, :7]
        (prop,) = [p.name for p in world.props]
        at = world.model.joint(f"{prop}/free").qposadr[0]
        seven = image.streams["simulation.objects"].table[row]
        physics[at : at + 7] = [*seven[:3], seven[6], *seven[3:6]]
        renderer.at(physics)
        for camera in ("scene", "wrist"):
            shown = np.asarray(image.streams[f"observation.images.{camera}"].values[row], np.float64)
            # Lights are not symmetric, and edges of a pixel fall either way: the motion is what must agree.
            assert np.abs(renderer.rgb(camera) - shown).mean() < 12, (row, camera)


def test_the_arms_of_a_pair_change_places_and_so_do_their_cameras_and_words() -> None:
    episode = paired()
    (image,) = step(episode)
    before, after = episode.streams["observation.state"], image.streams["observation.state"]
    left, right = ([(before.channels or ()).index(f"{arm}/gripper")] for arm in ("left", "right"))
    np.testing.assert_array_equal(after.table[:, left], before.table[:, right])
    was = np.asarray(episode.streams["observation.images.left_wrist"].values[3], np.float64)
    now = np.asarray(image.streams["observation.images.right_wrist"].values[3], np.float64)
    assert np.abs(was[:, ::-1] - now).mean() < 8
    assert list(image.streams) == list(episode.streams)
    assert image.instructions[0].text == "Hand the peg from the right arm to the left one, right now"
    assert image.annotations[0].label == "grasp:right:peg"
    force, mirrored = (e.streams["observation.force"].table for e in (episode, image))
    np.testing.assert_allclose(mirrored[:, 6:9], force[:, 0:3] * [1, -1, 1])
    np.testing.assert_allclose(mirrored[:, 9:12], force[:, 3:6] * [-1, 1, -1])


def test_what_nobody_can_mirror_is_left_out_and_named() -> None:
    (image,) = step(lifted())
    assert image.extra["steps"][-1]["left_out"] == ["simulation.state"]
    assert "simulation.state" not in image.streams
    assert image.id == f"{lifted().id}-mirrored"
    assert image.origin.made_from[0].startswith(f"{lifted().id}@")


def test_the_original_is_kept_where_asked_also_when_its_image_is_refused() -> None:
    assert [each.id for each in step(lifted(), keep_original=True)] == [lifted().id, f"{lifted().id}-mirrored"]
    made = step(tiny_episode(), keep_original=True)
    assert next(made).id == "0"
    with pytest.raises(StepRefused):
        next(made)


def refusal(episode: Episode) -> str:
    with pytest.raises(StepRefused) as refused:
        list(step(episode))
    return refused.value.reason


def test_what_cannot_be_mirrored_is_refused_with_the_reason() -> None:
    assert refusal(replace(lifted(), embodiment=None)) == "it does not say which robot this is."
    assert refusal(replace(lifted(), embodiment=Embodiment("x"))).startswith("robot x has no kinematic model")
    so100 = shelf("robots")["so100"].ROBOT
    assert refusal(replace(lifted(), embodiment=so100)).startswith("robot so100 is not its own mirror image")
    action = lifted().streams["action"]
    unsaid = replace(action, meaning=replace(action.meaning, reference=None))
    assert refusal(lifted().with_stream(unsaid)) == "action does not say whether its joints are absolute or changes."
    nameless = replace(lifted().streams["observation.state"], channels=None)
    assert refusal(lifted().with_stream(nameless)).startswith("observation.state cannot be mirrored: its numbers have")
    beyond = action.table.copy()
    beyond[:, 6] = -2.0
    far = lifted().with_stream(action.with_values(ArrayValues(beyond)))
    assert refusal(far).startswith("joint7 would go from 3.571 to 3.571 rad in action, and its limits are")
    extra = {"simulation": {**lifted().extra["simulation"], "factors": {"camera_pose": [0.01]}}}
    assert "was moved by camera_pose" in refusal(replace(lifted(), extra=extra))


def test_sides_change_in_the_case_they_are_written_in_and_idioms_stay() -> None:
    for text, wanted in [
        ("put it LEFT of the bowl", "put it RIGHT of the bowl"),
        ("Left, then right", "Right, then left"),
        ("turn it clockwise", "turn it counterclockwise"),
        ("the leftmost cup, right side up", "the rightmost cup, right side up"),
        ("bright cleft copyright", "bright cleft copyright"),
    ]:
        assert other_side(text) == wanted
        assert other_side(other_side(text)) == text
