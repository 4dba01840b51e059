"""Pictures of a simulated world without a display: OpenGL in software, or rays where there is no OpenGL."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import UnknownName
from robokata.geometry.poses import Pose, pose_of, rotation_from_quat_xyzw
from robokata.sim.gl import backend, mujoco

Picture = NDArray[np.uint8]
_AMBIENT = 0.35
"""Share of a surface's colour that rays see when it faces away from the light."""


class Pinhole(NamedTuple):
    """Intrinsics of a rendered camera, in pixels; the middle of the first pixel is (0.5, 0.5)."""

    focal_px: float
    centre_px: tuple[float, float]
    height_px: int
    width_px: int


class View(NamedTuple):
    """Everything that a camera can say of one moment."""

    rgb: Picture
    """(H, W, 3)."""
    depth_m: NDArray[np.float32]
    """(H, W), along the optical axis; infinity where there is nothing."""
    geoms: NDArray[np.int32]
    """(H, W), number of the geom that is seen, -1 where there is none."""


def pinhole_of(model: Any, camera: str, *, height_px: int, width_px: int) -> Pinhole:
    """Intrinsics: f = H / (2 tan(fovy / 2)), the centre in the middle."""
    fovy_rad = math.radians(float(model.cam_fovy[model.camera(camera).id]))
    return Pinhole(height_px / (2 * math.tan(fovy_rad / 2)), (width_px / 2, height_px / 2), height_px, width_px)


def camera_pose(model: Any, data: Any, camera: str) -> Pose:
    """world_from_camera in OpenCV's axes: x right, y down, z ahead."""
    number = model.camera(camera).id
    # MuJoCo's cameras look along -z with y up.
    rotation = data.cam_xmat[number].reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])
    return pose_of(data.cam_xpos[number], rotation)


def camera_in_body(model: Any, camera: str) -> Pose:
    """body_from_camera of the body that carries a camera, in OpenCV's axes."""
    number = model.camera(camera).id
    rotation = rotation_from_quat_xyzw(model.cam_quat[number][[1, 2, 3, 0]]) @ np.diag([1.0, -1.0, -1.0])
    return pose_of(model.cam_pos[number], rotation)


