"""Mirror symmetry of robots, and the kinematics that it is derived from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robokata.core.episode import Embodiment
from robokata.core.errors import Unsupported
from robokata.core.shelf import shelf
from robokata.geometry.kinematics import placed
from robokata.geometry.symmetry import symmetry_of
from robokata.sim.gl import mujoco

ROBOTS = shelf("robots").names()


def robot(name: str) -> Embodiment:
    found: Embodiment = shelf("robots")[name].ROBOT
    return found


@pytest.mark.parametrize("name", ROBOTS)
def test_every_tip_camera_and_jaw_is_where_mujoco_puts_it(name: str) -> None:
    body, rng = robot(name), np.random.default_rng(0)
    model = mujoco().MjModel.from_xml_string(body.model or "")
    data = mujoco().MjData(model)
    for _ in range(10):
        joints = {joint.name: rng.uniform(joint.lower or -1, joint.upper or 1) for joint in body.joints}
        for joint, value in joints.items():
            data.qpos[model.joint(joint).qposadr[0]] = value
        mujoco().mj_kinematics(model, data)
        mujoco().mj_camlight(model, data)
        found = placed(body.model or "", joints)
        for arm in body.arms:
            site = model.site(arm.tip).id
            np.testing.assert_allclose(found.sites[arm.tip][:3, 3], data.site_xpos[site], atol=1e-6)
            np.testing.assert_allclose(found.sites[arm.tip][:3, :3], data.site_xmat[site].reshape(3, 3), atol=1e-6)
        for camera in body.cameras:
            number = model.camera(camera).id
            np.testing.assert_allclose(found.cameras[camera][:3, 3], data.cam_xpos[number], atol=1e-5)
            np.testing.assert_allclose(found.cameras[camera][:3, :3], data.cam_xmat[number].reshape(3, 3), atol=1e-5)
        for geom, pose in found.geoms.items():
            np.testing.assert_allclose(pose[:3, 3], data.geom_xpos[model.geom(geom).id], atol=1e-6)


def test_a_panda_turns_every_other_joint_the_other_way_and_its_last_about_the_hands_mount() -> None:
    symmetry = symmetry_of(robot("franka_panda"))
    twin = symmetry.twins["arm"]
    assert (symmetry.plane, symmetry.hand, twin.arm) == ("y", "y", "arm")
    assert twin.signs.tolist() == [-1, 1, -1, 1, -1, 1, -1]
    np.testing.assert_allclose(twin.offsets_rad, [0, 0, 0, 0, 0, 0, np.pi / 2], atol=1e-4)
    assert symmetry.cameras == {"scene": "scene", "wrist": "wrist"}


def test_arms_that_face_each_other_change_places_and_so_do_their_cameras() -> None:
    symmetry = symmetry_of(robot("viperx_bimanual"))
    assert symmetry.plane == "x"
    assert {name: twin.arm for name, twin in symmetry.twins.items()} == {"left": "right", "right": "left"}
    assert symmetry.cameras == {"scene": "scene", "left_wrist": "right_wrist", "right_wrist": "left_wrist"}


def test_a_robot_that_is_not_its_own_mirror_image_is_refused_with_the_joint() -> None:
    with pytest.raises(Unsupported) as refusal:
        symmetry_of(robot("so100"))
    assert str(refusal.value) == (
        "robot so100 is not its own mirror image about its home pose: the axis of shoulder_lift at home has no mirror "
        "image among its joints."
    )


def test_a_panda_with_one_jaw_aside_is_refused_although_its_joints_are_alike() -> None:
    sound = robot("franka_panda")
    moved = (sound.model or "").replace('pos="0 0.0075 0.03"', 'pos="0 0.0175 0.03"')
    assert moved != sound.model
    with pytest.raises(Unsupported, match="a part of the hand of arm arm has no mirror image"):
        symmetry_of(replace(sound, model=moved))


def test_a_panda_whose_wrist_is_bent_is_refused_by_its_forward_kinematics() -> None:
    sound = robot("franka_panda")
    moved = (sound.model or "").replace('pos="0 0 0.1034"', 'pos="0 0.002 0.1034"')
    assert moved != sound.model
    with pytest.raises(Unsupported, match=r"bring its tip .* mm beside the image"):
        symmetry_of(replace(sound, model=moved))


def test_robots_without_a_model_or_with_another_kind_of_one_are_refused() -> None:
    with pytest.raises(Unsupported, match="has no kinematic model"):
        symmetry_of(Embodiment("unknown"))
    sound = robot("franka_panda")
    for text in ("<robot/>", "no xml", (sound.model or "").replace('angle="radian"', 'angle="degree"')):
        with pytest.raises(Unsupported):
            symmetry_of(replace(sound, model=text))
