"""A robot and the props of a task as one MuJoCo model."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

from robokata.core.episode import Embodiment
from robokata.core.world import TABLE, Prop, Solid
from robokata.sim.gl import mujoco

PHYSICS_HZ = 500
"""Twice the prototype's rate: a force sensor of 500 Hz reads every step, and 20, 50 and 100 Hz divide it exactly."""
TEXTURES = ("plain", "checker", "stripes", "speckle")
"""What the table can look like; `plain` is the usual one."""
LIGHTS = ("key", "fill")


def model_text(robot: Embodiment, props: Sequence[Prop]) -> str:
    """The MJCF of a scene: the robot's model, a table, two lights, and the props.

    Raises:
        ValueError: the robot has no kinematic model.
    """
    if robot.model is None:
        raise ValueError(f"robot {robot.name} has no kinematic model")
    root = ET.fromstring(robot.model)
    _add_options(root)
    world = _place(root, "worldbody")
    _add_table(root, world)
    bodies = {"": world}
    for prop in props:
        bodies[prop.name] = _add_prop(bodies[prop.parent or ""], prop)
    return ET.tostring(root, encoding="unicode")


def model_hash(text: str) -> str:
    """Short content hash of a model: the same text is the same physics on the same MuJoCo."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=16)
def compiled(text: str) -> Any:
    """The compiled model of this text, shared within a process: copy it before changing it."""
    return mujoco().MjModel.from_xml_string(text)


def _add_options(root: ET.Element) -> None:
    option = ET.SubElement(root, "option", timestep=f"{1 / PHYSICS_HZ:.6g}", integrator="implicitfast", cone="elliptic")
    # A stiff friction cone and three clean-up sweeps: without them a held cube creeps out of the jaws.
    option.set("impratio", "10")
    option.set("noslip_iterations", "3")
    visual = ET.SubElement(root, "visual")
    # Software rendering is bound by vertices at 128 px: fewer facets, no multisampling, no shadow maps.
    quality = {"offsamples": "0", "shadowsize": "0", "numslices": "14", "numstacks": "7", "numquads": "1"}
    ET.SubElement(visual, "quality", quality)
    ET.SubElement(visual, "headlight", ambient="0.3 0.3 0.3", diffuse="0.14 0.14 0.14", specular="0 0 0")
    ET.SubElement(visual, "map", znear="0.01", zfar="10")
    ET.SubElement(visual, "global", offwidth="1280", offheight="960")


def _add_table(root: ET.Element, world: ET.Element) -> None:
    assets = ET.SubElement(root, "asset")
    colours = {"rgb1": "0.80 0.77 0.72", "rgb2": "0.55 0.52 0.50"}
    ET.SubElement(assets, "texture", colours, name="checker", type="2d", builtin="checker", width="64", height="64")
    ET.SubElement(assets, "texture", colours, name="stripes", type="2d", builtin="gradient", width="64", height="64")
    speckle = {"mark": "random", "markrgb": "0.3 0.3 0.3", "random": "0.3"}
    ET.SubElement(
        assets, "texture", colours | speckle, name="speckle", type="2d", builtin="flat", width="64", height="64"
    )
    ET.SubElement(assets, "material", name="plain", rgba="0.62 0.60 0.57 1")
    for name in TEXTURES[1:]:
        ET.SubElement(assets, "material", name=name, texture=name, texrepeat="8 8", texuniform="false")
    ET.SubElement(
        world, "geom", name=TABLE, type="plane", size="2 2 0.1", material="plain", friction="1 0.02 0.0001", condim="4"
    )
    for name, pos, strength in zip(LIGHTS, ("0.6 -0.6 1.6", "-0.3 0.9 1.4"), ("0.42", "0.16"), strict=True):
        look = {"pos": pos, "dir": "-0.2 0 -1", "diffuse": " ".join([strength] * 3), "specular": "0.1 0.1 0.1"}
        ET.SubElement(world, "light", look, name=name, castshadow="false", type="directional")


def _add_prop(parent: ET.Element, prop: Prop) -> ET.Element:
    body = ET.SubElement(parent, "body", name=prop.name, pos=_text(prop.at_m))
    if prop.slide is not None:
        slide = prop.slide
        ET.SubElement(
            body,
            "joint",
            name=f"{prop.name}/slide",
            type="slide",
            axis=_text(slide.axis),
            range=_text(slide.range_m),
            damping=f"{slide.damping_n_s_m:.6g}",
            frictionloss=f"{slide.stiction_n:.6g}",
        )
    elif prop.is_free:
        ET.SubElement(body, "freejoint", name=f"{prop.name}/free")
    for number, solid in enumerate(prop.solids):
        _add_solid(body, f"prop/{prop.name}/{number}", solid)
    for mark, at_m in prop.marks.items():
        ET.SubElement(body, "site", name=f"{prop.name}/{mark}", pos=_text(at_m), size="0.003", group="4")
    return body


def _add_solid(body: ET.Element, name: str, solid: Solid) -> None:
    x, y, z, w = solid.quat_xyzw
    geom = ET.SubElement(body, "geom", name=name, type=solid.shape.value, size=_text(solid.size_m))
    geom.set("pos", _text(solid.at_m))
    geom.set("quat", _text((w, x, y, z)))
    geom.set("rgba", _text(solid.rgba))
    geom.set("mass", f"{solid.mass_kg:.6g}")
    geom.set("friction", f"{solid.friction:.6g} 0.02 0.0001")
    geom.set("condim", "4")
    if solid.collides:
        geom.set("contype", "1")
        geom.set("conaffinity", "3")
    else:
        geom.set("contype", "0")
        geom.set("conaffinity", "0")


def _place(root: ET.Element, name: str) -> ET.Element:
    found = root.find(name)
    return found if found is not None else ET.SubElement(root, name)


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
