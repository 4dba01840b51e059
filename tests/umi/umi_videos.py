"""Videos of a handheld gripper over a board, rendered by MuJoCo, with the truth of every frame.

A camera on a gripper moves over a printed board; two fingers with tags open and close before it. Poses, widths and
the latency against an encoder are known exactly. Lens, exposure, read-out, noise and a hand in the way are settable.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import GRID, Board, FingerTags, GripperRange, opencv
from robokata.collection.umi.camera import Camera, camera_of, pinhole
from robokata.collection.umi.latency import Signal
from robokata.collection.umi.print_board import RulerBar, Sheet, board_bars, drawn, marker_bars
from robokata.collection.umi.rig import TIP_M
from robokata.core.require import require
from robokata.geometry.poses import Rigid
from robokata.media.encode import VideoWriter

Array = NDArray[np.float64]
_PIXELS_PER_M = 8000
"""Of the printed textures: 0.125 mm, a quarter of a pixel of the nearest view."""
_BORDER_MM = 15.0
_PLATE_MM = 4.0
_MUJOCO_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])
"""MuJoCo's camera looks along -z with y up, OpenCV's along z with y down; it also turns a tag to the camera."""
_SHOTS = 7
"""Pictures that one exposed (or rolling) frame is made of."""


@dataclass(frozen=True, eq=False)
class Take:
    """One clip to render."""

    camera: Camera = field(default_factory=lambda: pinhole(960, 720, field_rad=np.deg2rad(70)))
    board: Board = GRID
    """What lies on the table."""
    shows_board: bool = True
    tags: FingerTags = field(default_factory=FingerTags)
    shows_fingers: bool = True
    fingers: GripperRange = field(default_factory=lambda: GripperRange(0.022, 0.086))
    """Distance of the tags when closed and open."""
    frames: int = 90
    rate_hz: Fraction = Fraction(30)
    latency_s: float = 0.0
    """The picture with time t shows the world at t - latency_s."""
    seed: int = 0
    noise_levels: float = 1.5
    """Standard deviation per pixel: a small sensor indoors."""
    exposure_s: float = 0.0
    """Motion during it blurs the picture; its middle is the frame's time."""
    readout_s: float = 0.0
    """Between the first and the last row of a rolling shutter; its middle is the frame's time."""
    has_hand: bool = False
    """A hand-sized thing moves over the board and hides a part of it."""
    hand_m: float = 0.06
    """Half of its length."""
    moves_gripper: bool = True
    pace: float = 1.0
    """How many times faster the camera moves than a careful hand (0.1 m/s, 0.5 rad/s at most)."""
    scale_tag: tuple[int, float] | None = None
    """A marker of its own true size that lies beside the board."""
    crf: int = 12
    """Of the H.264 video: what a good camera writes."""


class Truth(NamedTuple):
    """What is exactly so in a rendered clip."""

    times_s: Array
    """(T,)"""
    tip_pose: Array
    """(T, 7): x y z (m), quaternion x y z w, on the board."""
    camera_pose: Array
    """(T, 7), axes as OpenCV's."""
    width_m: Array
    """(T,): the opening."""
    encoder: Signal
    """The opening at 100 Hz with 0.1 mm noise, on the reference's clock."""


def fisheye_camera() -> Camera:
    """A fisheye of 960 x 720 with 132 degrees across its diagonal."""
    return camera_of("fisheye", 960, 720, (520.0, 521.0, 482.3, 356.1), distortion=(-0.02, 0.004, -0.001, 0.0))


