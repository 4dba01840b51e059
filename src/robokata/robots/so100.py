"""An SO-100-like arm: five joints and one hinged jaw beside a fixed one, drawn from primitives."""

from __future__ import annotations

import math
from typing import NamedTuple

from robokata.core.episode import Arm, Embodiment, Gripper, Joint
from robokata.core.stream import Evidence
from robokata.robots import _mjcf as mjcf

_DOCUMENT = "TheRobotStudio/SO-ARM100, Simulation/SO100/so100.urdf; speed: Feetech STS3215 data sheet (0.222 s/60 deg)"
SERVO_RAD_S = 4.71  # Feetech STS3215: 0.222 s per 60 degrees without load
SERVO_NM = 2.94  # Feetech STS3215, 12 V: stall torque 30 kg cm
BASE_BEHIND_M = 0.16  # our table: its middle lies in the middle of what the hand reaches pointing down (measured)
RAISED_M = 0.05  # on a raised base, as of the maker's optional parts: 10 cm above the table the hand still points down
ORANGE_RGBA = (0.96, 0.52, 0.10, 1.0)


class _Link(NamedTuple):
    """One joint and the link behind it; x ahead, z up, in the frame of the joint before."""

    name: str
    at_m: tuple[float, float, float]
    zero_rad: float
    """Turn about `axis` at joint value 0."""
    axis: tuple[float, float, float]
    lower_rad: float
    upper_rad: float
    mass_kg: float


# The URDF's frames have y up and z ahead; here they are turned to x ahead and z up, with the same zeros and signs.
_LINKS = (
    _Link("shoulder_pan", (0, 0, 0.0165), 0, (0, 0, 1), -2.0, 2.0, 0.119),
    _Link("shoulder_lift", (0.0306, 0, 0.1025), -1.8, (0, 1, 0), 0.0, 3.5, 0.162),
    _Link("elbow_flex", (0.028, 0, 0.11257), math.pi / 2, (0, 1, 0), -3.14158, 0.0, 0.148),
    _Link("wrist_flex", (0.1349, 0, 0.0052), -1.0, (0, 1, 0), -2.5, 1.2, 0.066),
    _Link("wrist_roll", (0, 0, -0.0601), math.pi / 2, (0, 0, 1), -3.14158, 3.14158, 0.093),
)
_JAW_HINGE_M = (0.0, -0.0202, -0.0244)
_JAW_RANGE_RAD = (-0.2, 2.0)
FIXED_FACE_M = 0.009
"""Inner face of the fixed jaw from the roll axis: the pads of MuJoCo Menagerie's so_arm100 lie at 0.008 to 0.013."""
TIP_FROM_FACE_M = 0.03
"""The tip lies this far from the fixed jaw: a cube of 4 cm has 1 cm to either side when the hand comes down."""
TIP_M = (0.0, FIXED_FACE_M - TIP_FROM_FACE_M, -0.0954)
_JAW_LEAN_RAD = 0.30
"""The moving jaw's face leans inward, so that it is parallel to the fixed one at an opening of 4 cm."""
_JAW_END_M = (0.0123, -0.077)
"""A point of the moving jaw's face (y, z from its hinge), of Menagerie's `moving_jaw_pad_1`."""
_OPEN_RAD = 0.72
_PAD_HALF_M = (0.009, 0.003, 0.028)


def opening_m(jaw_rad: float) -> float:
    """Distance of the jaws' faces along the tip's y axis at the tip, of the moving jaw's angle."""
    y, z = _JAW_END_M
    c, s = math.cos(jaw_rad), math.sin(jaw_rad)
    end_y, end_z = _JAW_HINGE_M[1] + c * y + s * z, _JAW_HINGE_M[2] - s * y + c * z
    face_y = end_y - (TIP_M[2] - end_z) * math.tan(_JAW_LEAN_RAD - jaw_rad)
    return FIXED_FACE_M - face_y


def _closed_rad() -> float:
    """The jaw's angle at which the faces meet at the tip, by bisection."""
    low, high = -0.6, 0.3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if opening_m(middle) < 0 else (low, middle)
    return high


def _stroke() -> tuple[tuple[float, float], ...]:
    """Nine points: linear between them is right to 0.2 mm."""
    start = max(_closed_rad(), _JAW_RANGE_RAD[0])
    angles = [start + (_OPEN_RAD - start) * part / 8 for part in range(9)]
    return tuple((angle, max(0.0, opening_m(angle))) for angle in angles)


def _quat_wxyz(axis: tuple[float, float, float], angle_rad: float) -> tuple[float, ...]:
    return (math.cos(angle_rad / 2), *(math.sin(angle_rad / 2) * part for part in axis))


def _model() -> str:
    model = mjcf.root("so100")
    world = mjcf.place(model, "worldbody")
    # In front of the arm and above it, as a phone on a stand.
    at_m = (0.30, 0, 0.36)
    view = mjcf.aimed(at_m, (-0.02, 0, 0.03), right=(0, 1, 0))
    mjcf.camera(world, "scene", at_m=at_m, right_up=view, fovy_deg=50)
    body = mjcf.link(world, "base", at_m=(-BASE_BEHIND_M, 0, RAISED_M), mass_kg=1.0, size_m=0.05)
    mjcf.shell(body, "box", size_m=(0.05, 0.045, (RAISED_M + 0.03) / 2), rgba=mjcf.DARK_RGBA, pos="-0.03 0 -0.01")
    for each in _LINKS:
        quat_wxyz = _quat_wxyz(each.axis, each.zero_rad)
        body = mjcf.link(body, each.name, at_m=each.at_m, quat_wxyz=quat_wxyz, mass_kg=each.mass_kg, size_m=0.03)
        limits = (each.lower_rad, each.upper_rad)
        # Gears of 1:345: the rotor's inertia dominates the link's. 0.01 kg m^2 and 30 N m/rad settle in 0.1 s.
        mjcf.hinge(body, each.name, axis=each.axis, range_rad=limits, damping=0.3, armature=0.01)
        mjcf.position_motor(model, each.name, name=each.name, kp=30, kv=1.5, force=SERVO_NM, range_=limits)
        _draw(body, each.name)
    _add_hand(model, body)
    return mjcf.as_text(model)


