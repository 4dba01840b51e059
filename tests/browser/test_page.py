"""The collecting page in a real Chromium: keys that solve lift, a headset that moves both arms, a gamepad."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.served import served
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.inspection.run import check_dataset

NODE = Path(__file__).parent / "node"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ABSENT = CHROMIUM is None or shutil.which("node") is None or not (NODE / "node_modules" / "playwright-core").exists()
pytestmark = pytest.mark.skipif(ABSENT, reason="needs chromium, node, and `npm ci` in tests/browser/node")


@pytest.fixture(autouse=True)
def _one_browser_at_a_time() -> Iterator[None]:
    """Each draws in software on every core: two at once would keep each other's commands from being on time."""
    with (Path(tempfile.gettempdir()) / "robokata-browser-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def driven(script: str, url: str, *words: str) -> dict[str, Any]:
    """What a script that drives the browser says at its end."""
    ran = subprocess.run(
        ["node", script, url, *words],
        cwd=NODE,
        env={**os.environ, "CHROMIUM": str(CHROMIUM)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert said["complaints"] == []
    return said


def only_episode(out: Path) -> Episode:
    """The one episode, after every check has passed it."""
    source = open_source(out)
    report = check_dataset(source)
    assert [finding for finding in report.findings if finding.level is Level.ERROR] == []
    (key,) = source.keys()
    return source.episode(key)


def tip(said: dict[str, Any], arm: str) -> Any:
    return np.array(said["commands"][arm][:3])


def test_keys_alone_solve_lift_and_the_demonstration_is_kept(tmp_path: Path) -> None:
    with served(tmp_path / "out", "lift") as server:
        said = driven("keyboard.mjs", server.url, str(tmp_path))
        server.end()
    assert said["steps"] == {"above": True, "down": True, "up": True}
    assert said["before"]["success"] is True
    assert said["after"]["status"]["kept"] == 1
    episode = only_episode(tmp_path / "out")
    assert episode.outcome.success is True
    assert episode.extra["teleoperation"]["devices"] == ["keyboard"]
    assert [a.label for a in episode.annotations if a.label.startswith("subtask")] == ["subtask:grasp", "subtask:lift"]


def test_a_headset_moves_both_arms_while_the_grips_are_held(tmp_path: Path) -> None:
    with served(tmp_path / "out", "hand_over") as server:
        said = driven("headset.mjs", server.url, str(tmp_path))
        server.end()
    assert said["isSecure"] is True
    assert said["names"] == ["left", "right"]
    for arm, aside in (("left", -1), ("right", 1)):
        still, unclutched, clutched, moved = (
            tip(said[name], arm) for name in ("still", "unclutched", "clutched", "moved")
        )
        assert np.allclose(unclutched, still), "an open clutch moves nothing"
        assert np.allclose(clutched, still), "closing the clutch moves nothing"
        # The hands moved 5 cm ahead, 4 cm apart, 6 cm up. The operator looks along the world's y. A browser that is
        # slower than the watchdog holds and clutches anew, which loses motion (nearly all, on a machine that is busy
        # with five other things) and never adds any.
        by, hand = moved - clutched, np.array([aside * 0.04, 0.05, 0.06])
        assert by @ hand > 0.97 * np.linalg.norm(by) * np.linalg.norm(hand)
        assert 0.02 * np.linalg.norm(hand) < np.linalg.norm(by) < 1.05 * np.linalg.norm(hand)
    episode = only_episode(tmp_path / "out")
    assert episode.extra["teleoperation"]["devices"] == ["headset"]
    for arm in ("left", "right"):
        jaws = episode.stream(f"teleoperation.{arm}.opening").table[:, 0]
        assert set(np.unique(jaws)) == {0.0, 1.0}
        assert np.count_nonzero(np.diff(jaws)) == 2, "one press and one release of the trigger"
        clutch = episode.stream(f"teleoperation.{arm}.way")
        assert clutch.channels is not None
        assert np.count_nonzero(np.diff(clutch.table[:, clutch.channels.index("clutch")])) == 1


def test_a_gamepad_moves_the_arm_and_records(tmp_path: Path) -> None:
    with served(tmp_path / "out", "lift") as server:
        said = driven("gamepad.mjs", server.url)
        server.end()
    assert said["device"] == "gamepad", "moving a stick chooses it"
    before, forward, right, down = (tip(said[name], "arm") for name in ("before", "forward", "right", "down"))
    for by, axis, sign in ((forward - before, 0, 1), (right - forward, 1, -1), (down - right, 2, -1)):
        assert sign * by[axis] > 0.03
        assert np.abs(np.delete(by, axis)).max() < 0.005
    assert only_episode(tmp_path / "out").extra["teleoperation"]["devices"] == ["gamepad"]
