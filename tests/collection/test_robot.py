"""Real hardware through LeRobot's interface: driven in a process of its own, recorded, and always let go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.collection.robot import bridge as robot_bridge
from robokata.collection.robot.robot_session import RobotSessionOptions, collect_from_robot, keep_cut
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import RobotFailed, WriteRefused

HERE = Path(__file__).parent
JOINTS = ("shoulder.pos", "elbow.pos", "gripper.pos")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake robot writes what was done to it; its module is found as a user's would be, on PYTHONPATH."""
    path = tmp_path / "robot.log"
    monkeypatch.setenv("ROBOT_LOG", str(path))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return path


def order(
    out: Path, *, robot: dict[str, Any] | None = None, teleop: dict[str, Any] | None = None, **more: Any
) -> RobotSessionOptions:
    settings: dict[str, Any] = {"rate_hz": 50.0, "seconds_s": 0.8, "pause_s": 0.1, "stall_s": 1.0} | more
    return RobotSessionOptions(
        "fake_robot:Arm",
        "fake_robot:Leader",
        out,
        "wave",
        robot_config=robot or {},
        teleop_config=teleop or {},
        **settings,
    )


def quiet(_: str) -> None: ...


def only_episode(out: Path) -> Episode:
    source = open_source(out)
    (key,) = source.keys()
    return source.episode(key)


def let_go(log: Path) -> bool:
    words = log.read_text().splitlines()
    return "disconnect robot" in words and "disconnect teleoperator" in words


def test_what_was_commanded_and_what_was_sent_are_both_recorded_on_their_own_clocks(tmp_path: Path, log: Path) -> None:
    made = collect_from_robot(order(tmp_path / "out"), say=quiet)
    episode = only_episode(tmp_path / "out")
    assert len(made.kept) == 1
    assert let_go(log)
    commanded, sent = episode.stream("teleoperation.action"), episode.stream("action")
    assert sent.channels == commanded.channels == JOINTS
    # The fake robot clips at half a radian, and its leader swings to a whole one.
    assert np.abs(commanded.table).max() > 0.9
    assert np.array_equal(sent.table, np.clip(commanded.table, -0.5, 0.5))
    asked_ns = episode.stream("observation.state").other_clocks["asked"].times_ns
    observed_ns = episode.stream("observation.state").clock.times_ns
    assert np.all(asked_ns < observed_ns)
    assert np.all(observed_ns <= commanded.clock.times_ns)
    assert np.all(commanded.clock.times_ns < sent.clock.times_ns)
    assert 19e6 < float(np.median(np.diff(asked_ns))) < 30e6
    assert all(stream.clock.is_measured for stream in episode.streams.values())


def test_pictures_are_those_that_the_robot_gave_with_each_observation(tmp_path: Path, log: Path) -> None:
    collect_from_robot(order(tmp_path / "out"), say=quiet)
    film = only_episode(tmp_path / "out").stream("observation.images.front")
    reds = [int(np.median(film.values[at][..., 0])) for at in range(len(film))]
    first = reds[0]
    assert film.shape == (48, 64, 3)
    assert np.abs(np.array(reds) - (first + np.arange(len(reds)))).max() <= 2  # JPEG


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("dies", "The robot failed: ConnectionError: the bus is gone"),
        ("exits", "The robot's process died (code 7)"),
        ("stalls", "The robot stalls: nothing was heard of it for 1 s. It was disconnected."),
        ("nan", "the robot says nan for 'elbow.pos': its sensor or its bus has failed."),
    ],
)
def test_a_robot_that_fails_costs_the_running_episode_only(tmp_path: Path, log: Path, how: str, message: str) -> None:
    out, loop_state, said = tmp_path / "out", tmp_path / "now", list[str]()
    failing = order(out, robot={"fails_when": str(loop_state), "how": how}, episodes=3)
    steps = iter(range(10))

    def in_the_second_episode() -> None:
        if sum(text.startswith("Recording") for text in said) == 2 and next(steps, None) is None:
            loop_state.touch()

    with pytest.raises(RobotFailed) as refused:
        collect_from_robot(failing, say=said.append, word=in_the_second_episode)
    assert message in str(refused.value)
    assert len(only_episode(out).stream("action")) >= 30
    if how != "exits":  # whose process is gone, and with it every way to speak to the robot
        assert let_go(log)
    (cut,) = (out / ".recording").iterdir()
    (kept,) = keep_cut(out)
    assert kept == cut.stem
    assert open_source(out).episode(kept).extra["robot"]["was_cut"] is True


