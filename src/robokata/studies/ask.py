"""The verb study: what a data choice does to the policy."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from robokata.runtime.progress import SILENT, Progress
from robokata.studies.spec import Study, read_study
from robokata.studies.study import Findings, Plan, plan_study, run_study


def study(
    question: str | os.PathLike[str] | Study,
    *,
    out: str | os.PathLike[str] | None = None,
    split: str | None = None,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> Findings:
    """Train and evaluate arms that differ in their data only, and say what each choice changed, with its interval.

    `question` is a TOML file with factors and levels, or what was read of one. `out` holds data, runs and numbers
    (default: a folder beside the file); what is finished there is not run again. `split` replaces that of `[data]`.
    `workers` is the number of runs at once (default: one per core).

    Raises:
        RecipeRefused: the question cannot be asked.
        TrainingRefused: an arm's data lack what its training is shown; before anything is trained.
        StudyRefused: no trial could evaluate what an arm would learn; before anything is made.
        WriteRefused: the folder cannot be written, or another run is at work in it.
        EvaluationStopped: too many trials failed for reasons outside the policy.
    """
    if out is None:
        out = Path(question.name) if isinstance(question, Study) else Path(question).with_suffix("")
    return run_study(read_question(question, split=split), Path(out), workers=workers, progress=on_progress)


def plan_question(
    question: str | os.PathLike[str] | Study, *, split: str | None = None, on_progress: Progress = SILENT
) -> Plan:
    """Arms, runs, hours and the smallest effect that a study could find; nothing is kept.

    Raises:
        RecipeRefused: the question cannot be asked.
        TrainingRefused: an arm's data lack what its training is shown.
        StudyRefused: no trial could evaluate what an arm would learn.
    """
    return plan_study(read_question(question, split=split), progress=on_progress)


def read_question(question: str | os.PathLike[str] | Study, *, split: str | None) -> Study:
    """The study of a file, with another split of its data where one is named.

    Raises:
        RecipeRefused: the question cannot be asked.
    """
    asked = question if isinstance(question, Study) else read_study(Path(question))
    if split is None:
        return asked
    sources = tuple(replace(source, split=split) for source in asked.data.sources)
    return replace(asked, data=replace(asked.data, sources=sources))
