"""How long a study will take, from one short run that is timed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from robokata.core.shelf import shelf
from robokata.core.world import Width
from robokata.curation import curated
from robokata.evaluate.trial import Conditions, run_trial
from robokata.evaluate.trials import PolicyRef, opened
from robokata.learn.data import Weighted
from robokata.learn.settings import settings_for
from robokata.learn.train import plan, train
from robokata.learn.training_spec import SourceSpec, TrainingSpec
from robokata.sim.demonstration import scene_of
from robokata.study.design import Arm
from robokata.study.spec import Study

_STEPS, _TRIALS = 30, 2
"""Enough to be within a third of the truth. The first step and trial, which start things up, are not timed."""


def hours_of(study: Study, baseline: Arm, runs: int) -> float:
    """Hours of one core for so many runs; data that levels generate is not in it.

    Raises:
        RecipeRefused: the data cannot be made.
        TrainingRefused: the policy cannot be trained on it.
    """
    source = curated(baseline.recipe, workers=1).source
    habits = shelf("policies")[study.policy].HABITS
    spec = TrainingSpec((SourceSpec(str(source.path)),), options=dict(study.options))
    settings = settings_for(habits, steps=_STEPS, device=study.device, threads=1)
    began = time.perf_counter()
    job = plan(study.policy, spec, [Weighted(source, tuple(source.keys()), None)], settings)
    read_s = time.perf_counter() - began
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(job, Path(folder) / "policy", told=lambda progress: moments.append(time.perf_counter()))
        step_s = (moments[-1] - moments[0]) / (len(moments) - 1)
        policy = opened(PolicyRef(str(Path(folder) / "policy")))
        px = study.picture_px
        conditions = Conditions(scene_of(study.task, study.robot), Width(study.width), size_px=(px, px))
        run_trial(policy, conditions, seed=0, number=0)
        began = time.perf_counter()
        for number in range(1, 1 + _TRIALS):
            # An untrained policy fails, and a failure lasts until the horizon: the longest that a trial can be.
            run_trial(policy, conditions, seed=0, number=number)
        trial_s = (time.perf_counter() - began) / _TRIALS
    return runs * (read_s + study.steps * step_s + study.trials * trial_s) / 3600
