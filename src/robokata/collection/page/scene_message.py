"""The description of a scene that a page receives once: shapes, arms, cameras and bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robokata.collection.session.commands import FASTEST_M_S, FASTEST_RAD_S, VERSION
from robokata.collection.session.operator_view import operator_yaw_rad
from robokata.collection.session.session import Session
from robokata.sim.world import SimWorld

_SHAPES = {0: "plane", 2: "sphere", 3: "capsule", 4: "ellipsoid", 5: "cylinder", 6: "box"}
"""MuJoCo's mjtGeom."""
_SHOWN_GROUPS = 3
"""Groups 0 to 2 are drawn, as MuJoCo's own viewer does."""


def scene_message(session: Session) -> dict[str, Any]:
    """The greeting: plain values for `json.dumps`."""
    world, options = session.world, session.options
    limits = session.bounds.joints
    return {
        "type": "hello",
        "v": VERSION,
        "task": options.scene.task,
        "robot": world.robot.name,
        "width": str(options.width),
        "out": str(options.out),
        "control_hz": options.scene.control_hz,
        "limit_s": options.limit_s,
        "instruction": session.instruction,
        "cameras": [_camera(world, name) for name in world.robot.cameras],
        "arms": [
            {
                "name": arm.name,
                "joints": [name.rpartition("/")[2] for name in arm.joints],
                "limits": [[_finite(low), _finite(high)] for low, high in limits[arm.name].tolist()],
                "home": list(arm.home),
                "opening_m": world.max_opening_m(arm.name),
            }
            for arm in world.robot.arms
        ],
        "props": [prop.name for prop in world.props],
        "geoms": _geoms(world),
        "operator_yaw_rad": operator_yaw_rad(world.robot, world.model, world.data),
        "bounds": [session.bounds.low_m.tolist(), session.bounds.high_m.tolist()],
        "fastest": [FASTEST_M_S, FASTEST_RAD_S],
    }


def _geoms(world: SimWorld) -> list[dict[str, Any]]:
    model, out = world.model, []
    for number in range(model.ngeom):
        kind = _SHAPES.get(int(model.geom_type[number]))
        if kind is None or model.geom_group[number] >= _SHOWN_GROUPS:
            continue
        material = int(model.geom_matid[number])
        rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[number]
        out.append(
            {
                "number": number,
                "shape": kind,
                "size": model.geom_size[number].tolist(),
                "rgba": np.round(rgba, 4).tolist(),
                "name": model.geom(number).name,
            }
        )
    return out


def _camera(world: SimWorld, name: str) -> dict[str, Any]:
    number = world.model.camera(name).id
    return {
        "name": name,
        "fovy_rad": math.radians(float(world.model.cam_fovy[number])),
        "is_fixed": int(world.model.cam_bodyid[number]) == 0,
        # Columns: right, up, backward in the world; for fixed cameras it stays so.
        "turn": world.data.cam_xmat[number].tolist(),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
