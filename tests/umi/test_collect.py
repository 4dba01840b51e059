"""`kata collect umi`: from videos to episodes, as a user calls it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import LOST, Clean, short

from robokata.cli.main import run
from robokata.collection.umi.board import GRID, FingerTags
from robokata.conversion.convert import convert
from robokata.core.clock import ClockQuality
from robokata.core.detection import open_source
from robokata.core.suite import Suite
from robokata.geometry.poses import rotation_vectors
from robokata.inspection.run import check_dataset
from robokata.media.packet_index import packet_index
from umi.umi_videos import render_handheld

Umi = Callable[..., dict[str, Any]]
_KATA = [sys.executable, "-m", "robokata.cli.main", "collect", "umi"]


@pytest.fixture
def umi(clean: Clean, capsys: pytest.CaptureFixture[str]) -> Umi:
    """`umi(videos..., options...)`: the report as JSON, with the exit code beside it."""

    def call(*words: object) -> dict[str, Any]:
        capsys.readouterr()
        code: object = 0
        camera = ["--camera", str(clean.folder / "camera.json"), "--gripper-range", "22,86", "--json"]
        try:
            run(["collect", "umi", *map(str, words), *camera])
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return {"code": code, "err": err, **(json.loads(out) if out else {})}

    return call


def test_a_clip_becomes_an_episode_with_its_own_clocks_and_its_own_packets(
    umi: Umi, clean: Clean, tmp_path: Path
) -> None:
    said = umi(clean.video, "--out", tmp_path / "out", "--instruction", "close the box", "--operator", "ann")
    assert (said["code"], said["collected"], said["rejected"]) == (0, 1, 0)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["clean.mcap"]
    episode = open_source(tmp_path / "out").episode("clean")
    pose, width = episode.stream("observation.tip_pose"), episode.stream("observation.gripper_width_m")
    assert pose.channels == ("tip.x", "tip.y", "tip.z", "tip.qx", "tip.qy", "tip.qz", "tip.qw")
    assert [str(fact) for fact in (pose.meaning.unit, pose.meaning.frame, pose.meaning.rotation)] == [
        "m",
        "board",
        "quat_xyzw",
    ]
    assert str(width.meaning.gripper) == "width_m"
    assert np.abs(pose.table[:, :3] - clean.truth.tip_pose[:, :3]).max() < 0.005
    assert np.abs(width.table[:, 0] - clean.truth.width_m).max() < 0.0006
    # A grid of frame number / rate is not a measurement, and is not called one.
    assert pose.clock.quality is ClockQuality.SYNTHESIZED
    pictures = episode.stream("observation.images.gripper")
    assert pictures.encoding == "h264"
    assert (len(pictures), pictures.shape) == (66, (360, 480, 3))
    assert episode.instructions[0].text == "close the box"
    assert episode.origin.operator == "ann"
    assert episode.extra["handheld"]["gripper"]["board"] == "grid:4x3:50:15:20"
    total = int(packet_index(clean.video).size_bytes.sum())
    held = sum(file.stat().st_size for file in (tmp_path / "out").iterdir())
    assert total * 0.9 < held < total * 1.3, "packets go through as they are"


def test_frames_that_the_trajectory_lost_are_absent_or_marked(umi: Umi, clean: Clean, tmp_path: Path) -> None:
    words = [clean.video, "--trajectory", clean.folder / "trajectory.csv"]
    assert umi(*words, "--out", tmp_path / "plain")["code"] == 0
    pose = open_source(tmp_path / "plain").episode("clean").stream("observation.tip_pose")
    frame_ns = packet_times(clean)
    assert set(np.flatnonzero(~np.isin(frame_ns, pose.clock.times_ns)).tolist()) == LOST
    assert str(pose.meaning.frame) == "trajectory"
    said = umi(*words, "--out", tmp_path / "filled", "--fill-gaps", 5)
    assert said["clips"][0]["interpolated"] == len(LOST)
    filled = open_source(tmp_path / "filled").episode("clean")
    marks = filled.stream("tracking.is_interpolated").table[:, 0]
    assert set(np.flatnonzero(marks).tolist()) == LOST


def packet_times(clean: Clean) -> np.ndarray[Any, Any]:
    from robokata.collection.umi.track import times_of

    return times_of(packet_index(clean.video))


def test_the_latency_against_the_encoder_is_printed_kept_and_applied_on_demand(
    umi: Umi, clean: Clean, tmp_path: Path
) -> None:
    words = [clean.video, "--reference", clean.folder / "encoder.csv"]
    said = umi(*words, "--out", tmp_path / "told")
    found = said["clips"][0]["latency"]
    assert found["latency_s"] == pytest.approx(clean.take.latency_s, abs=0.005)
    assert found["peak_correlation"] > 0.99
    told = open_source(tmp_path / "told").episode("clean").stream("observation.gripper_encoder_m")
    umi(*words, "--out", tmp_path / "applied", "--apply-latency")
    applied = open_source(tmp_path / "applied").episode("clean").stream("observation.gripper_encoder_m")
    moved_s = (applied.clock.times_ns - told.clock.times_ns) / 1e9
    assert moved_s == pytest.approx(np.full(len(moved_s), found["latency_s"]), abs=1e-6)
    assert np.array_equal(applied.other_clocks["recorded"].times_ns, told.clock.times_ns)


def test_the_episodes_are_sound_and_survive_lerobot_v3_with_their_clocks(
    umi: Umi, clean: Clean, tmp_path: Path
) -> None:
    umi(clean.video, "--out", tmp_path / "out", "--reference", clean.folder / "encoder.csv")
    source = open_source(tmp_path / "out")
    assert check_dataset(source, suite=Suite()).findings == ()
    convert(source, tmp_path / "lerobot", "lerobot_v3")
    before, after = source.episode("clean"), open_source(tmp_path / "lerobot").episode("0")
    for name, stream in before.streams.items():
        assert np.array_equal(after.stream(name).clock.times_ns, stream.clock.times_ns), name
        assert after.stream(name).clock.quality is stream.clock.quality, name
        if stream.is_numeric:
            assert np.array_equal(after.stream(name).table, stream.table), name


def test_umi_zarr_holds_unbroken_runs_under_the_names_that_umi_reads(umi: Umi, clean: Clean, tmp_path: Path) -> None:
    words = [clean.video, "--trajectory", clean.folder / "trajectory.csv", "--to", "zarr_replay", "--min-steps", 15]
    assert umi(*words, "--out", tmp_path / "dataset.zarr.zip")["code"] == 0
    source = open_source(tmp_path / "dataset.zarr.zip")
    first, second = (source.episode(key) for key in source.keys())
    assert [len(run.stream("robot0_eef_pos")) for run in (first, second)] == [20, 41]
    names = {"robot0_eef_pos", "robot0_eef_rot_axis_angle", "robot0_gripper_width", "robot0_demo_start_pose"}
    assert set(second.streams) == names | {"robot0_demo_end_pose", "camera0_rgb"}
    truth = clean.truth.tip_pose[25:]
    assert np.abs(second.stream("robot0_eef_pos").table - truth[:, :3]).max() < 1e-5
    turns = second.stream("robot0_eef_rot_axis_angle").table
    assert np.linalg.norm(turns, axis=1) == pytest.approx(
        np.linalg.norm(rotation_vectors(truth[:, 3:]), axis=1), abs=1e-4
    )
    pictures = second.stream("camera0_rgb")
    assert pictures.shape == (224, 224, 3)
    square = open_source(tmp_path / "dataset.zarr.zip").episode(source.keys()[0]).stream("camera0_rgb").values[0]
    assert square.std() > 20


@pytest.mark.slow
def test_two_videos_of_two_grippers_are_one_bimanual_episode(umi: Umi, clean: Clean, tmp_path: Path) -> None:
    right = tmp_path / "right.mp4"
    truth = render_handheld(right, replace(clean.take, seed=5, tags=FingerTags(6, 7), latency_s=0.0))
    assert umi(clean.video, right, "--pair", "--out", tmp_path / "no")["clips"][0]["reason"].endswith(
        "neither time codes nor start times with a fraction of a second in both. Say it with --pair-offset-s SECONDS "
        "(time of the left video at which the right one starts)."
    )
    said = umi(clean.video, right, "--pair", "--pair-offset-s", 0.5, "--out", tmp_path / "out")
    assert (said["code"], said["collected"]) == (0, 1), said
    episode = open_source(tmp_path / "out").episode("clean_right")
    pose = episode.stream("observation.right_tip_pose")
    assert int(pose.clock.times_ns[0]) == 500_000_000
    assert np.abs(pose.table[:, :3] - truth.tip_pose[:, :3]).max() < 0.005
    words = ["--pair", "--pair-offset-s", 0.5, "--to", "zarr_replay", "--out", tmp_path / "pair.zarr"]
    assert umi(clean.video, right, *words)["code"] == 0
    zarr = open_source(tmp_path / "pair.zarr").episode("0")
    assert len(zarr.stream("camera0_rgb")) == len(zarr.stream("camera1_rgb")) == 66 - 15
    assert np.abs(zarr.stream("robot1_eef_pos").table - truth.tip_pose[: 66 - 15, :3]).max() < 0.005


def test_each_bad_clip_says_what_is_wrong_with_it_and_the_good_one_goes_through(
    umi: Umi, clean: Clean, tmp_path: Path
) -> None:
    takes = {
        "one": short(board=replace(GRID, columns=1, rows=1)),
        "none": short(shows_board=False, shows_fingers=False),
        "columns": short(board=replace(GRID, columns=5, rows=2)),
        "spacing": short(board=replace(GRID, marker_m=0.04)),
        "large": short(board=replace(GRID, marker_m=0.08, pitch_m=0.104)),
        "tags": short(tags=FingerTags(size_m=0.02)),
    }
    videos = [tmp_path / f"{name}.mp4" for name in takes]
    for video, take in zip(videos, takes.values(), strict=True):
        render_handheld(video, take)
    (tmp_path / "text.mp4").write_text("no video")
    said = umi(
        *videos, tmp_path / "text.mp4", clean.video, "--out", tmp_path / "out", "--min-valid", 12, "--min-steps", 8
    )
    assert (said["code"], said["collected"], said["rejected"]) == (1, 1, 7)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["clean.mcap"]
    reasons = [(clip["gate"], clip["reason"]) for clip in said["clips"][:-1]]
    expected = [
        ("one_marker", "never more than one marker of the board is seen at once (marker 20 in 16 of 16 frames)"),
        ("no_markers", "no marker of DICT_4X4_50 of the board in 16 frames"),
        ("wrong_board", "a board of 5 columns, not 4, fits"),
        ("wrong_board", "markers are 0.6"),
        ("below_board", "the board is larger than grid:4x3:50:15:20"),
        ("finger_depth", "either they are 20.0 mm large (--finger-tag-mm)"),
        ("unreadable", "cannot be opened as a video"),
    ]
    for (gate, reason), (wanted, words) in zip(reasons, expected, strict=True):
        assert gate == wanted, reason
        assert words in reason


def test_a_scale_tag_finds_a_board_that_the_printer_shrank(umi: Umi, tmp_path: Path) -> None:
    shrunk = replace(GRID, marker_m=0.047, pitch_m=0.0611)
    render_handheld(tmp_path / "clip.mp4", short(board=shrunk, scale_tag=(13, 0.06)))
    words = [tmp_path / "clip.mp4", "--out", tmp_path / "out", "--min-valid", 12, "--min-steps", 8]
    said = umi(*words, "--scale-tag", "13:60")
    assert said["clips"][0]["gate"] == "wrong_scale"
    assert said["clips"][0]["numbers"]["marker_mm"] == pytest.approx(47.0, abs=0.4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-lost", 4], "5 of 66 frames lost (no pose in the trajectory), 4 allowed (--max-lost)."),
        (["--min-valid", 62], "61 valid frames, 62 needed (--min-valid)."),
        (["--min-steps", 42], "41 steps in a row with pose and width, 42 needed (--min-steps)."),
    ],
)
def test_each_gate_of_umi_names_its_numbers(
    umi: Umi, clean: Clean, tmp_path: Path, words: list[Any], said: str
) -> None:
    trajectory = ["--trajectory", clean.folder / "trajectory.csv"]
    found = umi(clean.video, *trajectory, "--out", tmp_path / "out", *words)
    assert found["code"] == 1
    assert found["clips"][0]["reason"] == said
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_obeyed_is_said_before_a_video_is_opened(umi: Umi, clean: Clean, tmp_path: Path) -> None:
    said = umi(clean.video, "--out", tmp_path / "out", "--finger-tags", "0,20")
    assert said["err"] == "kata: finger tags 0 and 20 need two numbers that the board (20..31) does not use.\n"
    said = umi(clean.video)
    assert (said["code"], said["err"]) == (2, "kata: nowhere to write: name a folder with --out.\n")


def test_a_second_run_keeps_what_is_there(umi: Umi, clean: Clean, tmp_path: Path) -> None:
    umi(clean.video, "--out", tmp_path / "out")
    before = (tmp_path / "out" / "clean.mcap").stat().st_mtime_ns
    said = umi(clean.video, "--out", tmp_path / "out")
    assert (said["code"], said["clips"][0]["status"]) == (0, "there already")
    assert (tmp_path / "out" / "clean.mcap").stat().st_mtime_ns == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_it_leaves_complete_episodes_only(
    clean: Clean, tmp_path: Path, how: signal.Signals
) -> None:
    videos = [tmp_path / f"{number}.mp4" for number in range(6)]
    for video in videos:
        video.write_bytes(clean.video.read_bytes())
    out = tmp_path / "out"
    words = [*map(str, videos), "--camera", str(clean.folder / "camera.json"), "--out", str(out)]
    working = subprocess.Popen([*_KATA, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not (out / "0.mcap").exists() and time.monotonic() < until:
        time.sleep(0.02)
    working.send_signal(how)
    _, err = working.communicate(timeout=60)
    finished = sorted(file.name for file in out.iterdir() if not file.name.startswith("."))
    assert 1 <= len(finished) < 6
    source = open_source(out)
    assert all(len(source.episode(key).stream("observation.tip_pose")) == 66 for key in source.keys())
    if how is signal.SIGINT:
        assert working.returncode == 130
        assert err == "\nkata: interrupted. What is finished is kept; run the same command again to go on.\n"
