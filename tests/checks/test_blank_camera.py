"""Tests of the check `blank_camera`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.robots_of_numbers import findings, robot, swing
from robokata.checks import blank_camera
from robokata.core.detection import open_source
from robokata.core.finding import Level
from robokata.core.shelf import shelf
from robokata.testing import tiny_episode


def _scene(count: int = 100) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return (rng.integers(20, 220, (1, 32, 32, 3)) + rng.integers(0, 3, (count, 32, 32, 3))).astype(np.uint8)


def test_a_camera_that_is_black_throughout_is_an_error() -> None:
    (found,) = findings(blank_camera, robot(swing(100), pictures=np.zeros_like(_scene())))
    assert found.message == "camera shows nothing in all 100 pictures: black, spread of brightness 0.0 of 255"
    assert (found.level, found.measured, found.repair) == (Level.ERROR, 1.0, "leave this camera out (mask it)")


def test_a_black_stretch_is_a_warning_where_it_is() -> None:
    pictures = _scene()
    pictures[40:60] = np.random.default_rng(1).integers(0, 3, (20, 32, 32, 3))  # a covered lens has noise
    (found,) = findings(blank_camera, robot(swing(100), pictures=pictures))
    assert (found.level, found.start_s, found.end_s) == (Level.WARNING, 0.8, 1.18)
    assert "20 of 100 pictures, from 0.80 s to 1.18 s (20 in a row): black" in found.message


def test_one_picture_of_exactly_one_colour_is_enough() -> None:
    pictures = _scene()
    pictures[50] = 255
    (found,) = findings(blank_camera, robot(swing(100), pictures=pictures))
    assert "1 of 100 pictures" in found.message
    assert "white" in found.message


def test_a_lens_that_is_covered_for_two_pictures_is_left_alone() -> None:
    pictures = _scene()
    pictures[50:52] = np.random.default_rng(1).integers(30, 32, (2, 32, 32, 3))
    assert findings(blank_camera, robot(swing(100), pictures=pictures)) == []


def test_a_dim_wall_is_a_picture() -> None:
    y = np.linspace(30, 50, 32)[:, np.newaxis, np.newaxis]
    wall = np.broadcast_to(y, (100, 32, 32, 3)).astype(np.uint8)
    assert findings(blank_camera, robot(swing(100), pictures=wall)) == []


def test_depth_without_return_is_left_alone() -> None:
    assert findings(blank_camera, robot(swing(100), pictures=np.zeros((100, 32, 32, 1), np.uint16))) == []


def test_sound_cameras_are_silent() -> None:
    assert [v for n in range(5) for v in blank_camera.check(tiny_episode(n))] == []


def test_the_blank_fourth_view_of_the_bridge_set_is_found_and_no_other(shared_data: Path) -> None:
    if "rlds" not in shelf("formats"):
        pytest.skip("no reader for RLDS")
    source = open_source(next((shared_data / "rlds-bridge-octo").rglob("dataset_info.json")).parent)
    told = {f.stream for key in source.keys()[:5] for f in blank_camera.check(source.episode(key))}
    assert told == {"observation/image_3"}
