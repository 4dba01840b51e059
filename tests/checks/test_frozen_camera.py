"""Tests of the check `frozen_camera`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.robots_of_numbers import findings, reasons, robot, swing, verdicts
from robokata.checks import frozen_camera
from robokata.core.detection import open_source
from robokata.core.finding import Finding, Level
from robokata.core.shelf import shelf
from robokata.core.stream import Kind
from robokata.media.encode import encode_video
from robokata.media.video import VideoFrames
from robokata.testing import tiny_episode

COUNT = 300


def _view(state: NDArray[np.floating], *, noise: float = 0.0, joint: int = 0) -> NDArray[np.uint8]:
    """What a camera sees of a joint: a bright block that it moves over a textured table, (T, 96, 96, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96]
    centre = 48 + 32 * state[:, joint, np.newaxis, np.newaxis]
    # Edges of one pixel that move by fractions of it: what a block looks like to a real lens.
    blob = 120 * np.clip(14 - np.abs(x - centre), 0, 1) * (np.abs(y - 48) < 20)
    grey = 60 + 30 * rng.random((96, 96)) + blob + rng.normal(0, noise, (len(state), 96, 96))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def _hold(pictures: NDArray[np.uint8], first: int, last: int) -> NDArray[np.uint8]:
    held = pictures.copy()
    held[first : last + 1] = held[first]
    return held


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_a_freeze_during_motion_is_an_error_where_it_is(noise: float) -> None:
    state = swing(COUNT)
    (found,) = findings(frozen_camera, robot(state, pictures=_hold(_view(state, noise=noise), 100, 150)))
    assert (found.level, found.stream, found.measured) == (Level.ERROR, "camera", pytest.approx(1.0))
    assert (found.start_s, found.end_s) == (pytest.approx(2.0), pytest.approx(3.0))
    assert found.message.startswith(
        "camera repeats one picture for 1.00 s from 2.00 s on, while the robot moves: change 0.00 where"
    )


def test_an_idle_robot_before_a_still_camera_is_sound() -> None:
    state = swing(COUNT)
    state[100:200] = state[100] + np.random.default_rng(1).normal(0, 3e-4, (100, 3))
    assert verdicts(frozen_camera, robot(state, pictures=_hold(_view(state), 100, 199))) == []


def test_a_simulated_camera_that_does_not_see_the_arm_for_a_while_is_sound() -> None:
    state = swing(COUNT)
    seen = state.copy()
    seen[100:200, 0] = state[100, 0]  # only joint 0 is in view, and it rests while the others work
    seen[200:, 0] += state[100, 0] - state[200, 0]
    assert findings(frozen_camera, robot(seen, pictures=_view(seen))) == []


def _in_video(path: Path, state: NDArray[np.floating], pictures: NDArray[np.uint8], **encoding: Any) -> list[Finding]:
    encode_video(path, pictures, rate_hz=Fraction(50), threads=1, **encoding)
    episode = robot(state, pictures=pictures)
    values = VideoFrames(path, len(pictures))
    camera = replace(episode.streams["camera"], kind=Kind.VIDEO, values=values, encoding=encoding["codec"])
    return findings(frozen_camera, episode.with_stream(camera))


def _swing_with_a_rest() -> NDArray[np.float32]:
    state = swing(COUNT)
    state[200:260] = state[200] + np.random.default_rng(1).normal(0, 3e-4, (60, 3))
    state[260:] += state[200] - state[260]
    return state


@pytest.mark.parametrize(("codec", "gop"), [("libx264", 12), ("libsvtav1", 2)])
def test_compression_neither_hides_a_freeze_nor_makes_one_of_a_still_scene(
    tmp_path: Path, codec: str, gop: int
) -> None:
    state = _swing_with_a_rest()
    sound = _view(state, noise=1.0)
    for name, pictures, frozen in (("sound", sound, []), ("frozen", _hold(sound, 80, 120), [(1.6, 2.4)])):
        found = _in_video(tmp_path / f"{name}.mp4", state, pictures, codec=codec, gop=gop)
        assert [(f.start_s, f.end_s) for f in found] == [pytest.approx(span, abs=0.05) for span in frozen]


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(
    ("codec", "crf"), [("libx264", 18), ("libx264", 23), ("libx264", 30), ("libsvtav1", 30), ("mpeg4", 30)]
)
def test_a_freeze_is_found_whatever_an_encoder_makes_of_the_repeats(
    tmp_path: Path, codec: str, crf: int, noise: float
) -> None:
    state = _swing_with_a_rest()
    sound = _view(state, noise=noise)
    for gop in (2, 12, 60):
        encoding = {"codec": codec, "gop": gop, "crf": crf}
        # At two pictures per group an encoder may drop the motion of every second one: that is a rhythm, and true.
        heard = _in_video(tmp_path / f"sound_{gop}.mp4", state, sound, **encoding)
        told = _in_video(tmp_path / f"frozen_{gop}.mp4", state, _hold(sound, 80, 120), **encoding)
        assert [f for f in heard if gop > 2 or f.unit == "s"] == []
        (found,) = (f for f in told if gop > 2 or f.unit == "s")
        # 0.2 s: over noise at crf 30 the first key frame in the freeze draws it so differently that it begins there.
        assert (found.level, found.start_s) == (Level.ERROR, pytest.approx(1.6, abs=0.2))
        assert found.end_s == pytest.approx(2.4, abs=0.05)


