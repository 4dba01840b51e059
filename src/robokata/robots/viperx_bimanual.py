"""Two ViperX-300-like arms that face each other across a table, as ALOHA stands; drawn from primitives."""

from __future__ import annotations

import math
from typing import NamedTuple

from robokata.core.episode import Arm, Embodiment, Gripper, Joint
from robokata.core.stream import Evidence
from robokata.robots import _mjcf as mjcf

_DOCUMENT = "Interbotix/interbotix_ros_manipulators, interbotix_xsarm_descriptions/urdf/vx300s.urdf.xacro"
BASE_ASIDE_M = 0.469  # MuJoCo Menagerie, aloha/aloha.xml: bases at x = -0.469 and 0.469 m
BASE_HEIGHT_M = 0.02  # the same
TIP_FROM_HAND_M = 0.042825 + 0.025875 + 0.0385  # URDF: gripper_link to ee_arm, fingers_link, ee_gripper_link
FINGERS_FROM_HAND_M = 0.042825 + 0.025875
FINGER_RANGE_M = (0.021, 0.057)  # URDF: finger_limit_lower and _upper; at 0.021 the fingers meet
GRIPPER_OPEN_M = 2 * (FINGER_RANGE_M[1] - FINGER_RANGE_M[0])
SPEED_RAD_S = math.pi  # URDF: every joint's velocity limit
_PI = math.pi - 0.00001  # the URDF's pi_offset
BLACK_RGBA = (0.14, 0.14, 0.15, 1.0)
_JAW_HALF_M = (0.025, 0.006, 0.0085)


class _Link(NamedTuple):
    """One joint and the link behind it, with the URDF's frames: x ahead, z up."""

    name: str
    at_m: tuple[float, float, float]
    axis: tuple[float, float, float]
    lower_rad: float
    upper_rad: float
    torque_nm: float
    kp: float
    """N m/rad; Menagerie's identified values (43 to 265) are those of a loaded servo, these of one that tracks."""
    mass_kg: float
    shell_m: tuple[float, ...]
    """Ends of a capsule that shows it (m)."""
    radius_m: float


def _rad(degrees: float) -> float:
    return math.radians(degrees)


_X, _Y, _Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
_LINKS = (
    _Link("waist", (0, 0, 0.079), _Z, -_PI, _PI, 10, 200, 0.799, (0, 0, -0.02, 0, 0, 0.04), 0.045),
    _Link("shoulder", (0, 0, 0.04805), _Y, _rad(-106), _rad(72), 20, 400, 0.793, (0, 0, 0, 0.0, 0, 0.28), 0.028),
    _Link("elbow", (0.05955, 0, 0.3), _Y, _rad(-101), _rad(92), 15, 400, 0.322, (-0.05, 0, 0, 0.19, 0, 0), 0.026),
    _Link("forearm_roll", (0.2, 0, 0), _X, -_PI, _PI, 2, 80, 0.415, (0.01, 0, 0, 0.09, 0, 0), 0.024),
    _Link("wrist_angle", (0.1, 0, 0), _Y, _rad(-107), _rad(128), 5, 80, 0.115, (0, 0, 0, 0.05, 0, 0), 0.022),
    _Link("wrist_rotate", (0.069744, 0, 0), _X, -_PI, _PI, 1, 30, 0.25, (-0.01, 0, 0, 0.03, 0, 0), 0.024),
)
_KV_SHARE = 0.05  # damps each joint to about critical with the masses above


def _model() -> str:
    model = mjcf.root("viperx_bimanual")
    world = mjcf.place(model, "worldbody")
    # Where the person who teleoperates stands, between the arms.
    at_m = (0, -0.62, 0.55)
    view = mjcf.aimed(at_m, (0, 0.03, 0.11), right=(1, 0, 0))
    mjcf.camera(world, "scene", at_m=at_m, right_up=view, fovy_deg=48)
    for arm, sign in (("left", -1), ("right", 1)):
        turn = (1, 0, 0, 0) if sign < 0 else (0, 0, 0, 1)
        _add_arm(model, world, arm, at_m=(sign * BASE_ASIDE_M, 0, BASE_HEIGHT_M), quat_wxyz=turn)
    return mjcf.as_text(model)


