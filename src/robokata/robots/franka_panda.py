"""A Panda-like arm: Franka Emika's kinematics and limits, drawn from primitives."""

from __future__ import annotations

from typing import NamedTuple

from robokata.core.episode import Arm, Embodiment, Gripper, Joint
from robokata.core.stream import Evidence
from robokata.robots import _mjcf as mjcf

_DOCUMENT = "Franka Control Interface documentation, Robot and interface specifications (Panda)"
GRIPPER_OPEN_M = 0.08  # Franka Hand product manual 1.3, table 2 (stroke of both jaws together)
BASE_BEHIND_M = (
    0.5  # our table: its middle lies half a metre ahead of the arm, where the document's workspace is widest
)
TIP_FROM_HAND_M = 0.1034  # the same, hand to fingertip centre (frame of the end effector in libfranka's defaults)


class _Link(NamedTuple):
    """One joint and the link behind it."""

    at_m: tuple[float, float, float]
    """From the joint before, in its frame: the Denavit-Hartenberg parameters of the document."""
    roll: int
    """Quarter turns about x."""
    lower_rad: float
    upper_rad: float
    speed_rad_s: float
    torque_nm: float
    kp: float
    mass_kg: float


_LINKS = (
    _Link((0, 0, 0.333), 0, -2.8973, 2.8973, 2.175, 87, 4500, 3.0),
    _Link((0, 0, 0), -1, -1.7628, 1.7628, 2.175, 87, 4500, 3.0),
    _Link((0, -0.316, 0), 1, -2.8973, 2.8973, 2.175, 87, 3500, 2.5),
    _Link((0.0825, 0, 0), 1, -3.0718, -0.0698, 2.175, 87, 3500, 2.5),
    _Link((-0.0825, 0.384, 0), -1, -2.8973, 2.8973, 2.61, 12, 2000, 2.0),
    _Link((0, 0, 0), 1, -0.0175, 3.7525, 2.61, 12, 2000, 1.5),
    _Link((0.088, 0, 0), 1, -2.8973, 2.8973, 2.61, 12, 2000, 0.5),
)
_HALF = 0.70710678
_TURNS = {-1: (_HALF, -_HALF, 0, 0), 0: (1, 0, 0, 0), 1: (_HALF, _HALF, 0, 0)}
_SHELLS: tuple[tuple[tuple[float, ...], float], ...] = (
    ((0, 0, -0.26, 0, 0, -0.06), 0.062),
    ((0, 0, -0.06, 0, 0, 0.06), 0.06),
    ((0, 0, -0.16, 0, 0, -0.05), 0.058),
    ((0, 0, -0.05, 0, 0, 0.05), 0.056),
    ((0, 0, -0.30, 0, 0.04, -0.06), 0.05),
    ((0, 0, -0.04, 0, 0, 0.04), 0.05),
    ((0, 0, 0.0, 0, 0, 0.07), 0.042),
)
"""Capsules that show each link: ends (m) and radius (m). For looks only."""
# kv = kp/10 damps the joints to about critical with the masses above; measured overshoot of a 0.3 rad step: below 2 %.
_KV_SHARE = 0.1


def _model() -> str:
    model = mjcf.root("franka_panda")
    world = mjcf.place(model, "worldbody")
    # In front of the table's middle, and beside it, as a person would sit.
    mjcf.camera(world, "scene", at_m=(0.60, 0, 0.55), right_up=(0, 1, 0, -0.61, 0, 0.79), fovy_deg=40)
    body = mjcf.link(world, "base", at_m=(-BASE_BEHIND_M, 0, 0), mass_kg=3.0, size_m=0.08)
    mjcf.shell(body, "cylinder", size_m=(0.075, 0.04), rgba=mjcf.ARM_RGBA, pos="0 0 0.04")
    for number, (each, (ends, radius)) in enumerate(zip(_LINKS, _SHELLS, strict=True), start=1):
        turn = _TURNS[each.roll]
        body = mjcf.link(body, f"link{number}", at_m=each.at_m, quat_wxyz=turn, mass_kg=each.mass_kg, size_m=0.06)
        limits = (each.lower_rad, each.upper_rad)
        mjcf.hinge(body, f"joint{number}", axis=(0, 0, 1), range_rad=limits, damping=1.0, armature=0.1)
        rgba = mjcf.ARM_RGBA if number % 2 else mjcf.DARK_RGBA
        mjcf.shell(body, "capsule", size_m=(radius,), rgba=rgba, fromto=mjcf.text(ends))
        name, kv = f"joint{number}", each.kp * _KV_SHARE
        mjcf.position_motor(model, name, name=name, kp=each.kp, kv=kv, force=each.torque_nm, range_=limits)
    _add_hand(model, body)
    return mjcf.as_text(model)


