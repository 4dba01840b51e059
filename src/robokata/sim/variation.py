"""Named factors that change how a world looks or behaves, with magnitudes in physical units and a seed.

The same factors serve expansion (more variety to train on) and evaluation (one factor at a time to probe with).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from robokata.core.errors import RecipeRefused, UnknownName
from robokata.core.world import TABLE, Prop, Shape, Solid
from robokata.geometry.poses import quat_xyzw_of, rotation_from_quat_xyzw, rotation_from_vector
from robokata.sim.gl import mujoco
from robokata.sim.model import TEXTURES
from robokata.sim.world import SimWorld

Rng = np.random.Generator


class Changes(enum.StrEnum):
    """What must be done again when a factor changes."""

    LOOKS = "looks"
    """The pictures only: they are rendered again from the stored states."""
    PHYSICS = "physics"
    """The motion: it is simulated again."""


class Factor(NamedTuple):
    """One thing that can vary."""

    name: str
    unit: str
    usual: float
    """Magnitude that one would call a clear change of a lab."""
    changes: Changes
    says: str
    apply: Callable[[SimWorld, float, Rng], Mapping[str, Any]]
    """Change the world; gives back what was drawn."""


@dataclass(frozen=True)
class Variation:
    """Which factors vary, how far, and the seed of what is drawn."""

    magnitudes: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.magnitudes:
            factor_of(name)

    @property
    def distractors(self) -> int:
        """Things on the table that the task does not name."""
        return round(self.magnitudes.get("distractors", 0))

    @property
    def changes_physics(self) -> bool:
        """True where the motion must be simulated again."""
        return any(factor_of(name).changes is Changes.PHYSICS for name, size in self.magnitudes.items() if size)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"magnitudes": dict(self.magnitudes), "seed": self.seed}


NO_VARIATION = Variation()
"""Everything as the task says."""


def factor_of(name: str) -> Factor:
    """A factor by name.

    Raises:
        UnknownName: there is none.
    """
    for factor in FACTORS:
        if factor.name == name:
            return factor
    raise UnknownName("factor", name, [factor.name for factor in FACTORS])


def variation_from(words: Sequence[str], *, seed: int) -> Variation:
    """`light`, `light=0.8`, ... as a variation; a factor without a number has its usual magnitude.

    Raises:
        UnknownName: there is no such factor.
        RecipeRefused: a magnitude is no positive number.
    """
    magnitudes = {}
    for word in words:
        name, _, value = word.partition("=")
        usual = factor_of(name).usual
        try:
            size = float(value) if value else usual
        except ValueError:
            size = -1.0
        if not 0 < size < 1e6:
            raise RecipeRefused(f"{word}: {value!r} is no magnitude. Give a number in {factor_of(name).unit}.")
        magnitudes[name] = size
    return Variation(magnitudes, seed)


def vary(world: SimWorld, variation: Variation, *, number: int) -> dict[str, Any]:
    """Change a world in which everything was just placed, and which has yet to settle; what was drawn, by factor.

    Each factor draws from its own stream: adding one does not change the others.
    """
    drawn: dict[str, Any] = {}
    for order, factor in enumerate(FACTORS):
        size = float(variation.magnitudes.get(factor.name, 0.0))
        if size:
            rng = np.random.default_rng([variation.seed, number, order, 104729])
            drawn[factor.name] = {"magnitude": size, "unit": factor.unit, **factor.apply(world, size, rng)}
    if variation.changes_physics:
        world.weigh()
    return drawn


def distractor_props(count: int) -> tuple[Prop, ...]:
    """Things that stand beside the task: fixed, in colours that no task names."""
    return tuple(
        Prop(f"distractor_{number}", (_DISTRACTORS[number % len(_DISTRACTORS)],), is_free=False, is_distractor=True)
        for number in range(count)
    )


def _light(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Brightness by up to `size` up or down, and the direction by up to 45 degrees times it."""
    gain = float(1 + size * rng.uniform(-1, 1))
    tilt = rotation_from_vector(rng.uniform(-1, 1, 3) * size * math.pi / 4)
    world.model.light_diffuse[:] = np.clip(world.model.light_diffuse * gain, 0, 1)
    world.model.light_dir[:] = world.model.light_dir @ tilt.T
    world.model.vis.headlight.ambient[:] = np.clip(world.model.vis.headlight.ambient * gain, 0, 1)
    return {"gain": gain}


