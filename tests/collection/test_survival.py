"""Recording survives anything: what is finished stays as it is, and what was cut can be kept or is cleanly absent."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from collection.served import Served, served, until
from robokata.collection.client import Operator
from robokata.core.detection import open_source


def record(operator: Operator, *, steps: int = 30) -> None:
    operator.until(lambda: operator.status["phase"] == "ready")
    operator.act("record")
    operator.until(lambda: operator.status["phase"] == "recording")
    for _ in range(steps):
        operator.twist("arm", [0.05, 0.05, -0.05, 0, 0, 0], opening_share=0.5)
        time.sleep(0.02)


def keep(operator: Operator) -> None:
    before = operator.status["kept"]
    operator.act("keep")
    operator.until(lambda: operator.status["kept"] == before + 1)


def finished(operator: Operator) -> None:
    operator.until(
        lambda: operator.status["recordings"] and all(p["stage"] == "done" for p in operator.status["recordings"]),
        patience_s=60,
    )


def journals(out: Path) -> list[Path]:
    return sorted((out / ".recording").glob("*.journal"))


def episodes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.mcap")}


def sound(out: Path, shape: tuple[int, ...] = (96, 128, 3)) -> int:
    """How many episodes there are; every one opens and shows its last picture."""
    source = open_source(out)
    for key in source.keys():
        film = source.episode(key).stream("observation.images.scene")
        assert film.values[len(film) - 1].shape == shape
    return len(source.keys())


def test_killed_while_recording_the_finished_stay_and_the_cut_one_can_be_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as first, Operator(first.url) as operator:
        record(operator)
        keep(operator)
        finished(operator)
        before = episodes(out)
        record(operator, steps=60)
        first.kill()
    assert episodes(out) == before
    assert sound(out) == 1
    (cut,) = journals(out)
    with served(out, "lift") as second, Operator(second.url) as operator:
        operator.until(lambda: operator.status["cut"] == [cut.stem])
        operator.act("keep_cut")
        finished(operator)
        second.end()
    assert sound(out) == 2
    assert {name: episodes(out)[name] for name in before} == before
    recovered = open_source(out).episode(cut.stem)
    assert recovered.extra["teleoperation"]["was_cut"] is True
    # All but the line that was being written: the operator saw 60 commands being taken.
    assert len(recovered.stream("action")) >= 55
    assert journals(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.4, 1.2])
def test_killed_while_pictures_are_rendered_the_next_start_finishes_them(tmp_path: Path, after_s: float) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as first, Operator(first.url) as operator:
        record(operator)
        keep(operator)
        time.sleep(after_s)
        first.kill()
    with served(out, "lift") as second, Operator(second.url) as operator:
        until(lambda: sound_or_none(out) == 1, seconds=60)
        assert operator.status["cut"] == []
        second.end()
    assert journals(out) == []
    assert sound(out) == 1


def sound_or_none(out: Path) -> int:
    return sound(out) if episodes(out) else 0


@pytest.mark.slow
def test_what_was_cut_can_be_set_aside(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as first, Operator(first.url) as operator:
        record(operator)
        first.kill()
    with served(out, "lift") as second, Operator(second.url) as operator:
        operator.act("discard_cut")
        operator.until(lambda: operator.status["cut"] == [])
        second.end()
    assert episodes(out) == {}
    assert journals(out) == []
    assert len(list((out / ".undone").iterdir())) == 1


def test_a_lost_connection_holds_the_robot_and_the_recording_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as server:
        driving = Operator(server.url)
        record(driving)
        cookie, steps = driving.cookie, driving.status["recorded_s"]
        driving.close()
        with Operator(server.url, cookie=cookie) as again:
            again.until(lambda: again.status["drives"] and again.status["holds"] == ["stale"])
            before = again.state["action"]
            again.until(lambda: (again.status["recorded_s"] or 0) > (steps or 0) + 0.5)
            assert again.state["action"] == before
            keep(again)
            finished(again)
        server.end()
    episode = open_source(out).episode(open_source(out).keys()[0])
    holds = episode.stream("teleoperation.hold").table[:, 0]
    assert holds[-1] == 2, "held because nothing was heard"
    assert episode.extra["teleoperation"]["held_steps"]["arm"]["stale"] >= 5


def test_a_full_disk_stops_recording_says_so_and_loses_nothing_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as server, Operator(server.url) as operator:
        record(operator)
        keep(operator)
        finished(operator)
        server.end()
    before = episodes(out)
    # A limit on the size of files is the disk that is full without one to fill; a recording has 3 kB per step.
    with served(out, "lift", largest_file_bytes=120_000) as server, Operator(server.url) as operator:
        record(operator, steps=10)
        for _ in range(100):
            operator.twist("arm", [0, 0, 0, 0, 0, 0])
            time.sleep(0.02)
        operator.until(lambda: operator.status["phase"] == "review")
        assert operator.status["notice"] == (
            "The disk says: File too large. Recording stopped; every finished episode is intact."
        )
        operator.act("keep")
        operator.until(lambda: operator.status["notice"].startswith("Not kept: the disk says File too large."))
        ended = server.end()
    assert any(event["event"] == "problem" and "File too large" in event["why"] for event in server.events)
    assert ended["kept"] == 0
    assert episodes(out) == before
    with served(out, "lift") as server, Operator(server.url) as operator:
        operator.act("keep_cut")
        finished(operator)
        server.end()
    assert sound(out) == 2


@pytest.mark.slow
def test_a_disk_that_is_full_when_an_episode_is_written_keeps_its_recording(tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Large pictures, so that the episode is larger than its recording.
    with (
        served(out, "lift", "--size", "720x960", largest_file_bytes=330_000) as server,
        Operator(server.url) as operator,
    ):
        record(operator, steps=25)
        keep(operator)
        operator.until(lambda: operator.status["recordings"][-1]["stage"] == "failed", patience_s=60)
        assert "File too large" in operator.status["recordings"][-1]["why"]
        assert server.end()["unfinished"] == 1
    assert episodes(out) == {}
    with served(out, "lift") as server:
        until(lambda: len(episodes(out)) == 1, seconds=60)
        server.end()
    assert sound(out, (720, 960, 3)) == 1


@pytest.mark.slow
def test_ctrl_c_finishes_what_was_kept_and_leaves_what_was_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served(out, "lift") as server, Operator(server.url) as operator:
        record(operator)
        keep(operator)
        record(operator)
        ended = server.end()
    assert (ended["kept"], ended["was_cut"], ended["unfinished"]) == (1, True, 0)
    assert sound(out) == 1
    assert len(journals(out)) == 1


@pytest.mark.slow
def test_no_process_of_ours_is_left_behind_by_a_kill(tmp_path: Path) -> None:
    with served(tmp_path / "out", "lift") as server, Operator(server.url) as operator:
        record(operator)
        keep(operator)
        operator.until(lambda: operator.pictures > 0, patience_s=30)
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(children) == 2
        server.kill()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_an_unknown_task_or_robot_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"No task is called 'lfit'. Did you mean 'lift'\? Known: "):
        Served(tmp_path / "out", "lfit")
    with pytest.raises(AssertionError, match=r"No robot is called 'panda'.* Known: .*franka_panda"):
        Served(tmp_path / "out", "lift", "--robot", "panda")
