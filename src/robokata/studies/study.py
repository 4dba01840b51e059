"""A study from its question to its answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from robokata.runtime.atomic import replace_json, replace_text
from robokata.runtime.folder_lock import hold
from robokata.runtime.notebook import html_table
from robokata.runtime.progress import SILENT, Progress
from robokata.statistics.power import effect_resolved_by_seeds
from robokata.studies.design import Arm, arms_of, controls_of, levels_of, may_remove, steps_of
from robokata.studies.effects import PRIMARY, Answer, ArmResult, Contrast, Point, answers_of, results_of, scaling_of
from robokata.studies.refusals import refuse_impossible, refuse_untrainable
from robokata.studies.run import Data, Run, RunJob, data_of, run_all
from robokata.studies.spec import Study
from robokata.studies.timing import hours_of

FILE, TABLE = "study.json", "effects.csv"
_KEPT = "Finished runs are kept; run the same command again."

_COLUMNS = (
    *("factor", "level", "baseline", "quantity", "effect", "low", "high", "p", "p_holm"),
    *("seeds", "trials", "detectable"),
)


class Plan(NamedTuple):
    """What a study would do, before it does anything."""

    arms: tuple[Arm, ...]
    runs: int
    """Trainings, controls included where they are known to be needed."""
    may_add: int
    """Runs of random subsets that are added where a level turns out to remove data."""
    detectable: float
    """Smallest effect on success that the budget resolves with power 0.8, if seeds differ as small policies do."""
    hours: float | None = None
    """Of one core, from one short run that was timed; None where nothing was timed."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**self._asdict(), "arms": [arm.to_json() for arm in self.arms]}


@dataclass(frozen=True)
class Findings:
    """What a study found."""

    study: Study
    out: str
    results: tuple[ArmResult, ...]
    answers: tuple[Answer, ...]
    scaling: Mapping[str, tuple[Point, ...]]
    hours: float
    """Of computing, over all processes: data, training, trials."""

    @property
    def cents(self) -> float | None:
        """What that cost, None where no price was given."""
        price = self.study.cents_per_hour
        return None if price is None else price * self.hours

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "study": self.study.to_json(),
            "study_hash": self.study.hash,
            "out": self.out,
            "answers": [answer.to_json() for answer in self.answers],
            "arms": [result.to_json() for result in self.results],
            "scaling": {
                name: [{"size": p.size, "success": p.success.to_json()} for p in points]
                for name, points in self.scaling.items()
            },
            "hours": self.hours,
            "cents": self.cents,
        }

    def _repr_html_(self) -> str:
        rows = [(*answer.contrast[:3], answer.effects[PRIMARY].estimate) for answer in self.answers]
        return html_table(self.study.name, rows, head=("factor", "level", "against", f"change of {PRIMARY}"))


def plan_study(study: Study, *, progress: Progress = SILENT) -> Plan:
    """Arms, runs and the smallest effect that can be found; one short run is timed, and nothing kept.

    Raises:
        RecipeRefused: a fragment asks for what does not exist.
        ComparisonRefused: fewer than two training seeds.
        TrainingRefused: an arm's data lack what its training is shown.
        StudyRefused: no trial could evaluate what an arm would learn.
    """
    arms = arms_of(study)
    # The short run that is timed takes about as long as looking at an arm's data.
    progress.started(len(arms) + 1)
    for arm in arms:
        refuse_impossible(study, arm)
        progress.advance(1)
    removing = [arm for arm in arms if any(may_remove(level) for level in levels_of(study, arm))]
    steps = [steps_of(arm, study) for arm in arms for _ in range(study.training_seeds)]
    return Plan(
        arms=tuple(arms),
        runs=len(steps),
        may_add=len(removing) * study.training_seeds if study.control_subsets else 0,
        detectable=effect_resolved_by_seeds(study.training_seeds, study.trials),
        hours=hours_of(study, arms[0], steps),
    )


def run_study(study: Study, out: Path, *, workers: int | None = None, progress: Progress = SILENT) -> Findings:
    """Make the data, train and evaluate every arm, and say what it did. Finished runs are found, not done again.

    Raises:
        RecipeRefused: a fragment asks for what the data cannot give.
        WriteRefused: the folder cannot be written, or another run is at work in it.
        TrainingRefused: an arm's data lack what its training is shown; before anything is trained.
        StudyRefused: no trial could evaluate what an arm would learn; before anything is made.
        EvaluationStopped: too many trials failed for reasons outside the policy.
    """
    with hold(out):
        return _found(study, out, workers, progress)


def _found(study: Study, out: Path, workers: int | None, progress: Progress) -> Findings:
    out.mkdir(parents=True, exist_ok=True)
    arms = arms_of(study)
    # Before the first arm's data are made: generating them may take hours.
    for arm in arms:
        refuse_impossible(study, arm)
    data = {arm.name: data_of(arm, study, out, workers=workers) for arm in arms}
    if study.control_subsets:
        kept, left_out = {n: each.kept for n, each in data.items()}, {n: each.left_out for n, each in data.items()}
        for control in controls_of(study, arms, kept, left_out):
            made = data_of(control, study, out, workers=workers)
            # A level that is itself that random subset would be compared with itself, and one that removed nothing too.
            if made.hash != data[str(control.control_of)].hash and made.left_out.get("take_subset"):
                arms.append(control)
                data[control.name] = made
    for arm in arms:
        refuse_untrainable(study, data[arm.name])
    jobs = [
        RunJob(study, arm.name, steps_of(arm, study), data[arm.name], seed, str(out))
        for seed in range(study.training_seeds)
        for arm in arms
    ]
    # Two arms may be the same data and training by another way: one run is both's.
    alike: dict[str, list[RunJob]] = {}
    for job in jobs:
        alike.setdefault(f"{job.key}|{job.seed}", []).append(job)
    progress.started(len(alike))
    runs: list[Run] = []
    for run in run_all([same[0] for same in alike.values()], workers=workers):
        same = next(same for same in alike.values() if (same[0].arm, same[0].seed) == (run.arm, run.seed))
        runs += [replace(run, arm=job.arm) for job in same]
        progress.advance(1)
    findings = _findings(study, out, arms, data, runs)
    _keep(findings, out)
    return findings


def _findings(study: Study, out: Path, arms: Sequence[Arm], data: Mapping[str, Data], runs: Sequence[Run]) -> Findings:
    results = results_of(arms, data, runs)
    folders = {each.folder: each.seconds for each in data.values()}
    seconds = sum(folders.values()) + sum(run.train_s + run.evaluate_s for run in runs)
    scaling = {factor.name: tuple(scaling_of(factor, results)) for factor in study.factors}
    return Findings(
        study=study,
        out=str(out),
        results=tuple(results),
        answers=tuple(answers_of(study, results)),
        scaling={name: points for name, points in scaling.items() if points},
        hours=seconds / 3600,
    )


def _keep(findings: Findings, out: Path) -> None:
    replace_json(out / FILE, findings.to_json(), indent=1, consequence=_KEPT)
    rows = io.StringIO()
    table = csv.writer(rows)
    table.writerow((*_COLUMNS, *Contrast._fields[3:]))
    for answer in findings.answers:
        for quantity, effect in answer.effects.items():
            estimate = effect.estimate
            adjusted = answer.adjusted.get(quantity)
            numbers = (estimate.value, estimate.low, estimate.high, effect.p_value, adjusted)
            budget = (effect.seeds, effect.trials, effect.detectable)
            table.writerow((*answer.contrast[:3], quantity, *numbers, *budget, *answer.contrast[3:]))
    replace_text(out / TABLE, rows.getvalue(), consequence=_KEPT)
