"""Camera models: pinhole and fisheye intrinsics, projection and its inverse."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import opencv
from robokata.core.errors import HandheldRefused

Model = Literal["pinhole", "fisheye"]
_LENGTHS = {"pinhole": (0, 4, 5, 8), "fisheye": (0, 4)}
"""Numbers of distortion: Brown-Conrady (k1 k2 p1 p2 [k3 [k4 k5 k6]]), Kannala-Brandt (k1..k4)."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of a camera at one picture size."""

    model: Model
    width_px: int
    height_px: int
    matrix: NDArray[np.float64]
    """(3, 3), pixels; the centre of the top left pixel is (0, 0)."""
    distortion: NDArray[np.float64]
    reprojection_px: float | None = None
    """RMS error of the calibration, None where the file does not say."""
    source: str = ""

    def rays(self, points_px: NDArray[Any]) -> NDArray[np.float64]:
        """Pixels (N, 2) as directions x/z, y/z (N, 2) without distortion; NaN where no direction leads there."""
        cv2 = opencv()
        points = np.ascontiguousarray(points_px, np.float64).reshape(-1, 1, 2)
        if not len(points):
            return np.empty((0, 2))
        if self.model == "fisheye":
            found = cv2.fisheye.undistortPoints(points, self.matrix, self.distortion)
        else:
            found = cv2.undistortPoints(points, self.matrix, self.distortion)
        flat = np.asarray(found, np.float64).reshape(-1, 2)
        # OpenCV marks what it cannot invert with -1e6; nothing beyond 84 degrees is a ray of a pinhole.
        return np.where(np.abs(flat).max(axis=1, keepdims=True) > 10.0, np.nan, flat)

    def project(
        self, points_m: NDArray[np.float64], rotation: NDArray[np.float64], shift_m: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (N, 3) seen after a rotation vector and a shift: pixels (N, 2), and their derivatives (2N, 6)."""
        cv2 = opencv()
        points = points_m.reshape(-1, 1, 3)
        if self.model == "fisheye":
            px, jacobian = cv2.fisheye.projectPoints(points, rotation, shift_m, self.matrix, self.distortion)
            # Columns of its Jacobian: focal lengths 2, centre 2, distortion 4, rotation 3, shift 3, skew 1.
            return px.reshape(-1, 2), np.asarray(jacobian[:, 8:14])
        px, jacobian = cv2.projectPoints(points, rotation, shift_m, self.matrix, self.distortion)[:2]
        return px.reshape(-1, 2), np.asarray(jacobian[:, :6])

    def sized(self, width_px: int, height_px: int) -> Camera:
        """The same camera at another picture size of the same shape.

        Raises:
            HandheldRefused: the shapes differ: a crop that the file does not tell.
        """
        if (width_px, height_px) == (self.width_px, self.height_px):
            return self
        ratio = width_px / self.width_px
        # 2704 x 2028 and 960 x 720 are the same lens; half a pixel of rounding is allowed.
        if abs(height_px - self.height_px * ratio) > 0.5:
            raise HandheldRefused(
                f"{self.source}: the intrinsics are of {self.width_px}x{self.height_px} pictures, the video has "
                f"{width_px}x{height_px}: another crop of the sensor. Calibrate with a video of this mode."
            )
        matrix = self.matrix.copy()
        matrix[:2] *= ratio
        # Centres of pixels, not their corners: pixel 0 of the small picture covers pixels 0..1/ratio of the large one.
        matrix[:2, 2] += (ratio - 1) / 2
        return replace(self, width_px=width_px, height_px=height_px, matrix=matrix)

    def to_json(self) -> dict[str, Any]:
        """What `read_camera` reads."""
        return {
            "model": self.model,
            "width": self.width_px,
            "height": self.height_px,
            "fx": float(self.matrix[0, 0]),
            "fy": float(self.matrix[1, 1]),
            "cx": float(self.matrix[0, 2]),
            "cy": float(self.matrix[1, 2]),
            "distortion": self.distortion.ravel().tolist(),
            "reprojection_px": self.reprojection_px,
        }


def pinhole(width_px: int, height_px: int, *, field_rad: float) -> Camera:
    """An ideal pinhole by its vertical field of view: f = H / (2 tan(field / 2))."""
    focal = height_px / (2 * math.tan(field_rad / 2))
    return camera_of("pinhole", width_px, height_px, (focal, focal, (width_px - 1) / 2, (height_px - 1) / 2))


def camera_of(
    model: Model,
    width_px: int,
    height_px: int,
    lens: tuple[float, float, float, float],
    *,
    distortion: tuple[float, ...] = (),
    reprojection_px: float | None = None,
    source: str = "",
) -> Camera:
    """A camera from fx, fy, cx, cy (pixels) and its distortion."""
    fx, fy, cx, cy = lens
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
    bent = np.asarray(distortion or (0.0,) * 4, np.float64)
    return Camera(model, width_px, height_px, matrix, bent, reprojection_px, source)


def read_camera(path: Path) -> Camera:
    """Intrinsics from a JSON file: ours (`--calibrate` writes it), or the one that UMI's tools write.

    Raises:
        HandheldRefused: the file is not there, is no JSON, or lacks a number; the message says which.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HandheldRefused(f"--camera {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise HandheldRefused(f"--camera {path}: no JSON: {error}.") from None
    if not isinstance(said, Mapping):
        raise HandheldRefused(f"--camera {path}: holds {type(said).__name__}, not an object with model, width, fx, ...")
    try:
        camera = _of_umi(said, path) if "intrinsic_type" in said else _of_ours(said, path)
    except KeyError as lacking:
        raise HandheldRefused(
            f"--camera {path}: lacks {lacking}. It needs model, width, height, fx, fy, cx, cy, distortion."
        ) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise HandheldRefused(f"--camera {path}: {error}.") from None
    _refuse_absurd(camera, path)
    return camera


def _of_ours(said: Mapping[str, Any], path: Path) -> Camera:
    model = said["model"]
    if model not in _LENGTHS:
        raise HandheldRefused(f"--camera {path}: model {model!r} is none of pinhole, fisheye.")
    lens = (float(said["fx"]), float(said["fy"]), float(said["cx"]), float(said["cy"]))
    bent = tuple(float(number) for number in said["distortion"])
    if len(bent) not in _LENGTHS[model]:
        wanted = " or ".join(map(str, _LENGTHS[model]))
        raise HandheldRefused(f"--camera {path}: {len(bent)} numbers of distortion; {model} has {wanted}.")
    error = said.get("reprojection_px")
    return camera_of(
        model,
        int(said["width"]),
        int(said["height"]),
        lens,
        distortion=bent,
        reprojection_px=None if error is None else float(error),
        source=str(path),
    )


def _of_umi(said: Mapping[str, Any], path: Path) -> Camera:
    """OpenCameraImuCalibration's file, which UMI ships for GoPro (`gopro_intrinsics_2_7k.json`)."""
    if str(said["intrinsic_type"]).upper() != "FISHEYE":
        raise HandheldRefused(f"--camera {path}: intrinsic_type {said['intrinsic_type']!r}; only FISHEYE is read.")
    lens = said["intrinsics"]
    focal, aspect = float(lens["focal_length"]), float(lens.get("aspect_ratio", 1.0))
    centre = (float(lens["principal_pt_x"]), float(lens["principal_pt_y"]))
    bent = tuple(float(lens[f"radial_distortion_{number}"]) for number in range(1, 5))
    return camera_of(
        "fisheye",
        int(said["image_width"]),
        int(said["image_height"]),
        (focal, focal * aspect, *centre),
        distortion=bent,
        reprojection_px=float(said["final_reproj_error"]) if "final_reproj_error" in said else None,
        source=str(path),
    )


def _refuse_absurd(camera: Camera, path: Path) -> None:
    numbers = np.concatenate([camera.matrix.ravel(), camera.distortion.ravel()])
    is_sound = bool(np.all(np.isfinite(numbers))) and min(camera.width_px, camera.height_px) > 0
    if not is_sound or min(camera.matrix[0, 0], camera.matrix[1, 1]) <= 0:
        raise HandheldRefused(f"--camera {path}: sizes and focal lengths must be positive and finite.")