def _texture(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Another table: its pattern, and its colour by up to `size` of full scale."""
    name = str(rng.choice(TEXTURES))
    material = world.model.material(name).id
    shift = rng.uniform(-size, size, 3)
    world.model.geom_matid[world.model.geom(TABLE).id] = material
    world.model.mat_rgba[material, :3] = np.clip(world.model.mat_rgba[material, :3] + shift, 0.05, 1)
    return {"pattern": name, "shift": shift.tolist()}


def _camera(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Fixed cameras move by `size` metres in some direction, and turn by one radian per metre about some axis."""
    moved = {}
    for number in range(world.model.ncam):
        if world.model.cam_bodyid[number] != 0:
            continue
        shift, axis = rng.normal(size=3), rng.normal(size=3)
        shift *= size / np.linalg.norm(shift)
        turn = rotation_from_vector(axis / np.linalg.norm(axis) * size)
        world.model.cam_pos[number] += shift
        rotation = turn @ rotation_from_quat_xyzw(world.model.cam_quat[number][[1, 2, 3, 0]])
        x, y, z, w = quat_xyzw_of(rotation)
        world.model.cam_quat[number] = [w, x, y, z]
        moved[world.model.camera(number).name] = {"shift_m": shift.tolist(), "turn_rad": size}
    return {"cameras": moved}


def _distractors(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """They stand where the reach ends, clear of every prop."""
    reach = np.array(world.robot.reach_m or (0.16, 0.28))
    taken = [world.pose(prop.name)[:2, 3] for prop in world.props if prop.parent is None and not prop.is_distractor]
    places = {}
    for prop in world.props:
        if not prop.is_distractor:
            continue
        for _ in range(200):
            place = rng.uniform(-1.15, 1.15, 2) * reach
            if all(np.linalg.norm(place - other) > 0.12 for other in taken):
                break
        taken.append(place)
        height_m = prop.solids[0].size_m[-1] if prop.solids[0].shape is not Shape.SPHERE else prop.solids[0].size_m[0]
        world.model.body_pos[world.model.body(prop.name).id] = [*place, height_m]
        places[prop.name] = place.tolist()
    return {"places_m": places}


def _size(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Every free prop grows or shrinks by up to this share; its mass follows its volume."""
    out = {}
    for prop in world.free_props:
        scale = float(1 + size * rng.uniform(-1, 1))
        world.rescale(prop.name, scale)
        out[prop.name] = scale
    return {"scale": out}


def _mass(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Mass of every free prop times or divided by up to 1 + `size`."""
    out = {}
    for prop in world.free_props:
        factor = float((1 + size) ** rng.uniform(-1, 1))
        body = world.model.body(prop.name).id
        world.model.body_mass[body] *= factor
        world.model.body_inertia[body] *= factor
        out[prop.name] = factor
    return {"factor": out}


def _friction(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Sliding friction of every free prop times or divided by up to 1 + `size`."""
    out = {}
    for prop in world.free_props:
        factor = float((1 + size) ** rng.uniform(-1, 1))
        for geom in world.geoms_of(prop.name):
            world.model.geom_friction[geom, 0] *= factor
        out[prop.name] = factor
    return {"factor": out}


def _shape(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Free boxes become upright cylinders of the same width and height: another object for the same words."""
    cylinder = int(mujoco().mjtGeom.mjGEOM_CYLINDER)
    changed = []
    for prop in world.free_props:
        for geom, solid in zip(world.geoms_of(prop.name), prop.solids, strict=True):
            if solid.shape is Shape.BOX:
                # As large as it is now: another factor may have changed its size.
                half_x, half_y, half_z = world.model.geom_size[geom]
                world.model.geom_type[geom] = cylinder
                world.model.geom_size[geom] = [min(half_x, half_y), half_z, 0.0]
                changed.append(prop.name)
    return {"cylinders": changed}


def _start(world: SimWorld, size: float, rng: Rng) -> Mapping[str, Any]:
    """Every joint starts elsewhere by a normal deviation of `size` radians."""
    return {"offset_rad": world.shift_start(size, rng)}


_DISTRACTORS = (
    Solid(Shape.CYLINDER, (0.025, 0.04), (0.55, 0.25, 0.65, 1.0), 0.1),
    Solid(Shape.BOX, (0.03, 0.02, 0.025), (0.95, 0.60, 0.15, 1.0), 0.1),
    Solid(Shape.SPHERE, (0.025,), (0.35, 0.25, 0.18, 1.0), 0.1),
    Solid(Shape.CYLINDER, (0.03, 0.015), (0.90, 0.90, 0.88, 1.0), 0.1),
)
FACTORS = (
    Factor("light", "share", 0.5, Changes.LOOKS, "brightness and direction of the light", _light),
    Factor("texture", "share", 0.25, Changes.LOOKS, "pattern and colour of the table", _texture),
    Factor("camera_pose", "m", 0.05, Changes.LOOKS, "where the fixed cameras stand and look", _camera),
    Factor("distractors", "count", 3.0, Changes.LOOKS, "things that the task does not name", _distractors),
    Factor("object_size", "share", 0.15, Changes.PHYSICS, "size of the props", _size),
    Factor("object_mass", "share", 1.0, Changes.PHYSICS, "mass of the props", _mass),
    Factor("object_friction", "share", 0.5, Changes.PHYSICS, "friction of the props", _friction),
    Factor("object_shape", "count", 1.0, Changes.PHYSICS, "boxes become cylinders", _shape),
    Factor("robot_start", "rad", 0.1, Changes.PHYSICS, "joints at the start", _start),
)
"""Colosseum's magnitudes where it has them (camera 0.1 m and 0.05 rad, arXiv 2402.08191); else about twice what one
sees between two labs."""
