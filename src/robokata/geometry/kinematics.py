"""Where the parts of a robot are, from its joint values and its kinematic model in MJCF; no simulator is needed.

Bodies are a tree: a joint turns about (or slides along) its axis in its body's frame, before the body's children
(MuJoCo documentation, Modeling, Kinematic tree).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import Unsupported
from robokata.geometry.poses import Pose, pose_of, rotation_from_quat_xyzw, rotation_from_vector

MAX_MODEL_BYTES = 4_000_000
"""Longest model text that is parsed: a humanoid with hands has 200 kB."""
_KEEPS = ("site", "camera", "geom")
_UNREAD = ("euler", "axisangle", "zaxis", "xyaxes")


class Axis(NamedTuple):
    """A joint as a line in the model's frame."""

    point_m: NDArray[np.float64]
    direction: NDArray[np.float64]
    """Of length one."""
    is_slide: bool


class Placed(NamedTuple):
    """Where everything is, `model_from_x`, at one set of joint values."""

    axes: dict[str, Axis]
    sites: dict[str, Pose]
    cameras: dict[str, Pose]
    """x right, y up, looking along -z."""
    geoms: dict[str, Pose]
    """Those that have a name."""


def placed(model: str, joints: Mapping[str, float]) -> Placed:
    """Where the parts of a model are; joints that are not named stand at 0 (rad or m).

    Raises:
        Unsupported: the text is no MJCF that we read.
    """
    out = Placed({}, {}, {}, {})
    coupled = {name: by for name, by in _couplings(model) if by in joints}
    values = {**joints, **{name: joints[by] for name, by in coupled.items()}}
    for body in _world_of(model):
        _walk(body, np.eye(4), values, out)
    return out


def _walk(body: ET.Element, parent: Pose, joints: Mapping[str, float], out: Placed) -> None:
    pose = parent if body.tag == "worldbody" else parent @ _pose(body)
    for joint in body.findall("joint"):
        name = joint.get("name", "")
        direction = _numbers(joint, "axis", (0.0, 0.0, 1.0))
        direction = direction / np.linalg.norm(direction)
        pivot_m = _numbers(joint, "pos", (0.0, 0.0, 0.0))
        out.axes[name] = Axis(
            pose[:3, :3] @ pivot_m + pose[:3, 3], pose[:3, :3] @ direction, joint.get("type", "hinge") == "slide"
        )
        pose = pose @ _moved(joint, direction, pivot_m, joints.get(name, 0.0))
    for tag, kept in zip(_KEEPS, (out.sites, out.cameras, out.geoms), strict=True):
        for part in body.findall(tag):
            if part.get("name"):
                kept[part.get("name", "")] = pose @ _pose(part)
    for child in body.findall("body"):
        _walk(child, pose, joints, out)


def _moved(joint: ET.Element, axis: NDArray[np.float64], pivot_m: NDArray[np.float64], value: float) -> Pose:
    kind = joint.get("type", "hinge")
    if kind == "slide":
        return pose_of(axis * value)
    if kind != "hinge":
        raise Unsupported(f"joint {joint.get('name')!r} is a {kind} joint; robots of hinges and slides are read.")
    rotation = rotation_from_vector(axis * value)
    return pose_of(pivot_m - rotation @ pivot_m, rotation)


def _pose(part: ET.Element) -> Pose:
    odd = next((name for name in _UNREAD if part.get(name) and not (name == "xyaxes" and part.tag == "camera")), None)
    if odd is not None:
        raise Unsupported(f"the model writes a rotation as {odd!r}; quaternions are read.")
    at_m = _numbers(part, "pos", (0.0, 0.0, 0.0))
    if part.get("fromto"):
        ends = _numbers(part, "fromto", ())
        return pose_of((ends[:3] + ends[3:]) / 2)
    if part.get("xyaxes"):
        return pose_of(at_m, _from_axes(_numbers(part, "xyaxes", ())))
    w, x, y, z = _numbers(part, "quat", (1.0, 0.0, 0.0, 0.0))
    return pose_of(at_m, rotation_from_quat_xyzw((x, y, z, w)))


def _from_axes(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    x = axes[:3] / np.linalg.norm(axes[:3])
    y = axes[3:] - (axes[3:] @ x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _numbers(part: ET.Element, name: str, usual: tuple[float, ...]) -> NDArray[np.float64]:
    text = part.get(name)
    return np.array(usual if text is None else [float(word) for word in text.split()])


@functools.lru_cache(maxsize=8)
def _root(model: str) -> ET.Element:
    if len(model) > MAX_MODEL_BYTES:
        raise Unsupported(f"the kinematic model has {len(model)} characters; at most {MAX_MODEL_BYTES} are read.")
    try:
        root = ET.fromstring(model)
    except ET.ParseError as error:
        raise Unsupported(f"the kinematic model is no XML: {error}.") from None
    compiler = root.find("compiler")
    if root.tag != "mujoco" or compiler is None or compiler.get("angle") != "radian":
        raise Unsupported("the kinematic model is no MJCF in radians.")
    return root


def _world_of(model: str) -> list[ET.Element]:
    return _root(model).findall("worldbody")


def _couplings(model: str) -> Iterator[tuple[str, str]]:
    """Joints that follow another with the same value: (driven, driver)."""
    for joint in _root(model).iterfind("equality/joint"):
        if joint.get("polycoef", "").split()[:2] == ["0", "1"]:
            yield joint.get("joint1", ""), joint.get("joint2", "")
