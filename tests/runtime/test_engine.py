"""Tests of the engine: the same answers on any number of cores, and nobody takes the run down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, UnknownName
from robokata.core.source import Source
from robokata.runtime.engine import Mapped, WorkerDied, map_episodes, worker_count
from robokata.runtime.pool import answer_of
from robokata.testing import tiny_source
from robokata.testing.sample import write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "sample"
    write_sample(path)
    return path


def describe(episode: Episode) -> tuple[str, float]:
    return episode.id, float(episode.stream("action").table[0].sum())


def fail_on(episode: Episode, *, key: str) -> str:
    if episode.id == key:
        raise DamagedData("arm.mp4", "is cut short.", offset=12)
    return episode.id


def die_on(episode: Episode, *, keys: tuple[str, ...]) -> str:
    if episode.id in keys:
        os.kill(os.getpid(), signal.SIGKILL)
    return episode.id


def mapped(path: Path, function: Callable[[Episode], object], workers: int) -> list[Mapped[object]]:
    source = open_source(path)
    return list(map_episodes(source, function, keys=source.keys(), workers=workers))


def test_results_are_the_same_for_any_number_of_workers(sample: Path) -> None:
    alone = mapped(sample, describe, 1)
    assert [result.key for result in alone] == [str(n) for n in range(12)]
    assert all(result.error is None and result.value is not None for result in alone)
    assert mapped(sample, describe, 2) == alone
    assert mapped(sample, describe, 3) == alone


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_episode_costs_itself(sample: Path, workers: int) -> None:
    results = mapped(sample, partial(fail_on, key="4"), workers)
    assert [result.value for result in results] == [None if n == 4 else str(n) for n in range(12)]
    assert [str(result.error) for result in results if result.error] == ["arm.mp4 at byte 12: is cut short."]


@pytest.mark.parametrize("keys", [("5", "6")])
def test_an_episode_that_kills_its_worker_costs_itself(sample: Path, keys: tuple[str, ...]) -> None:
    source, done = open_source(sample), list[int]()
    function = partial(die_on, keys=keys)
    results = list(map_episodes(source, function, keys=source.keys(), workers=2, advance=done.append))
    assert sum(done) == 12, "the progress counts every episode once"
    assert [result.key for result in results] == [str(n) for n in range(12)]
    assert [result.value for result in results] == [None if str(n) in keys else str(n) for n in range(12)]
    deaths = [result.error for result in results if result.error]
    assert [type(error) for error in deaths] == [WorkerDied] * len(keys)
    assert [str(error) for error in deaths] == [
        f"{sample}: the process that read episode {key} was killed. Its files make a library crash or need more "
        f"memory than there is: restore them, or drop the episode."
        for key in keys
    ]


def test_an_unknown_key_is_an_error_of_its_own(sample: Path) -> None:
    (result,) = map_episodes(open_source(sample), describe, keys=["99"])
    assert isinstance(result.error, UnknownName)


class Counting:
    """A source that counts the episodes it opened."""

    def __init__(self, source: Source) -> None:
        self.source, self.opened = source, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.source, name)

    def episode(self, key: str) -> Episode:
        self.opened += 1
        return self.source.episode(key)


def test_results_stream_while_later_episodes_are_not_opened_yet(sample: Path) -> None:
    source = Counting(open_source(sample))
    results = map_episodes(source, describe, keys=source.keys())
    next(results)
    next(results)
    assert source.opened == 2


def test_episodes_in_memory_are_mapped_here_whatever_is_asked() -> None:
    source = tiny_source(2, duration_s=0.4)
    assert [r.key for r in map_episodes(source, describe, keys=source.keys(), workers=2)] == ["0", "1"]
    assert worker_count(source, 10**6, size_bytes=10**12) == 1


@pytest.mark.parametrize(
    ("episodes", "size_bytes", "is_pool"),
    [(10, 10**6, False), (1, 10**12, False), (10, 10**9, True), (5000, None, True), (10, None, False)],
)
def test_a_pool_is_started_where_it_pays(sample: Path, episodes: int, size_bytes: int | None, is_pool: bool) -> None:
    cores = min(len(os.sched_getaffinity(0)), episodes)
    assert worker_count(open_source(sample), episodes, size_bytes=size_bytes) == (cores if is_pool else 1)


def test_ctrl_c_that_another_thread_takes_ends_the_waiting_too() -> None:
    waiting: Future[int] = Future()

    def interrupted_elsewhere() -> None:
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)  # to this thread: the main thread is not woken

    end = threading.Timer(10, waiting.set_result, [0])  # who is not woken learns of it now, too late
    end.daemon = True
    end.start()
    other = threading.Thread(target=interrupted_elsewhere, daemon=True)
    started = time.monotonic()
    other.start()
    with pytest.raises(KeyboardInterrupt):
        answer_of(waiting)
    end.cancel()
    assert time.monotonic() - started < 8


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_ctrl_c_ends_the_run_at_once_and_leaves_no_process(sample: Path) -> None:
    command = [sys.executable, "-m", "robokata.cli.main", "check", str(sample), "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    kata = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    # The resource tracker and at least one worker.
    while len(children_of(kata.pid)) < 2 and kata.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    workers = children_of(kata.pid)
    assert len(workers) >= 2
    started = time.monotonic()
    kata.send_signal(signal.SIGINT)
    _, said = kata.communicate(timeout=60)
    # The code says that it was interrupted and did not finish; the time is a bound for a machine that is busy, too.
    assert time.monotonic() - started < 30
    assert (kata.returncode, said.strip()) == (130, "kata: interrupted. Nothing was changed.")
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.02)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize(
    "words",
    [("convert", "{sample}", "{out}", "--to", "rlds"), ("collect", "sim", "lift", "--expert", "--out", "{out}")],
)
def test_workers_of_a_killed_run_end_too(words: tuple[str, ...], sample: Path, tmp_path: Path) -> None:
    said = [word.format(sample=sample, out=tmp_path / "out") for word in words]
    command = [sys.executable, "-m", "robokata.cli.main", *said, "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    kata = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while len(children_of(kata.pid)) < 3 and kata.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    workers = children_of(kata.pid)
    kata.kill()
    kata.wait()
    assert len(workers) >= 2
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.02)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