def test_a_command_that_is_no_number_never_reaches_the_robot_and_is_counted(tmp_path: Path, log: Path) -> None:
    collect_from_robot(order(tmp_path / "out", teleop={"nan_at": 12}), say=quiet)
    episode = only_episode(tmp_path / "out")
    assert episode.extra["robot"]["refused_actions"] == 1
    assert len(episode.stream("action")) == len(episode.stream("teleoperation.action")) - 1
    assert np.isfinite(episode.stream("action").table).all()
    assert "NOT FINITE" not in log.read_text()


def test_a_driver_that_prints_does_not_disturb_the_recording(tmp_path: Path, log: Path) -> None:
    assert len(collect_from_robot(order(tmp_path / "out", robot={"noisy": True}), say=quiet).kept) == 1


def test_the_operators_words_discard_and_end(tmp_path: Path, log: Path) -> None:
    said = iter([*[None] * 10, "discard", "keep", *[None] * 10, "end"])
    made = collect_from_robot(
        order(tmp_path / "out", episodes=5, seconds_s=30.0, pause_s=30.0), say=quiet, word=lambda: next(said)
    )
    assert (made.discarded, len(made.kept), made.ended_by) == (1, 1, "operator")
    assert let_go(log)


def test_a_module_that_is_not_there_is_named(tmp_path: Path, log: Path) -> None:
    wrong = RobotSessionOptions("no_such_module:Arm", "fake_robot:Leader", tmp_path / "out")
    with pytest.raises(RobotFailed, match="ModuleNotFoundError: No module named 'no_such_module'"):
        collect_from_robot(wrong, say=quiet)
    with pytest.raises(RobotFailed, match=r"No such file or directory\. Name the robot's interpreter with --python"):
        collect_from_robot(order(tmp_path / "out", python="/no/python"), say=quiet)


def test_a_full_disk_stops_the_recording_lets_the_robot_go_and_loses_nothing_finished(
    tmp_path: Path, log: Path
) -> None:
    import resource

    out = tmp_path / "out"
    collect_from_robot(order(out), say=quiet)
    (first,) = out.glob("*.mcap")
    before = first.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # ten steps
    try:
        with pytest.raises(WriteRefused, match=r"File too large\. Recording stopped and the robot was let go"):
            collect_from_robot(order(out), say=quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert first.read_bytes() == before
    assert let_go(log)


def command_line(out: Path, *more: str) -> subprocess.Popen[str]:
    words = [
        "--robot-module",
        "fake_robot:Arm",
        "--teleop",
        "fake_robot:Leader",
        "--out",
        str(out),
        "--rate",
        "50",
        *more,
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "robokata.cli.main", "collect", "robot", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1] / 'src'}"},
    )


def until(holds: Any, *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def grown(out: Path) -> bool:
    return any(path.stat().st_size > 20_000 for path in (out / ".recording").glob("*.frames"))


def test_ctrl_c_lets_the_robot_go_and_says_what_there_is(tmp_path: Path, log: Path) -> None:
    process = command_line(tmp_path / "out", "--seconds", "60", "--json")
    until(lambda: grown(tmp_path / "out"))
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=20)
    made = json.loads(said)
    assert process.returncode == 0, complained
    assert (made["ended_by"], len(made["cut"]), made["kept"]) == ("Ctrl-C", 1, [])
    assert let_go(log)


def test_a_recorder_that_is_killed_lets_the_robot_go_and_its_recording_is_kept_on_demand(
    tmp_path: Path, log: Path
) -> None:
    out = tmp_path / "out"
    process = command_line(out, "--seconds", "60")
    until(lambda: grown(out))
    process.kill()
    process.communicate()
    until(lambda: let_go(log))
    (kept,) = keep_cut(out)
    assert len(open_source(out).episode(kept).stream("action")) > 3


def test_the_bridge_needs_nothing_but_the_standard_library() -> None:
    """It runs where Robokata is not installed: `-I -S` hides everything but the standard library."""
    probe = subprocess.run(
        [sys.executable, "-S", robot_bridge.__file__], input=b"", capture_output=True, timeout=20, cwd="/", check=False
    )
    assert probe.returncode == 0, probe.stderr.decode()