def _flash(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    flashed = pictures.copy()
    flashed[141] = np.clip(flashed[141].astype(int) + 60, 0, 255)
    return flashed


@pytest.mark.parametrize(
    "spoil",
    [
        _flash,
        lambda p: np.concatenate((p[:141], np.clip(p[141:].astype(int) + 60, 0, 255).astype(np.uint8))),
        lambda p: np.concatenate((p[:141], p[141:, :, ::-1])),
        lambda p: np.concatenate((p[:15], p[:126], p[141:])),
    ],
    ids=["a flash", "a lamp that is lit", "a cut", "dropped pictures"],
)
@pytest.mark.parametrize("gop", [12, 60])
def test_what_jumps_in_slow_motion_is_no_freeze(
    tmp_path: Path, gop: int, spoil: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    path = np.arange(COUNT, dtype=float)
    path[100:] -= 0.6 * np.minimum(path[100:] - 100, 41)  # two fifths of the usual speed from 100 to 141
    state = np.sin(path[:, np.newaxis] / 50 * np.array([0.8, 1.1, 1.4])).astype(np.float32)
    pictures = spoil(_view(state, noise=1.0))
    assert _in_video(tmp_path / "camera.mp4", state, pictures, codec="libx264", gop=gop, crf=23) == []


def test_a_freeze_of_two_pictures_is_left_alone() -> None:
    state = swing(COUNT)
    assert findings(frozen_camera, robot(state, pictures=_hold(_view(state), 100, 102))) == []


def test_a_camera_at_half_rate_is_one_warning_with_its_rhythm() -> None:
    state = swing(COUNT)
    pictures = _view(state, noise=2.0)[np.arange(COUNT) // 2 * 2]
    (found,) = findings(frozen_camera, robot(state, pictures=pictures))
    assert found.level is Level.WARNING
    assert found.message == (
        "camera repeats the picture before in at least 50 % of the frames in which the robot moves, "
        "mostly every second one: a slower camera was written at the rate of the table"
    )


def test_one_picture_throughout_is_an_error_and_a_blank_one_is_left_to_blank_camera() -> None:
    state = swing(COUNT)
    (found,) = findings(frozen_camera, robot(state, pictures=_hold(_view(state), 0, COUNT - 1)))
    assert found.message == "camera shows one and the same picture in all 300 frames while the robot moves"
    assert findings(frozen_camera, robot(state, pictures=np.zeros((COUNT, 48, 48, 3), np.uint8))) == []


def test_a_robot_that_never_moves_abstains() -> None:
    still = np.ones((COUNT, 3), np.float32)
    assert reasons(frozen_camera, robot(still, pictures=_view(still))) == [
        "no state and no action on the camera's clock ever changes"
    ]


def test_sound_cameras_are_silent() -> None:
    episodes = [tiny_episode(n, is_measured=n % 2 == 0) for n in range(10)]
    assert [v for episode in episodes for v in frozen_camera.check(episode)] == []


def test_the_g1_head_camera_holds_every_picture_twice(shared_data: Path) -> None:
    if "lerobot_v2" not in shelf("formats"):
        pytest.skip("no reader for LeRobot v2")
    source = open_source(shared_data / "lerobot-v2.1-g1-real" / "dataset")
    key = next(row.id for row in source.facts().rows if row.id.endswith("29"))
    (found,) = frozen_camera.check(source.episode(key))
    assert "mostly every second one" in found.message


def test_a_freeze_of_a_small_simulated_scene_is_found_and_the_sound_scene_silent(shared_data: Path) -> None:
    source = open_source(shared_data / "zarr-pusht-replay" / "pusht_first.zarr")
    levels = []
    for key in source.keys()[:8]:
        sound = source.episode(key)
        assert findings(frozen_camera, sound) == []
        (found,) = findings(frozen_camera, frozen_camera.plant(sound, np.random.default_rng(0), 1.0))
        assert re.match(
            r"img repeats one picture for 3\d samples from sample \d+ on, while the robot moves", found.message
        )
        levels.append(found.level)
    # The picture of the first one does not catch up: its one small disc hardly changes more in 30 steps than in one.
    assert (levels[0], Level.ERROR in levels) == (Level.WARNING, True)


def test_a_freeze_is_found_although_the_robot_speeds_up_right_after_it() -> None:
    state = swing(COUNT)
    state[152:, 0] += 0.3 * np.clip(np.arange(COUNT - 152), 0, 1)
    (found,) = findings(frozen_camera, robot(state, pictures=_hold(_view(state), 100, 150)))
    assert (found.level, found.start_s) == (Level.ERROR, pytest.approx(2.0))
