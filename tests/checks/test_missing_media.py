from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from checks.clocked_streams import camera, episode, findings
from robokata.checks.missing_media import check, plant
from robokata.core.errors import MediaMissing
from robokata.core.finding import Level
from robokata.media.video import VideoFrames
from robokata.testing import tiny_episode


def test_an_absent_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    cam = camera(30).with_values(VideoFrames(tmp_path / "episode_000007.mp4", 30))
    (finding,) = findings(check(episode(cam)))
    assert finding.level is Level.ERROR
    assert finding.message == (f"cam promises 30 pictures, and its file {tmp_path}/episode_000007.mp4 does not exist")


def test_a_folder_in_the_place_of_the_file_is_no_file(tmp_path: Path) -> None:
    cam = camera(30).with_values(VideoFrames(tmp_path, 30))
    assert len(findings(check(episode(cam)))) == 1


def test_a_file_that_cannot_be_opened_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    cam = camera(30).with_values(VideoFrames(tmp_path / "broken.mp4", 30))
    assert cam.pictures.media().problem is not None
    assert not list(check(episode(cam)))


def test_an_episode_whose_files_exist_is_silent() -> None:
    assert not list(check(tiny_episode()))


def test_the_planted_absence_is_found_and_raises_when_looked_at() -> None:
    planted = plant(tiny_episode(), np.random.default_rng(0), 1.0)
    (finding,) = findings(check(planted))
    assert finding.stream == "observation.images.front"
    pictures = planted.streams["observation.images.front"].pictures
    assert pictures.shape == (240, 48, 64, 3)
    with pytest.raises(MediaMissing):
        pictures[0]
