"""The metrics on attempts of the scripted expert, whose grasps are known."""

from __future__ import annotations

import functools

import pytest

from robokata.core.episode import Episode
from robokata.core.shelf import shelf
from robokata.core.world import Width
from robokata.evaluation.metric import measure_trials
from robokata.metrics._grasp_attempts import attempts_of

pytest.importorskip("mujoco")


@functools.cache
def shown(task: str, clumsiness_share: float, number: int) -> Episode:
    from robokata.collection.scripted import ExpertJob
    from robokata.sim.demonstration import scene_of
    from robokata.sim.sensors import Sensors

    job = ExpertJob(scene_of(task), Width.D1, 3, None, Sensors(), clumsiness_share, keep_failures=True)
    episode = job(number).episode
    assert isinstance(episode, Episode)
    return episode


@pytest.mark.parametrize("task", ["stack", "open_drawer"])
def test_a_skilled_expert_grasps_at_the_first_try(task: str) -> None:
    for number in range(2):
        (grasp,) = attempts_of(shown(task, 0.0, number)).grasps
        assert grasp.is_held
        # The simulator saw both jaws touch the thing within this time.
        seen = [a for a in shown(task, 0.0, number).annotations if a.label.startswith("grasp:")]
        assert all(grasp.start_s - 0.1 <= a.start_s and a.end_s <= grasp.end_s + 0.3 for a in seen)


def test_a_clumsy_expert_misses_and_tries_again() -> None:
    trials = [shown("stack", 1.0, number) for number in range(6)]
    assert measure_trials("first_try_success", trials).value < 1
    assert measure_trials("recoveries", trials).value == 1
    assert measure_trials("attempts", trials).value > 1


def test_the_jaws_alone_tell_the_same_as_the_poses_of_the_cubes() -> None:
    for number in range(6):
        full = shown("stack", 1.0, number)
        bare = full.without_stream("simulation.objects")
        assert [g.is_held for g in attempts_of(bare).grasps] == [g.is_held for g in attempts_of(full).grasps]


def test_a_push_is_no_grasp() -> None:
    push = shelf("metrics")["first_try_success"].observe(shown("push", 0.0, 0))
    assert push.reason == "it succeeded without holding anything"


def test_every_metric_but_that_of_chunks_knows_simulated_trials() -> None:
    trials = [shown("stack", 1.0, number) for number in range(6)]
    silent = [name for name in shelf("metrics").names() if measure_trials(name, trials).value is None]
    assert silent == ["chunk_boundary_jump", "failure_cause"]
