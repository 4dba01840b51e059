"""What a study is refused for before its first arm: other robots, other tasks, streams that no trial has."""

from __future__ import annotations

from pathlib import Path

import pytest

from robokata.conversion.convert import convert
from robokata.core.errors import QueryRefused, RobokataError, StudyRefused, TrainingRefused
from robokata.studies.spec import Study, read_study
from robokata.studies.study import plan_study, run_study
from robokata.testing import tiny_source
from studies.small import QUESTION, record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    record(folder / "recorded")
    convert(tiny_source(4), folder / "real", "mcap", accept_loss=True, workers=1)
    return folder


def asked(folder: Path, *changes: tuple[str, str]) -> Study:
    text = QUESTION
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "question.toml"
    file.write_text(text)
    return read_study(file)


REAL = ('path = "recorded"', 'path = "real"')


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ((REAL,), StudyRefused, r"arm amount all \(baseline\): its data is of .*trials run in simulation, with franka"),
        ((('"lift"', '"stack"'),), StudyRefused, "its data shows lift, and the trials are of stack"),
        (
            (('name = "half"', 'name = "half"\ntraining = { inputs = ["simulation.state"] }'),),
            StudyRefused,
            "arm amount half: .* No stream of the simulated world is called 'simulation.state'",
        ),
        (
            (('name = "half"', 'name = "half"\ntraining = { inputs = ["observation.force"] }'),),
            TrainingRefused,
            "arm amount half: the data has no numbers called 'observation.force'",
        ),
        ((('path = "recorded"', 'path = "recorded"\nsplit = "val"'),), QueryRefused, "has no splits, and 'val'"),
        ((('path = "recorded"', 'path = "recorded"\nwhere = "steps > 9000"'),), QueryRefused, "none of 4 episodes"),
    ],
)
def test_what_no_trial_can_evaluate_is_refused_by_plan_and_run_alike(
    folder: Path, tmp_path: Path, changes: tuple[tuple[str, str], ...], error: type[RobokataError], said: str
) -> None:
    study = asked(folder, *changes)
    with pytest.raises(error, match=said):
        plan_study(study)
    with pytest.raises(error, match=said):
        run_study(study, tmp_path / "out", workers=1)
    assert not list((tmp_path / "out").rglob("policy")), "nothing was trained"
    assert not (tmp_path / "out" / "data").exists(), "nothing was made"
