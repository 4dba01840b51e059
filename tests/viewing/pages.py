"""One report of each kind, with names from a dataset that mean no good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reports import a_finding, episodes, report_of

from evaluation.test_trials import Lifter
from robokata.core.episode import Instruction
from robokata.core.finding import Abstention
from robokata.core.source import EpisodeList
from robokata.core.world import Width
from robokata.evaluation import trials as trials_module
from robokata.evaluation.evaluation import Evaluation, run_evaluation
from robokata.evaluation.probes import SkippedProbe, probes_for
from robokata.evaluation.trial import Conditions
from robokata.evaluation.trials import PolicyRef, TrialJob
from robokata.inspection.run import Report
from robokata.learn.training_spec import TrainingSpec
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.studies.design import arms_of
from robokata.studies.effects import FIRST_TRY, PRIMARY, answers_of, results_of
from robokata.studies.run import Data, Run
from robokata.studies.spec import study_from
from robokata.studies.study import Findings
from robokata.training.curve import Curve, Step
from robokata.training.fit import Trained
from robokata.training.settings import Settings
from robokata.viewing.html.check_report import write_html
from robokata.viewing.html.evaluation import write_evaluation
from robokata.viewing.html.study import write_study
from robokata.viewing.html.training import write_training_html

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'&amp;\u202egpj.exe"
"""A tag, both quotes, an entity, and the mark that turns the rest of a line around."""


def check_report(name: str) -> Report:
    """Findings of an episode all of whose names are `name`."""
    episode = replace(episodes(1)[0], id=name, instructions=(Instruction(name),))
    camera = replace(next(episode.pictures()), name=name)
    episode = replace(episode, streams={**episode.streams, name: camera})
    finding = a_finding(episode=name, stream=name, channel=name, message=name, repair=name, measured=name)
    silent = [Abstention("stamp_lag", name, name)]
    return report_of([finding] * 5, source=EpisodeList([episode]), abstentions=silent)


def training(name: str, folder: Path) -> Trained:
    """A training of 400 steps whose loss falls."""
    curve, rng = Curve(), np.random.default_rng(0)
    for step in range(400):
        curve.add(Step(float(np.exp(-step / 90) + rng.uniform(0.02, 0.1)), 1.0, 1e-4, 0.01, 0.001))
    curve.add_validation(0.2)
    return Trained(
        folder=folder / name.replace("/", "|"),
        policy=name,
        parameters=123_456,
        frozen=0,
        episodes=20,
        samples=4000,
        absent={name: 0.25},
        left_out=(),
        notes=(name,),
        held_out=2,
        settings=Settings(400, 64, 1e-4, 1e-4, 20, 0.99),
        curve=curve,
        provenance={name: name},
    )


def findings(name: str) -> Findings:
    """A study of one choice, with made-up runs."""
    levels = {"as recorded": 0.3, name: 0.8}
    study = study_from(
        {
            "name": name,
            "task": "stack",
            "policy": "bc_mlp",
            "data": {"source": [{"path": "demonstrations"}]},
            "factor": [{"name": name, "level": [{"name": level} for level in levels]}],
        }
    )
    rng, arms, runs = np.random.default_rng(5), arms_of(study), []
    luck = rng.uniform(size=40)
    for arm in arms:
        for seed in range(3):
            wins = {str(n): float(luck[n] + rng.normal(0, 0.1) < levels[arm.levels[name]]) for n in range(40)}
            runs.append(Run(arm.name, seed, "", f"out/{name}", {PRIMARY: wins, FIRST_TRY: wins}, 0, 1.0, 1.0, 0.1))
    data = {arm.name: Data(arm.name, "", "", TrainingSpec(()), 30, 0, {}, 1.0) for arm in arms}
    results = results_of(arms, data, runs)
    return Findings(study, f"out/{name}", tuple(results), tuple(answers_of(study, results)), {}, 0.1)


def evaluation(out: Path) -> Evaluation:
    """A policy that never moves, in two trials with pictures and two of a probe."""
    job = TrialJob(PolicyRef("lifter"), Conditions(scene_of("lift"), Width.D0), seed=7, filming=Filming(48, 64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials_module, "opened", lambda ref: Lifter(fault="idle"))
        return run_evaluation(job, out, trials=2, probes=probes_for(["object_mass"], width=Width.D0), workers=1)


KINDS = ("check", "training", "study", "evaluation")


def write_page_of(kind: str, name: str, path: Path) -> None:
    """The report of a kind in which every name that can be chosen freely is `name`."""
    if kind == "check":
        write_html([check_report(name)], path)
    elif kind == "training":
        write_training_html(training(name, path.parent), path)
    elif kind == "study":
        write_study(findings(name), path)
    else:
        found = evaluation(path.parent / "trials")
        skipped = (SkippedProbe(found.probes[0].probe, name),)
        write_evaluation(replace(found, policy=name, skipped=skipped), path)
