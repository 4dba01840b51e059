"""Policy servers that answer nonsense: each costs the trial that it spoils, and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from robokata.core.contracts import Chunk, PolicyRef, PolicySpec, Sensed, StreamNeed
from robokata.core.detection import open_source
from robokata.core.errors import EvaluationStopped
from robokata.core.world import Width
from robokata.evaluation.trial import Conditions
from robokata.evaluation.trials import TrialJob, dismiss, evaluate_policy
from robokata.policies._openpi.server import PolicyServer
from robokata.sim.demonstration import scene_of

CHANNELS = (*(f"tip.{axis}" for axis in ("x", "y", "z", "qx", "qy", "qz", "qw")), "opening")


class Turnless:
    """A policy that stands still, but answers zeros from row `zero_from` on in its first `spoilt` attempts."""

    def __init__(self, *, zero_from: int, spoilt: int, after_chunks: int = 0) -> None:
        self.zero_from, self.spoilt, self.after_chunks = zero_from, spoilt, after_chunks
        self.attempts, self.asked = 0, 0

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        need = StreamNeed("observation.tip_pose", (7,), CHANNELS[:7])
        return PolicySpec("turnless", (need,), CHANNELS, 8, 20.0, "action.tip_pose", 8)

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        self.attempts, self.asked = self.attempts + 1, 0

    def act(self, observation: Sensed) -> Chunk:
        actions = np.tile([*observation["observation.tip_pose"], 0.08], (8, 1))
        if self.attempts <= self.spoilt and self.asked == self.after_chunks:
            actions[self.zero_from :] = 0.0
        self.asked += 1
        return Chunk(actions, CHANNELS, 20.0)

    def close(self) -> None: ...


@contextmanager
def job_of(policy: Turnless) -> Iterator[TrialJob]:
    """Trials of a policy behind a real server."""
    ports: list[int] = []
    server = PolicyServer(policy)
    thread = threading.Thread(target=server.serve, args=("127.0.0.1", 0), kwargs={"ready": ports.append}, daemon=True)
    thread.start()
    while not ports:
        time.sleep(0.005)
    ref = PolicyRef(f"ws://127.0.0.1:{ports[0]}")
    try:
        yield TrialJob(ref, Conditions(scene_of("lift"), Width.D0), seed=7, filming=None)
    finally:
        dismiss(ref)
        server.stop()
        thread.join(10)


@pytest.mark.parametrize(("zero_from", "after_chunks"), [(0, 0), (1, 0), (0, 2)])
def test_a_quaternion_of_no_length_costs_that_trial_only(zero_from: int, after_chunks: int, tmp_path: Path) -> None:
    with job_of(Turnless(zero_from=zero_from, spoilt=1, after_chunks=after_chunks)) as job:
        made = evaluate_policy(job, tmp_path / "out", trials=2, workers=1)
    said = f"not_finite: the policy answers a quaternion of length 0 in row {zero_from} of 8; that is no rotation."
    assert [line.row["infrastructure"] for line in made.lines] == [said, None, None]
    assert made.metrics["success_at_end"].infrastructure == 1
    source = open_source(tmp_path / "out")
    steps = [len(source.episode(key).streams["action"].clock) for key in source.keys()]
    assert steps == ([] if after_chunks == 0 else [16]) + [160, 160], "what went before is kept, without half a step"


def test_where_no_trial_counts_the_message_does_not_say_that_some_are_kept(tmp_path: Path) -> None:
    with (
        job_of(Turnless(zero_from=0, spoilt=99)) as job,
        pytest.raises(EvaluationStopped, match=r"4 of 4 trials failed .* again: none counted, so it begins anew\.$"),
    ):
        evaluate_policy(job, tmp_path / "none", trials=4, workers=1)


def test_where_some_trials_count_they_are_kept(tmp_path: Path) -> None:
    turnless = Turnless(zero_from=0, spoilt=99)
    turnless.attempts = 97  # the attempts 98 and 99 are spoilt
    with job_of(turnless) as job:
        evaluate_policy(job, tmp_path / "out", trials=1, workers=1)
        turnless.spoilt = 999
        with pytest.raises(EvaluationStopped, match=r"same command again: the 1 that count are kept\.$"):
            evaluate_policy(job, tmp_path / "out", trials=4, workers=1)
