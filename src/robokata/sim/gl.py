"""Which renderer this machine has: EGL, else OSMesa, else rays; chosen before MuJoCo is imported."""

from __future__ import annotations

import ctypes.util
import functools
import os
from typing import Any, NamedTuple

from robokata.core.require import require

_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}


class Backend(NamedTuple):
    """The renderer in use, and why it is this one."""

    name: str
    """`egl`, `osmesa`, `glfw` or `rays`."""
    reason: str


@functools.cache
def backend() -> Backend:
    """The renderer of this process. `MUJOCO_GL` in the environment insists; `MUJOCO_GL=rays` asks for the ray caster.

    It must be known before MuJoCo is imported: without a display, an unset variable makes the import fail.
    """
    wish = os.environ.get("MUJOCO_GL", "").lower()
    if wish and wish not in ("rays", "disable", "disabled", "off", "false", "0"):
        return Backend(wish, "MUJOCO_GL asks for it")
    if wish:
        os.environ["MUJOCO_GL"] = "disable"
        return Backend("rays", "MUJOCO_GL asks for no OpenGL")
    for name, library in _LIBRARIES.items():
        if ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = name
            return Backend(name, f"lib{library} is installed")
    os.environ["MUJOCO_GL"] = "disable"
    return Backend("rays", "neither libEGL nor libOSMesa is installed (apt-get install libegl1 libegl-mesa0)")


@functools.cache
def mujoco() -> Any:
    """MuJoCo, imported with the renderer chosen.

    Raises:
        MissingPart: MuJoCo is not installed.
    """
    backend()
    return require("mujoco", extra="sim")