def _draw(body: mjcf.Element, name: str) -> None:
    """Printed parts in orange, servos in black (45 x 25 x 35 mm, STS3215 data sheet)."""
    servo_m = (0.0225, 0.0125, 0.0175)
    if name == "shoulder_pan":
        mjcf.shell(body, "box", size_m=(0.024, 0.028, 0.045), rgba=ORANGE_RGBA, pos="0.008 0 0.055")
        mjcf.shell(body, "box", size_m=servo_m, rgba=mjcf.DARK_RGBA, pos="0.0306 0 0.1025")
    elif name == "shoulder_lift":
        mjcf.shell(body, "box", size_m=(0.014, 0.024, 0.055), rgba=ORANGE_RGBA, pos="0.006 0 0.055")
        mjcf.shell(body, "box", size_m=servo_m, rgba=mjcf.DARK_RGBA, pos="0.028 0 0.11257")
    elif name == "elbow_flex":
        mjcf.shell(body, "box", size_m=(0.055, 0.02, 0.013), rgba=ORANGE_RGBA, pos="0.07 0 0.003")
        mjcf.shell(body, "box", size_m=servo_m, rgba=mjcf.DARK_RGBA, pos="0.125 0 0.0052")
    elif name == "wrist_flex":
        mjcf.shell(body, "box", size_m=(0.014, 0.02, 0.028), rgba=ORANGE_RGBA, pos="0 0 -0.03")
    else:
        mjcf.shell(body, "box", size_m=(0.0125, 0.02, 0.0175), rgba=mjcf.DARK_RGBA, pos="0 -0.005 -0.012")


def _add_hand(model: mjcf.Element, hand: mjcf.Element) -> None:
    """Palm, fixed jaw, moving jaw on its hinge, tip and wrist camera; the hand points along -z."""
    mjcf.pad(
        hand,
        "arm/palm",
        half_m=(0.013, 0.024, 0.008),
        at_m=(0, -0.004, -0.022),
        mass_kg=0,
        friction=0.5,
        rgba=ORANGE_RGBA,
    )
    _jaw(hand, "arm/jaw_right", at_m=(0, FIXED_FACE_M + _PAD_HALF_M[1], -0.0784))
    mjcf.shell(hand, "box", size_m=(0.012, 0.003, 0.02), rgba=ORANGE_RGBA, pos="0 0.017 -0.045")
    mjcf.site(hand, "tip", at_m=TIP_M, quat_wxyz=(0, 1, 0, 0))
    at_m = (0.065, TIP_M[1], -0.005)
    view = mjcf.aimed(at_m, (0.012, TIP_M[1], -0.0954), right=(0, -1, 0))
    mjcf.camera(hand, "wrist", at_m=at_m, right_up=view, fovy_deg=70)
    jaw = mjcf.link(hand, "moving_jaw", at_m=_JAW_HINGE_M, mass_kg=0.02, size_m=0.02)
    mjcf.hinge(jaw, "jaw", axis=(-1, 0, 0), range_rad=_JAW_RANGE_RAD, damping=0.05, armature=0.002)
    down, inward = math.cos(_JAW_LEAN_RAD), math.sin(_JAW_LEAN_RAD)
    back_m, up_m = _PAD_HALF_M[1], _PAD_HALF_M[2] - 0.005
    middle_m = (
        0,
        _JAW_END_M[0] - up_m * inward - back_m * down,
        _JAW_END_M[1] + up_m * down - back_m * inward,
    )
    face = _jaw(jaw, "arm/jaw_left", at_m=middle_m)
    face.set("quat", mjcf.text(_quat_wxyz((1, 0, 0), _JAW_LEAN_RAD)))
    mjcf.shell(jaw, "capsule", size_m=(0.008,), rgba=mjcf.DARK_RGBA, fromto="0 0 0 0 -0.004 -0.03")
    stroke = _stroke()
    limits = (stroke[0][0], stroke[-1][0])
    mjcf.position_motor(model, "jaw", name="gripper", kp=12, kv=0.4, force=SERVO_NM / 2, range_=limits)


def _jaw(body: mjcf.Element, name: str, *, at_m: mjcf.Numbers) -> mjcf.Element:
    return mjcf.pad(body, name, half_m=_PAD_HALF_M, at_m=at_m, mass_kg=0.01, friction=1.5, rgba=ORANGE_RGBA)


ROBOT = Embodiment(
    name="so100",
    evidence=Evidence.ROBOT,
    joints=tuple(Joint(each.name, each.lower_rad, each.upper_rad, SERVO_RAD_S, _DOCUMENT) for each in _LINKS),
    cameras=("scene", "wrist"),
    model=_model(),
    reach_m=(0.075, 0.12),
    arms=(
        Arm(
            name="arm",
            joints=tuple(each.name for each in _LINKS),
            tip="tip",
            # Tip 10 cm above the middle of the table, hand down.
            home=(0.1304, 1.5495, -1.0618, 0.7424, -1.7012),
            gripper=Gripper(
                joint="gripper",
                open_m=_stroke()[-1][1],
                stroke=_stroke(),
                source="measured from this model, whose hinge and jaw are the URDF's",
            ),
        ),
    ),
)