def _add_arm(
    model: mjcf.Element, world: mjcf.Element, arm: str, *, at_m: mjcf.Numbers, quat_wxyz: mjcf.Numbers
) -> None:
    body = mjcf.link(world, f"{arm}/base", at_m=at_m, quat_wxyz=quat_wxyz, mass_kg=0.969, size_m=0.08)
    mjcf.shell(body, "box", size_m=(0.085, 0.06, 0.035), rgba=BLACK_RGBA, pos="-0.035 0 0.015")
    for number, each in enumerate(_LINKS):
        name, limits = f"{arm}/{each.name}", (each.lower_rad, each.upper_rad)
        body = mjcf.link(body, f"{name}_link", at_m=each.at_m, mass_kg=each.mass_kg, size_m=0.05)
        mjcf.hinge(body, name, axis=each.axis, range_rad=limits, damping=0.5, armature=0.05 if number < 3 else 0.01)
        rgba = BLACK_RGBA if number % 2 else mjcf.PAD_RGBA
        mjcf.shell(body, "capsule", size_m=(each.radius_m,), rgba=rgba, fromto=mjcf.text(each.shell_m))
        if each.name == "shoulder":
            mjcf.shell(body, "capsule", size_m=(0.026,), rgba=rgba, fromto="0 0 0.3 0.05955 0 0.3")
        kv = each.kp * _KV_SHARE
        mjcf.position_motor(model, name, name=name, kp=each.kp, kv=kv, force=each.torque_nm, range_=limits)
    _add_hand(model, body, arm)


def _add_hand(model: mjcf.Element, hand: mjcf.Element, arm: str) -> None:
    """Palm, two fingers on one spindle, tip and wrist camera; the hand points along x."""
    palm_m = (0.012, 0.06, 0.02)
    mjcf.pad(hand, f"{arm}/palm", half_m=palm_m, at_m=(0.048, 0, 0), mass_kg=0.15, friction=0.5, rgba=mjcf.DARK_RGBA)
    # z of the tip is x of the hand, x of the tip its z: half a turn about the line between them.
    mjcf.site(hand, f"{arm}/tip", at_m=(TIP_FROM_HAND_M, 0, 0), quat_wxyz=(0, 0.70710678, 0, 0.70710678))
    at_m = (0.02, 0, 0.082)  # MuJoCo Menagerie, aloha/aloha.xml: the camera's mount; 58 degrees are the D405's
    view = mjcf.aimed(at_m, (TIP_FROM_HAND_M + 0.02, 0, 0), right=(0, -1, 0))
    mjcf.camera(hand, f"{arm}_wrist", at_m=at_m, right_up=view, fovy_deg=58)
    for side, sign in (("left", -1), ("right", 1)):
        joint = f"{arm}/{side}_finger"
        finger = mjcf.link(hand, f"{joint}_link", at_m=(FINGERS_FROM_HAND_M, 0, 0), mass_kg=0.035, size_m=0.02)
        slide = mjcf.hinge(finger, joint, axis=(0, sign, 0), range_rad=FINGER_RANGE_M, damping=10.0, armature=0.05)
        slide.set("type", "slide")
        jaw_m = (0.022, sign * (_JAW_HALF_M[1] - FINGER_RANGE_M[0]), 0)
        mjcf.pad(
            finger,
            f"{arm}/jaw_{side}",
            half_m=_JAW_HALF_M,
            at_m=jaw_m,
            mass_kg=0.01,
            friction=1.5,
            rgba=mjcf.PAD_RGBA,
        )
    mjcf.coupled(model, f"{arm}/right_finger", by=f"{arm}/left_finger")
    # The servo could give 100 N (4.1 N m, Dynamixel XM430-W350 manual, on a crank of some 3 cm); 25 N holds our props.
    mjcf.position_motor(
        model, f"{arm}/left_finger", name=f"{arm}/gripper", kp=800, kv=40, force=25, range_=FINGER_RANGE_M
    )


def _arm(name: str) -> Arm:
    return Arm(
        name=name,
        joints=tuple(f"{name}/{each.name}" for each in _LINKS),
        tip=f"{name}/tip",
        home=(0.0, -0.1496, 0.3362, 0.0, 1.3843, 0.0),
        gripper=Gripper(
            joint=f"{name}/gripper",
            open_m=GRIPPER_OPEN_M,
            stroke=((FINGER_RANGE_M[0], 0.0), (FINGER_RANGE_M[1], GRIPPER_OPEN_M)),
            source=_DOCUMENT,
        ),
    )


ROBOT = Embodiment(
    name="viperx_bimanual",
    evidence=Evidence.ROBOT,
    joints=tuple(
        Joint(f"{arm}/{each.name}", each.lower_rad, each.upper_rad, SPEED_RAD_S, _DOCUMENT)
        for arm in ("left", "right")
        for each in _LINKS
    ),
    cameras=("scene", "left_wrist", "right_wrist"),
    model=_model(),
    reach_m=(0.08, 0.15),
    arms=(_arm("left"), _arm("right")),
)
