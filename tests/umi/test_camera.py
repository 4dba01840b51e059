"""Intrinsics: files, sizes, there and back, and from a video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robokata.collection.umi.board import GRID
from robokata.collection.umi.calibrate import calibrate_camera
from robokata.collection.umi.camera import Camera, camera_of, read_camera
from robokata.core.errors import HandheldRefused
from umi.board_videos import calibration_video
from umi.umi_videos import fisheye_camera

PINHOLE = camera_of("pinhole", 480, 360, (315.0, 316.5, 243.0, 177.0), distortion=(-0.12, 0.05, 0.001, -0.0005, 0.0))


@pytest.mark.parametrize("camera", [PINHOLE, fisheye_camera()], ids=["pinhole", "fisheye"])
def test_a_point_projected_and_looked_back_at_lies_on_its_ray(camera: Camera) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform([-0.5, -0.4, 0.9], [0.5, 0.4, 1.1], (200, 3))
    pixels, jacobian = camera.project(places, np.zeros((3, 1)), np.zeros((3, 1)))
    assert np.abs(camera.rays(pixels) - places[:, :2] / places[:, 2:]).max() < 1e-5
    moved, _ = camera.project(places, np.zeros((3, 1)), np.array([[1e-6], [0], [0]]))
    assert np.abs((moved - pixels).ravel() / 1e-6 - jacobian[:, 3]).max() < 1e-2


def test_a_camera_at_half_its_size_sees_the_same_rays() -> None:
    camera = fisheye_camera()
    pixel = np.array([[701.5, 203.5]])
    # Pixel 0 of the half picture covers pixels 0 and 1: centres move by half a pixel.
    assert camera.sized(480, 360).rays((pixel - 0.5) / 2) == pytest.approx(camera.rays(pixel), abs=1e-6)


def test_another_crop_of_the_sensor_is_refused() -> None:
    with pytest.raises(
        HandheldRefused, match="are of 960x720 pictures, the video has 960x540: another crop of the sensor"
    ):
        fisheye_camera().sized(960, 540)


def test_umis_own_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "gopro_intrinsics_2_7k.json"
    lens = {
        "aspect_ratio": 1.0,
        "focal_length": 796.85,
        "principal_pt_x": 1358.8,
        "principal_pt_y": 1016.1,
        "skew": 0.0,
    }
    lens |= {f"radial_distortion_{n}": value for n, value in enumerate((-0.0293, -0.0066, -0.0055, 0.0016), start=1)}
    said = {"final_reproj_error": 0.17, "image_height": 2028, "image_width": 2704, "intrinsic_type": "FISHEYE"}
    file.write_text(json.dumps({**said, "intrinsics": lens}))
    camera = read_camera(file)
    assert (camera.model, camera.width_px, camera.height_px, camera.reprojection_px) == ("fisheye", 2704, 2028, 0.17)
    assert camera.matrix[0].tolist() == [796.85, 0.0, 1358.8]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "camera.json"
    file.write_text(json.dumps(PINHOLE.to_json()))
    assert read_camera(file).to_json() == PINHOLE.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fx": None}, "float() argument must be a string or a real number, not 'NoneType'."),
        ({"fx": -1.0}, "sizes and focal lengths must be positive and finite."),
        ({"model": "omni"}, "model 'omni' is none of pinhole, fisheye."),
        ({"distortion": [0.1]}, "1 numbers of distortion; pinhole has 0 or 4 or 5 or 8."),
    ],
)
def test_intrinsics_that_cannot_be_are_refused_by_name(tmp_path: Path, change: dict[str, object], said: str) -> None:
    file = tmp_path / "camera.json"
    file.write_text(json.dumps({**PINHOLE.to_json(), **change}))
    with pytest.raises(HandheldRefused) as told:
        read_camera(file)
    assert str(told.value) == f"--camera {file}: {said}"


@pytest.mark.parametrize("camera", [PINHOLE, fisheye_camera().sized(480, 360)], ids=["pinhole", "fisheye"])
def test_a_video_of_the_board_gives_the_lens_to_a_fifth_of_a_percent(camera: Camera, tmp_path: Path) -> None:
    calibration_video(tmp_path / "board.mp4", camera, GRID, frames=18)
    found = calibrate_camera(tmp_path / "board.mp4", GRID, camera.model)
    assert found.camera.reprojection_px is not None
    assert found.camera.reprojection_px < 0.3
    assert found.camera.matrix[0, 0] == pytest.approx(camera.matrix[0, 0], rel=0.004)
    places = np.random.default_rng(1).uniform([40, 40], [440, 320], (100, 2))
    off = np.linalg.norm(found.camera.rays(places) - camera.rays(places), axis=1)
    assert np.rad2deg(off.max()) < 0.3


def test_a_video_without_the_board_gives_no_lens(tmp_path: Path) -> None:
    other = GRID.__class__("grid", 1, 1, 0.05, 0.065)
    calibration_video(tmp_path / "board.mp4", PINHOLE, other, frames=10)
    with pytest.raises(
        HandheldRefused, match="0 frames show 4 markers or more of the board grid:4x3:50:15:20; 10 are needed"
    ):
        calibrate_camera(tmp_path / "board.mp4", GRID, "pinhole")
