"""Kinematic models as MJCF text, written link by link from primitives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

Element = ET.Element
Numbers = Sequence[float]

ARM_RGBA = (0.93, 0.93, 0.95, 1.0)
DARK_RGBA = (0.18, 0.19, 0.21, 1.0)
PAD_RGBA = (0.32, 0.33, 0.35, 1.0)


def text(values: Iterable[float]) -> str:
    """Numbers as an MJCF attribute, short and exact enough to read back to the micrometre."""
    return " ".join(f"{value:.6g}" for value in values)


def root(name: str) -> ET.Element:
    """An empty model with the places that robots and scenes write to."""
    model = ET.Element("mujoco", model=name)
    ET.SubElement(model, "compiler", angle="radian", autolimits="true")
    for place in ("worldbody", "equality", "actuator", "sensor", "contact"):
        ET.SubElement(model, place)
    return model


def place(model: ET.Element, name: str) -> ET.Element:
    """One of the places that `root` made.

    Raises:
        ValueError: the model was not made by `root`.
    """
    found = model.find(name)
    if found is None:
        raise ValueError(f"the model has no <{name}>")
    return found


def link(
    parent: ET.Element, name: str, *, at_m: Numbers, quat_wxyz: Numbers = (1, 0, 0, 0), mass_kg: float, size_m: float
) -> ET.Element:
    """A body whose mass lies in a ball of radius `size_m`; gravity is compensated, as makers' controllers do."""
    body = ET.SubElement(parent, "body", name=name, pos=text(at_m), quat=text(quat_wxyz), gravcomp="1")
    inertia = 0.4 * mass_kg * size_m**2  # a solid ball, 2/5 m r^2
    ET.SubElement(body, "inertial", pos="0 0 0", mass=text([mass_kg]), diaginertia=text([inertia] * 3))
    return body


def hinge(
    body: ET.Element, name: str, *, axis: Numbers, range_rad: Numbers, damping: float, armature: float
) -> ET.Element:
    """A revolute joint; damping in N m s/rad, armature in kg m^2."""
    return ET.SubElement(
        body,
        "joint",
        name=name,
        axis=text(axis),
        range=text(range_rad),
        damping=text([damping]),
        armature=text([armature]),
    )


def shell(body: ET.Element, kind: str, *, size_m: Numbers, rgba: Numbers, **where: str) -> ET.Element:
    """A part that is seen and never touched: arms do not collide, so that physics is spent on what is grasped."""
    look = {"type": kind, "size": text(size_m), "rgba": text(rgba), "group": "1"}
    return ET.SubElement(body, "geom", look | where | {"contype": "0", "conaffinity": "0", "mass": "0"})


def pad(
    body: ET.Element, name: str, *, half_m: Numbers, at_m: Numbers, mass_kg: float, friction: float, rgba: Numbers
) -> ET.Element:
    """A box that touches things: a jaw or a palm. Four-dimensional contact keeps a held cube from turning."""
    return ET.SubElement(
        body,
        "geom",
        name=name,
        type="box",
        size=text(half_m),
        pos=text(at_m),
        mass=text([mass_kg]),
        rgba=text(rgba),
        friction=f"{friction:.6g} 0.02 0.0001",
        condim="4",
        contype="2",
        conaffinity="1",
    )


def site(body: ET.Element, name: str, *, at_m: Numbers, quat_wxyz: Numbers = (1, 0, 0, 0)) -> ET.Element:
    """A named frame that is not seen."""
    where = {"pos": text(at_m), "quat": text(quat_wxyz)}
    return ET.SubElement(body, "site", where, name=name, size="0.004", group="4")


def camera(body: ET.Element, name: str, *, at_m: Numbers, right_up: Numbers, fovy_deg: float) -> ET.Element:
    """A pinhole camera; `right_up` are the directions of its picture's right and up edges in the body's frame (6,)."""
    where = {"pos": text(at_m), "xyaxes": text(right_up), "fovy": text([fovy_deg])}
    return ET.SubElement(body, "camera", where, name=name)


def aimed(at_m: Numbers, toward_m: Numbers, *, right: Numbers) -> Numbers:
    """`right_up` of a camera at a point that looks at another; `right` is square to that line."""
    back = [a - b for a, b in zip(at_m, toward_m, strict=True)]
    length_m = math.sqrt(sum(part * part for part in back))
    x, y, z = (part / length_m for part in back)
    up = (y * right[2] - z * right[1], z * right[0] - x * right[2], x * right[1] - y * right[0])
    return (*right, *up)


def coupled(model: ET.Element, driven: str, *, by: str) -> None:
    """Two joints that always have the same value: jaws on one spindle."""
    ET.SubElement(place(model, "equality"), "joint", joint1=driven, joint2=by, polycoef="0 1 0 0 0")


def position_motor(
    model: ET.Element, joint: str, *, name: str, kp: float, kv: float, force: float, range_: Numbers
) -> None:
    """A position-controlled motor: kp in N m/rad or N/m, `force` the largest torque (N m) or force (N)."""
    ET.SubElement(
        place(model, "actuator"),
        "position",
        name=name,
        joint=joint,
        kp=text([kp]),
        kv=text([kv]),
        forcerange=text([-force, force]),
        ctrlrange=text(range_),
    )


def as_text(model: ET.Element) -> str:
    """The model as MJCF text."""
    ET.indent(model)
    return ET.tostring(model, encoding="unicode")