def render_handheld(path: Path, take: Take) -> Truth:
    """Write one video and say what is true in it."""
    rng = np.random.default_rng(take.seed)
    motion = _Motion(rng, take)
    times_s = np.arange(take.frames) / float(take.rate_hz)
    world_s = times_s - take.latency_s
    writer = VideoWriter(path, rate_hz=take.rate_hz, codec="libx264", gop=12, crf=take.crf, threads=1)
    with _Studio(take) as studio:
        for at_s in world_s:
            picture = _exposed(studio, motion, take, float(at_s))
            noisy = picture + rng.normal(0, take.noise_levels, picture.shape) if take.noise_levels else picture
            writer.add(np.clip(noisy, 0, 255).astype(np.uint8))
    writer.close()
    cameras = [motion.camera(float(at_s)) for at_s in world_s]
    tip = Rigid(np.eye(3), np.array(TIP_M))
    told_s = np.arange(-0.5, times_s[-1] + 0.5, 0.01)
    opening = np.asarray([motion.distance_m(float(at_s)) for at_s in told_s]) - take.fingers.closed_m
    return Truth(
        times_s,
        np.stack([camera.then(tip).as_pose() for camera in cameras]),
        np.stack([camera.as_pose() for camera in cameras]),
        np.asarray([motion.distance_m(float(at_s)) for at_s in world_s]) - take.fingers.closed_m,
        Signal(told_s, opening + rng.normal(0, 1e-4, len(told_s))),
    )


def write_encoder(path: Path, signal: Signal) -> None:
    """The encoder's CSV, as `--reference` reads it."""
    rows = [f"{time:.6f},{width:.7f}" for time, width in zip(*signal, strict=True)]
    path.write_text("\n".join(["time_s,width_m", *rows]) + "\n", encoding="utf-8")