class Renderer:
    """Renders moments of one model. A class, because it owns an OpenGL context; use it in the thread that made it."""

    def __init__(self, model: Any, *, height_px: int, width_px: int) -> None:
        self._mujoco, self._model = mujoco(), model
        self.height_px, self.width_px = height_px, width_px
        self._data = self._mujoco.MjData(model)
        self._gl = None if backend().name == "rays" else _Gl(self._mujoco, model, height_px, width_px)
        self._rays: dict[str, NDArray[np.float64]] = {}

    def close(self) -> None:
        """Give the OpenGL context back."""
        if self._gl is not None:
            self._gl.close()
            self._gl = None

    def at(self, physics: NDArray[np.float64]) -> None:
        """Go to a stored moment, (nq + nv,): where everything is, without stepping."""
        self._data.qpos[:] = physics[: self._model.nq]
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_camlight(self._model, self._data)

    def rgb(self, camera: str) -> Picture:
        """The picture of one camera, (H, W, 3).

        Raises:
            UnknownName: the model has no such camera.
        """
        number = self._camera(camera)
        if self._gl is not None:
            return self._gl.rgb(self._data, number)
        return self._shade(number, *self._cast(camera, number))

    def view(self, camera: str) -> View:
        """Colour, depth and segmentation of one camera, by rays: exact, and the same on every machine.

        Raises:
            UnknownName: the model has no such camera.
        """
        number = self._camera(camera)
        distance_m, geoms = self._cast(camera, number)
        ahead = -self._directions(camera)[:, 2].reshape(self.height_px, self.width_px)
        depth_m = np.where(geoms >= 0, distance_m * ahead, np.inf).astype(np.float32)
        return View(self.rgb(camera), depth_m, geoms)

    def _camera(self, camera: str) -> int:
        names = [self._model.camera(number).name for number in range(self._model.ncam)]
        if camera not in names:
            raise UnknownName("camera of the model", camera, names)
        return names.index(camera)

    def _directions(self, camera: str) -> NDArray[np.float64]:
        """Unit rays in the camera's frame, (H * W, 3)."""
        if camera not in self._rays:
            hole = pinhole_of(self._model, camera, height_px=self.height_px, width_px=self.width_px)
            u = (np.arange(self.width_px) + 0.5 - hole.centre_px[0]) / hole.focal_px
            v = (np.arange(self.height_px) + 0.5 - hole.centre_px[1]) / hole.focal_px
            rays = np.stack([*np.meshgrid(u, -v), np.full((self.height_px, self.width_px), -1.0)], axis=-1)
            self._rays[camera] = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)
        return self._rays[camera]

    def _cast(self, camera: str, number: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Distance (H, W) and geom (H, W) along every ray."""
        count = self.height_px * self.width_px
        rays = self._directions(camera) @ self._data.cam_xmat[number].reshape(3, 3).T
        geoms, distance_m = np.empty(count, np.int32), np.empty(count)
        origin = self._data.cam_xpos[number].reshape(3, 1)
        seen_groups = np.array([1, 1, 1, 0, 0, 0], np.uint8)
        words = (self._model, self._data, origin, rays.reshape(-1), seen_groups, 1, -1, geoms, distance_m)
        try:
            self._mujoco.mj_multiRay(*words, count, self._mujoco.mjMAXVAL)
        except TypeError:  # newer versions give normals too
            self._mujoco.mj_multiRay(*words, None, count, self._mujoco.mjMAXVAL)
        shape = (self.height_px, self.width_px)
        return distance_m.reshape(shape), geoms.reshape(shape)

    def _shade(self, number: int, distance_m: NDArray[np.float64], geoms: NDArray[np.int32]) -> Picture:
        """Colour of the geom, darker where its surface turns from the camera."""
        name = self._model.camera(number).name
        points = self._directions(name).reshape(self.height_px, self.width_px, 3) * distance_m[..., None]
        right, down = np.gradient(points, axis=1), np.gradient(points, axis=0)
        normals = np.cross(right, down)
        length = np.linalg.norm(normals, axis=-1)
        facing = np.abs((normals * self._directions(name).reshape(points.shape)).sum(-1)) / np.maximum(length, 1e-12)
        colours = self._model.geom_rgba[:, :3].copy()
        materials = self._model.geom_matid
        colours[materials >= 0] = self._model.mat_rgba[materials[materials >= 0], :3]
        shown = colours[geoms] * (_AMBIENT + (1 - _AMBIENT) * facing[..., None])
        return np.where(geoms[..., None] >= 0, np.clip(shown, 0, 1) * 255, 0).astype(np.uint8)


def renderer_of(world: Any, *, height_px: int, width_px: int) -> Renderer:
    """The renderer of a world at this size, made once per world: an OpenGL context costs as much as a hundred pictures.

    It belongs to the thread that first asks.
    """
    known: dict[tuple[int, int], Renderer] = world.__dict__.setdefault("_renderers", {})
    if (height_px, width_px) not in known:
        known[height_px, width_px] = Renderer(world.model, height_px=height_px, width_px=width_px)
    return known[height_px, width_px]


class _Gl:
    """An offscreen OpenGL context for one model."""

    def __init__(self, module: Any, model: Any, height_px: int, width_px: int) -> None:
        self._mujoco, self._model = module, model
        self._context = module.GLContext(width_px, height_px)
        self._context.make_current()
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width_px)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height_px)
        self._scene = module.MjvScene(model, maxgeom=model.ngeom + 50)
        self._option, self._perturb = module.MjvOption(), module.MjvPerturb()
        self._camera = module.MjvCamera()
        self._camera.type = module.mjtCamera.mjCAMERA_FIXED
        self._render = module.MjrContext(model, module.mjtFontScale.mjFONTSCALE_100)
        module.mjr_setBuffer(module.mjtFramebuffer.mjFB_OFFSCREEN, self._render)
        self._rectangle = module.MjrRect(0, 0, width_px, height_px)
        self._pixels = np.empty((height_px, width_px, 3), np.uint8)

    def rgb(self, data: Any, camera: int) -> Picture:
        module = self._mujoco
        self._context.make_current()
        self._camera.fixedcamid = camera
        flags = module.mjtCatBit.mjCAT_ALL.value
        module.mjv_updateScene(self._model, data, self._option, self._perturb, self._camera, flags, self._scene)
        self._scene.flags[module.mjtRndFlag.mjRND_REFLECTION] = 0
        self._scene.flags[module.mjtRndFlag.mjRND_SHADOW] = 0
        module.mjr_render(self._rectangle, self._scene, self._render)
        module.mjr_readPixels(self._pixels, None, self._rectangle, self._render)
        return self._pixels[::-1].copy()  # OpenGL's rows rise

    def close(self) -> None:
        self._render.free()
        self._context.free()
