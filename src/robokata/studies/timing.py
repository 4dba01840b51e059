"""How long a study will take, from one short run that is timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from robokata.core.contracts import ForeignLeaf
from robokata.core.errors import StudyRefused
from robokata.core.leaf_kinds import trainable_policy
from robokata.curation.curate import curated
from robokata.curation.write import training_sources, write_curated
from robokata.evaluation.trial import run_trial
from robokata.learn.open_policy import open_policy
from robokata.learn.trainable import ForeignJob, habits_of
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.runtime.progress import Silent
from robokata.studies.design import Arm
from robokata.studies.run import trial_job
from robokata.studies.spec import Study
from robokata.training.data import Weighted
from robokata.training.fit import fit, plan
from robokata.training.settings import settings_for

_STEPS, _TRIALS = 30, 2
"""Enough to be within a third of the truth. The first step and trial, which start things up, are not timed."""


def hours_of(study: Study, baseline: Arm, steps: Sequence[int]) -> float:
    """Hours of one core for runs of so many steps each; data that levels generate is not in it.

    Raises:
        RecipeRefused: the data cannot be made.
        TrainingRefused: the policy cannot be trained on it.
        StudyRefused: what is trained cannot be evaluated.
    """
    with tempfile.TemporaryDirectory() as scratch:
        policy = Path(scratch) / "policy"
        leaf = trainable_policy(study.policy)
        if isinstance(leaf, ForeignLeaf):
            timed = _by_others(study, baseline, leaf, policy)
        else:
            timed = _by_us(study, baseline, policy)
        each_s = timed.once_s + study.trials * _trial_s(study, policy)
        return (len(steps) * each_s + sum(steps) * timed.step_s) / 3600


class _Timed(NamedTuple):
    once_s: float
    """What a training takes before its first step."""
    step_s: float


def _by_us(study: Study, baseline: Arm, out: Path) -> _Timed:
    source = curated(baseline.recipe, workers=1, is_for_training=True).source
    spec = TrainingSpec((DataSource(str(source.path)),), options=dict(study.options))
    settings = settings_for(habits_of(study.policy), steps=_STEPS, device=study.device, threads=1)
    began = time.perf_counter()
    job = plan(study.policy, spec, [Weighted(source, tuple(source.keys()), None)], settings)
    read_s = time.perf_counter() - began
    clock = _StepClock()
    fit(job, out, on_progress=clock)
    return _Timed(read_s, (clock.moments_s[-1] - clock.moments_s[0]) / (len(clock.moments_s) - 1))


class _StepClock(Silent):
    """Progress that notes when each step was done."""

    def __init__(self) -> None:
        self.moments_s: list[float] = []

    def advance(self, count: int = 1) -> None:
        self.moments_s.append(time.perf_counter())


def _by_others(study: Study, baseline: Arm, leaf: ForeignLeaf, out: Path) -> _Timed:
    planned = curated(baseline.recipe, workers=1, is_for_training=True)
    data = out.with_name("data")
    write_curated(planned, data, workers=1)
    spec = TrainingSpec(training_sources(planned, data), options=dict(study.options))
    took_s = []
    # Their code tells no moments: what a step takes is what more steps take more.
    for number, steps in enumerate((1, 1 + _STEPS)):
        began = time.perf_counter()
        folder = out if steps > 1 else out.with_name("short")
        leaf.train(ForeignJob(spec, folder, number, steps, study.device, lambda line: None, threads=1))
        took_s.append(time.perf_counter() - began)
    return _Timed(took_s[0], max(0.0, took_s[1] - took_s[0]) / _STEPS)


def _trial_s(study: Study, checkpoint: Path) -> float:
    job = trial_job(study, checkpoint)
    policy = open_policy(job.policy.where, options=job.policy.options)
    try:
        first = run_trial(policy, job.conditions, seed=0, number=0)
        if first.infrastructure is not None:
            raise StudyRefused(f"a policy that was trained for a moment cannot be evaluated: {first.infrastructure}")
        began = time.perf_counter()
        for number in range(1, 1 + _TRIALS):
            # An untrained policy fails, and a failure lasts until the horizon: the longest that a trial can be.
            run_trial(policy, job.conditions, seed=0, number=number)
        return (time.perf_counter() - began) / _TRIALS
    finally:
        policy.close()