def write_orbslam(path: Path, truth: Truth, *, lost: frozenset[int] = frozenset()) -> None:
    """The camera's true path as ORB-SLAM3's `camera_trajectory.csv`; lost frames hold zeros, as it writes them."""
    rows = ["frame_idx,timestamp,state,is_lost,is_keyframe,x,y,z,q_x,q_y,q_z,q_w"]
    for row, (time, pose) in enumerate(zip(truth.times_s, truth.camera_pose, strict=True)):
        numbers = [0.0] * 7 if row in lost else pose.tolist()
        state, flag = ("3", "true") if row in lost else ("2", "false")
        rows.append(",".join([str(row), f"{time:.6f}", state, flag, "false", *(f"{n:.9f}" for n in numbers)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


class _Motion:
    """Smooth hands: where the camera is and how far the fingers are open at any time. Sums of sines and eased steps."""

    def __init__(self, rng: np.random.Generator, take: Take) -> None:
        self._rates = rng.uniform(0.15, 0.55, (6, 2)) * 2 * np.pi
        self._phases = rng.uniform(0, 2 * np.pi, (6, 2))
        self._sizes = np.array([0.045, 0.035, 0.035, 0.16, 0.16, 0.30])[:, np.newaxis] * np.array([0.7, 0.3])
        ends = np.cumsum(rng.uniform(0.25, 0.8, 400))
        self._starts = np.concatenate([[-5.0], ends - 5.0])
        self._levels = rng.uniform(0.05, 0.95, len(self._starts)) if take.moves_gripper else np.full(401, 0.5)
        self._fingers, self._pace = take.fingers, take.pace

    def camera(self, at_s: float) -> Rigid:
        """Board from camera, axes as OpenCV's: about 0.33 m up, looking down, leaning up to 0.2 rad each way."""
        x, y, z, roll, pitch, yaw = np.sum(
            self._sizes * np.sin(self._rates * (at_s * self._pace) + self._phases), axis=1
        )
        # Looking down, the board's up is the picture's up: half a turn about x.
        lean = _turn(2, yaw) @ _turn(0, roll) @ _turn(1, pitch)
        return Rigid(lean @ _MUJOCO_FROM_OPENCV, np.array([x, y - 0.02, 0.33 + z]))

    def distance_m(self, at_s: float) -> float:
        """Between the tags: minimum-jerk moves from level to level."""
        leg = int(np.searchsorted(self._starts, at_s, side="right")) - 1
        share = (at_s - self._starts[leg]) / (self._starts[leg + 1] - self._starts[leg])
        eased = share**3 * (10 - 15 * share + 6 * share**2)
        level = self._levels[leg] + eased * (self._levels[leg + 1] - self._levels[leg])
        return float(self._fingers.closed_m + level * (self._fingers.open_m - self._fingers.closed_m))


def _turn(axis: int, angle_rad: float) -> Array:
    vector = np.zeros(3)
    vector[axis] = angle_rad
    return np.asarray(opencv().Rodrigues(vector)[0], np.float64)


def _exposed(studio: _Studio, motion: _Motion, take: Take, at_s: float) -> Array:
    """One frame: a single picture, the mean of several (exposure), or strips of several (rolling shutter)."""
    if take.exposure_s:
        shares = (np.arange(_SHOTS) + 0.5) / _SHOTS - 0.5
        shots = [studio.picture(motion, at_s + float(share) * take.exposure_s) for share in shares]
        return np.asarray(np.mean(shots, axis=0), np.float64)
    if take.readout_s:
        edges = np.linspace(0, take.camera.height_px, _SHOTS + 1).round().astype(int)
        strips = []
        for number, (top, bottom) in enumerate(itertools.pairwise(edges.tolist())):
            share = (number + 0.5) / _SHOTS - 0.5
            strips.append(studio.picture(motion, at_s + share * take.readout_s)[top:bottom])
        return np.concatenate(strips).astype(np.float64)
    return studio.picture(motion, at_s).astype(np.float64)


class _Studio:
    """The scene and its renderer. A class, because a renderer is opened and closed."""

    def __init__(self, take: Take) -> None:
        # Before the first import: MuJoCo chooses its way of drawing then. EGL needs no display.
        os.environ.setdefault("MUJOCO_GL", "egl")
        self._mujoco = require("mujoco", extra="sim")
        self.take = take
        self._lens = _Lens(take.camera)
        files: dict[str, bytes] = {}
        xml = _scene_xml(take, self._lens, files)
        self._model = self._mujoco.MjModel.from_xml_string(xml, files)
        self._data = self._mujoco.MjData(self._model)
        self._renderer = self._mujoco.Renderer(self._model, self._lens.height_px, self._lens.width_px)

    def __enter__(self) -> _Studio:
        return self

    def __exit__(self, *error: object) -> None:
        self._renderer.close()

    def picture(self, motion: _Motion, at_s: float) -> NDArray[np.uint8]:
        """What the camera sees at one moment, (H, W, 3)."""
        camera = motion.camera(at_s)
        self._place("eye", Rigid(camera.rotation @ _MUJOCO_FROM_OPENCV, camera.shift_m))
        half = motion.distance_m(at_s) / 2
        for name, side in (("left", -1), ("right", 1)):
            tag = Rigid(_MUJOCO_FROM_OPENCV, np.array([side * half, 0.034, self.take.tags.depth_m]))
            self._place(name, camera.then(tag))
        if self.take.has_hand:
            self._place(
                "hand", Rigid(_turn(2, at_s), np.array([0.16 * np.sin(2.1 * at_s), 0.06 * np.cos(1.3 * at_s), 0.05]))
            )
        self._mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera="eye")
        return self._lens.bent(np.asarray(self._renderer.render()))

    def _place(self, body: str, world_from_body: Rigid) -> None:
        if (body in ("left", "right") and not self.take.shows_fingers) or (body == "hand" and not self.take.has_hand):
            return
        number = int(self._model.body(body).mocapid[0])
        pose = world_from_body.as_pose()
        self._data.mocap_pos[number] = pose[:3]
        self._data.mocap_quat[number] = pose[[6, 3, 4, 5]]


class _Lens:
    """How a pinhole picture becomes the camera's. A class, because the map of pixels is made once."""

    def __init__(self, camera: Camera) -> None:
        self._map: tuple[Any, Any] | None = None
        if camera.model == "pinhole":
            self.width_px, self.height_px = camera.width_px, camera.height_px
            self.field_rad = float(2 * np.arctan(camera.height_px / (2 * camera.matrix[1, 1])))
            return
        columns, rows = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
        rays = camera.rays(np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64))
        reach_x, reach_y = np.nanmax(np.abs(rays), axis=0)
        # As many pixels per radian in the middle as the fisheye has, and half as many again for the interpolation.
        focal = 1.5 * camera.matrix[0, 0]
        self.width_px, self.height_px = int(2 * np.ceil(reach_x * focal)), int(2 * np.ceil(reach_y * focal))
        self.field_rad = float(2 * np.arctan(self.height_px / (2 * focal)))
        places = rays * focal + np.array([(self.width_px - 1) / 2, (self.height_px - 1) / 2])
        grid = np.nan_to_num(places, nan=-1.0).astype(np.float32).reshape(camera.height_px, camera.width_px, 2)
        self._map = (grid[..., 0], grid[..., 1])

    def bent(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture through the lens."""
        if self._map is None:
            return picture.copy()
        cv2 = opencv()
        return np.asarray(cv2.remap(picture, *self._map, cv2.INTER_LINEAR))


def _scene_xml(take: Take, lens: _Lens, files: dict[str, bytes]) -> str:
    assets, geoms = [], []
    for name, sheet, place in _printed(take):
        files[f"{name}.png"] = bytes(opencv().imencode(".png", drawn(sheet, pixels_per_m=_PIXELS_PER_M))[1])
        assets.append(
            f'<texture name="{name}" type="2d" file="{name}.png"/>'
            f'<material name="{name}" texture="{name}" specular="0"/>'
        )
        size = f"{sheet.width_mm / 2000:.6f} {sheet.height_mm / 2000:.6f} 0.01"
        geom = f'<geom type="plane" size="{size}" material="{name}" {place}/>'
        if name in ("left", "right"):
            # The finger: from behind its tag to the tip.
            finger = (
                '<geom type="capsule" fromto="0 -0.004 -0.012 0 -0.052 -0.140" size="0.006" rgba="0.2 0.2 0.22 1"/>'
            )
            geom = f'<body name="{name}" mocap="true">{geom}{finger}</body>'
        geoms.append(geom)
    if take.has_hand:
        size = f"{take.hand_m} {take.hand_m * 0.6} 0.02"
        geoms.append(
            f'<body name="hand" mocap="true"><geom type="ellipsoid" size="{size}" rgba="0.8 0.6 0.5 1"/></body>'
        )
    field_deg = np.rad2deg(lens.field_rad)
    return f"""<mujoco><visual><global offwidth="{lens.width_px}" offheight="{lens.height_px}"/>
<quality offsamples="4"/><map znear="0.01" zfar="50"/>
<headlight ambient="0.55 0.55 0.55" diffuse="0.25 0.25 0.25" specular="0 0 0"/></visual>
<statistic extent="1"/>
<asset><texture name="table" type="2d" builtin="checker" width="256" height="256" rgb1=".55 .5 .42" rgb2=".5 .45 .38"/>
<material name="table" texture="table" texrepeat="9 9" specular="0"/>{"".join(assets)}</asset>
<worldbody>
<light pos="0.4 0.5 1.5" dir="-0.25 -0.3 -1" type="directional" castshadow="false" diffuse="0.2 0.2 0.2"/>
<geom type="plane" size="1.5 1.5 0.01" pos="0 0 -0.001" material="table"/>{"".join(geoms)}
<body name="eye" mocap="true"><camera name="eye" fovy="{field_deg:.9f}"/></body></worldbody></mujoco>"""


def _printed(take: Take) -> Iterator[tuple[str, Sheet, str]]:
    """Name, what is on it and where it lies, of everything printed in the scene."""
    if take.shows_board:
        width_m, height_m = take.board.size_m
        yield "board", _bordered(board_bars(take.board), 1000 * width_m, 1000 * height_m, _BORDER_MM), ""
    for name, number in (("left", take.tags.left), ("right", take.tags.right)):
        size_mm = take.tags.size_m * 1000
        if take.shows_fingers:
            yield name, _bordered(marker_bars(take.board, number, take.tags.size_m), size_mm, size_mm, _PLATE_MM), ""
    if take.scale_tag is not None:
        number, size_m = take.scale_tag
        size_mm = 1000 * size_m
        right_m = take.board.size_m[0] / 2 + 0.02 + size_m / 2
        bars = marker_bars(take.board, number, size_m)
        yield "scale", _bordered(bars, size_mm, size_mm, _PLATE_MM), f'pos="{right_m:.6f} 0 0"'


def _bordered(bars: list[RulerBar], width_mm: float, height_mm: float, border_mm: float) -> Sheet:
    moved = tuple(bar._replace(left=bar.left + border_mm, top=bar.top + border_mm) for bar in bars)
    return Sheet(width_mm + 2 * border_mm, height_mm + 2 * border_mm, moved, "")
