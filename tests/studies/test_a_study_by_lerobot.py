"""A study whose policy is lerobot's own ACT, in its own environment.

Skipped where ROBOKATA_LEROBOT_PYTHON names none; docs/training.md says how to make one.
"""

import os
import tomllib
from pathlib import Path

import pytest

from robokata.policies._lerobot.environment import VARIABLE
from robokata.sim.cameras import Filming
from robokata.studies.spec import study_from
from robokata.studies.study import run_study
from studies.small import QUESTION, record

SMALL = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1, "num_workers": 0}


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no environment with lerobot in it")
def test_acts_by_lerobot_are_trained_tried_and_not_done_twice(tmp_path: Path) -> None:
    record(tmp_path / "recorded", filming=Filming(32, 32))
    asked = tomllib.loads(QUESTION) | {"policy": "lerobot_act", "steps": 2, "options": SMALL}
    study = study_from(asked, where="study.toml", folder=str(tmp_path))
    first = run_study(study, tmp_path / "out", workers=1)
    runs = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("trained.json")}
    assert len(runs) == 4
    for file in runs:
        assert (file.parent / "policy" / "training" / "lerobot.log").is_file()
    again = run_study(study, tmp_path / "out", workers=1)
    assert {file: file.stat().st_mtime_ns for file in runs} == runs
    assert again.to_json()["answers"] == first.to_json()["answers"]
