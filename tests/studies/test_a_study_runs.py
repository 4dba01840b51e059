"""A whole small study: data, trainings, trials, answers, and what an interruption costs."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from robokata.studies.spec import Study, study_from
from robokata.studies.study import Findings, run_study
from robokata.training import fit as loop
from studies.small import QUESTION, record


class Interrupted(Exception):
    """Stands for Ctrl-C and kill: whatever ends a process in the middle of a training."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    record(folder / "recorded")
    return folder


def asked(folder: Path) -> Study:
    return study_from(tomllib.loads(QUESTION), where="study.toml", folder=str(folder))


def found(findings: Findings) -> object:
    told = findings.to_json()
    return json.dumps([told["answers"], told["scaling"]], sort_keys=True, default=float)


@pytest.mark.slow
def test_a_study_cut_off_in_a_training_goes_on_there_and_finds_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_study(asked(folder), folder / "whole", workers=1)

    step = loop._Run.step
    left = 20

    def cut(run: loop._Run, batches: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            run.keep()
            raise Interrupted
        step(run, batches)  # type: ignore[arg-type]

    monkeypatch.setattr(loop._Run, "step", cut)
    with pytest.raises(Interrupted):
        run_study(asked(folder), folder / "cut", workers=1)
    monkeypatch.setattr(loop._Run, "step", step)
    assert len(list((folder / "cut").glob("runs/*/seed-*/done.json"))) == 1
    again = run_study(asked(folder), folder / "cut", workers=1)
    assert found(again) == found(whole)

    # What is finished is found, not done again.
    monkeypatch.setattr(loop, "fit", None)
    times = {path: path.stat().st_mtime_ns for path in (folder / "cut").glob("runs/*/seed-*/policy/card.json")}
    assert found(run_study(asked(folder), folder / "cut", workers=1)) == found(whole)
    assert all(path.stat().st_mtime_ns == when for path, when in times.items())
    assert len(times) == 2 * 2, "the random subset as large as half is half itself, and not run twice"


def test_a_level_that_is_a_random_subset_is_not_compared_with_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(jobs: list[Any], **_: Any) -> None:
        raise Interrupted([job.arm for job in jobs])

    monkeypatch.setattr("robokata.studies.study.run_all", listed)
    with pytest.raises(Interrupted) as caught:
        run_study(asked(folder), tmp_path / "out", workers=1)
    assert caught.value.args[0] == ["amount all (baseline)", "amount half"] * 2
