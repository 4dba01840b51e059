"""Pictures of stored moments as camera streams, with what is known of the cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock
from robokata.core.require import require
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.images import EncodedImages, RawImages
from robokata.sim.render import camera_in_body, camera_pose, pinhole_of, renderer_of
from robokata.sim.world import SimWorld


@dataclass(frozen=True)
class Filming:
    """Which pictures an episode gets."""

    height_px: int = 128
    width_px: int = 128
    cameras: tuple[str, ...] | None = None
    """None: all that the robot has."""
    depth: bool = False
    segmentation: bool = False
    jpeg_quality: int = 92
    """Of 100: 40 dB on these scenes, without subsampling of colour, which would smear a cube of eight pixels."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def film(
    world: SimWorld,
    physics: NDArray[np.float64],
    filming: Filming,
    *,
    clock: Clock,
    rng: np.random.Generator,
    pixel_noise_levels: float = 0.0,  # of 255; a sensor's, off where none was asked for
    filmed: Callable[[int, int], None] | None = None,
) -> list[Stream]:
    """Render stored states, (T, nq + nv), as camera streams on `clock`; `filmed` is told done and all, as it goes."""
    encode = require("simplejpeg", extra="images").encode_jpeg
    cameras = filming.cameras or world.robot.cameras
    renderer = renderer_of(world, height_px=filming.height_px, width_px=filming.width_px)
    films: dict[str, list[Any]] = {}
    for number, row in enumerate(physics):
        renderer.at(row)
        for camera in cameras:
            picture = _noisy(renderer.rgb(camera), pixel_noise_levels, rng)
            jpeg = encode(picture, quality=filming.jpeg_quality, colorspace="RGB", colorsubsampling="444")
            films.setdefault(f"observation.images.{camera}", []).append(jpeg)
            if filming.depth or filming.segmentation:
                view = renderer.view(camera)
                millimetres = np.clip(np.nan_to_num(view.depth_m * 1000, posinf=0), 0, 65535).astype(np.uint16)
                films.setdefault(f"observation.depth.{camera}", []).append(millimetres)
                films.setdefault(f"simulation.segmentation.{camera}", []).append(view.geoms.astype(np.int16))
        if filmed is not None:
            filmed(number + 1, len(physics))
    return [_film(name, rows, clock, world) for name, rows in films.items() if _is_wanted(name, filming)]


def cameras_of(world: SimWorld, filming: Filming | None) -> dict[str, Any]:
    """Intrinsics of the pictures as filmed, and where each camera is: on its body and, if fixed, in the world."""
    if filming is None:
        return {}
    out: dict[str, Any] = {}
    for camera in filming.cameras or world.robot.cameras:
        hole = pinhole_of(world.model, camera, height_px=filming.height_px, width_px=filming.width_px)
        body = int(world.model.cam_bodyid[world.model.camera(camera).id])
        pose = camera_pose(world.model, world.data, camera)
        out[camera] = {
            "model": "pinhole",
            **hole._asdict(),
            "is_fixed": body == 0,
            "body": world.model.body(body).name,
            **({"world_from_camera": pose.tolist()} if body == 0 else {}),
            "body_from_camera": camera_in_body(world.model, camera).tolist(),
        }
    return out


def _film(name: str, rows: list[Any], clock: Clock, world: SimWorld) -> Stream:
    camera = name.rpartition(".")[2]
    frame = Meaning(frame=_fact(f"camera:{camera}"))
    if isinstance(rows[0], bytes):
        pictures = EncodedImages(len(rows), rows.__getitem__, where=name)
        return Stream(name, Kind.IMAGE, Role.CAMERA, clock, pictures, meaning=frame, encoding="jpeg")
    values = ArrayValues(np.stack(rows))
    if name.startswith("observation.depth"):
        depth = Meaning(unit=_fact("mm"), frame=_fact(f"camera:{camera}"))
        return Stream(name, Kind.IMAGE, Role.CAMERA, clock, RawImages(values, where=name), meaning=depth)
    names = [world.model.geom(number).name for number in range(world.model.ngeom)]
    return Stream(name, Kind.TENSOR, Role.SENSOR, clock, values, meaning=frame, extra={"geoms": names})


def _is_wanted(name: str, filming: Filming) -> bool:
    if name.startswith("observation.depth"):
        return filming.depth
    return filming.segmentation if name.startswith("simulation.segmentation") else True


def _noisy(picture: NDArray[np.uint8], levels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    if not levels:
        return picture
    noise = rng.normal(0.0, levels, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _fact(value: str) -> Fact:
    return Fact(value, Evidence.ROBOT)