def _add_hand(model: mjcf.Element, flange: mjcf.Element) -> None:
    eighth = (0.9238795, 0, 0, -0.3826834)  # the hand is mounted 45 degrees about the flange's axis
    hand = mjcf.link(flange, "hand", at_m=(0, 0, 0.107), quat_wxyz=eighth, mass_kg=0.7, size_m=0.05)
    palm_m = (0.02, 0.1, 0.03)
    mjcf.pad(hand, "arm/palm", half_m=palm_m, at_m=(0, 0, 0.03), mass_kg=0, friction=0.5, rgba=mjcf.ARM_RGBA)
    mjcf.site(hand, "tip", at_m=(0, 0, TIP_FROM_HAND_M))
    # Behind the jaws and tilted to see what lies between them, as wrist cameras are mounted.
    mjcf.camera(hand, "wrist", at_m=(0.07, 0, 0.02), right_up=(0, 1, 0, 0.92, 0, 0.35), fovy_deg=75)
    for side, sign in (("left", 1), ("right", -1)):
        finger = mjcf.link(hand, f"{side}_finger", at_m=(0, 0, 0.0584), mass_kg=0.05, size_m=0.02)
        limits = (0.0, GRIPPER_OPEN_M / 2)
        joint = mjcf.hinge(finger, f"finger_{side}", axis=(0, sign, 0), range_rad=limits, damping=10.0, armature=0.05)
        joint.set("type", "slide")
        at_m = (0, sign * 0.0075, 0.03)
        mjcf.pad(
            finger,
            f"arm/jaw_{side}",
            half_m=(0.0105, 0.0075, 0.0265),
            at_m=at_m,
            mass_kg=0.02,
            friction=1.5,
            rgba=mjcf.PAD_RGBA,
        )
    mjcf.coupled(model, "finger_right", by="finger_left")
    # 70 N is the hand's continuous force; 40 N holds every prop of ours.
    mjcf.position_motor(model, "finger_left", name="gripper", kp=800, kv=40, force=40, range_=(0, GRIPPER_OPEN_M / 2))


ROBOT = Embodiment(
    name="franka_panda",
    evidence=Evidence.ROBOT,
    joints=tuple(
        Joint(f"joint{number}", each.lower_rad, each.upper_rad, each.speed_rad_s, _DOCUMENT)
        for number, each in enumerate(_LINKS, start=1)
    ),
    cameras=("scene", "wrist"),
    model=_model(),
    reach_m=(0.16, 0.28),
    arms=(
        Arm(
            name="arm",
            joints=tuple(f"joint{number}" for number in range(1, len(_LINKS) + 1)),
            tip="tip",
            # Ready pose: tip 0.463 m ahead and 0.275 m above the table, hand down, elbow up.
            home=(0.0, -0.1847, 0.0, -2.4246, 0.0, 2.2399, 0.7854),
            gripper=Gripper(
                joint="gripper",
                open_m=GRIPPER_OPEN_M,
                stroke=((0.0, 0.0), (GRIPPER_OPEN_M / 2, GRIPPER_OPEN_M)),
                source="Franka Hand product manual 1.3, table 2",
            ),
        ),
    ),
)
