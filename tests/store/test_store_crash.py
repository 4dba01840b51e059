"""Killed at any moment, the versions that were there are whole; two writers at once both get theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from robokata.core.detection import open_source
from robokata.store.commit import Wish, make_snapshot
from robokata.store.edit import merged
from robokata.store.resolve import open_snapshot
from robokata.store.store import open_store
from robokata.store.verification import verify

SRC = Path(__file__).parents[2] / "src"
WRITER = Path(__file__).with_name("killed_writer.py")


def forked_writer(store: Path, dataset: Path, tag: str, turns: int) -> int:
    """A child process that appends snapshots; forked, because starting Python costs more than a snapshot."""
    child = os.fork()
    if child:
        return child
    try:
        opened, source = open_store(str(store), is_new=True), open_source(dataset)
        for turn in range(turns):
            prefix = f"{tag}{turn}/"
            one = source.keys()[:1]
            join = Wish(one, is_materialised=True, join=lambda old, new, p=prefix: merged(old, new, prefix=p))
            make_snapshot(opened, source, join)
        os._exit(0)
    finally:
        os._exit(1)  # a child of a fork must not run the parent's clean-up


def kill_at_random(recorded: Path, store: Path, moments: int) -> None:
    rng = np.random.default_rng(0)
    make_snapshot(open_store(str(store), is_new=True), open_source(recorded), Wish())
    known = len(open_store(str(store)).history())
    span_s = 0.2
    for moment in range(moments):
        child = forked_writer(store, recorded, f"k{moment}-", 1000)
        time.sleep(float(rng.uniform(0.001, span_s)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        opened = open_store(str(store), is_new=True)
        records = opened.history()
        assert len(records) >= known, "no version is lost"
        assert [record.number for record in records] == list(range(1, len(records) + 1))
        newest = open_snapshot(str(store))
        assert len(newest.keys()) == records[-1].episodes
        newest.episode(newest.keys()[-1])
        # On a busy machine a snapshot takes longer: the moments must fall into it, not all before it.
        span_s *= 1.1 if len(records) == known else 0.95
        known = len(records)
        assert not list((store / "objects").glob(".unfinished-*")), "what the killed writer left is gone"
    found = verify(open_store(str(store)))
    assert found.problems == ()
    assert known > 1, "some snapshots were finished: the moments are not all too early"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_at_sixty_moments_every_version_is_whole(recorded: Path, tmp_path: Path) -> None:
    kill_at_random(recorded, tmp_path / "store", 60)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_at_three_hundred_moments_every_version_is_whole(recorded: Path, tmp_path: Path) -> None:
    kill_at_random(recorded, tmp_path / "store", 300)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_writers_at_once_both_get_their_versions(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    children = [forked_writer(store, recorded, tag, 6) for tag in ("a", "b", "c")]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    records = open_store(str(store)).history()
    assert len(records) == 18
    assert [record.parents for record in records[1:]] == [(record.id,) for record in records[:-1]]
    assert len(open_snapshot(str(store)).keys()) == 18
    assert verify(open_store(str(store))).is_sound


def test_killed_as_a_command_it_leaves_the_version_before(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    words = [sys.executable, str(WRITER), str(store), str(recorded), "1000"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # By what it has done, not by a time: on a busy machine a second is too short for two snapshots.
        while len(list(store.glob("history/*.json"))) < 2 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert verify(open_store(str(store))).is_sound
    assert len(open_store(str(store)).history()) >= 2
