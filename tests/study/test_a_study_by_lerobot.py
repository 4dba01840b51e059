"""A study whose policy is lerobot's own ACT, in its own environment.

Skipped where ROBOKATA_LEROBOT_PYTHON names none; docs/training.md says how to make one.
"""

import os
import tomllib
from pathlib import Path

import pytest

from robokata.core.world import Width
from robokata.policies._lerobot_environment import VARIABLE
from robokata.sim.collect import ExpertJob, collect_expert
from robokata.sim.demonstration import scene_of
from robokata.sim.filming import Filming
from robokata.sim.sensors import Sensors
from robokata.study.spec import study_from
from robokata.study.study import run_study

QUESTION = """
name = "Does half of it do?"
task = "lift"
policy = "lerobot_act"
steps = 2
training_seeds = 2
trials = 2
picture_px = 32
options = { dim_model = 32, n_heads = 2, dim_feedforward = 32, n_encoder_layers = 1, num_workers = 0 }
[data]
[[data.source]]
path = "recorded"
[[factor]]
name = "amount"
[[factor.level]]
name = "all"
[[factor.level]]
name = "half"
size = 2
step = [{ name = "take_subset", episodes = 2 }]
"""


class Bar:
    def started(self, episodes: int) -> None: ...
    def advance(self, episodes: int) -> None: ...


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no environment with lerobot in it")
def test_acts_by_lerobot_are_trained_tried_and_not_done_twice(tmp_path: Path) -> None:
    job = ExpertJob(scene_of("lift"), Width.D0, 0, Filming(32, 32), Sensors())
    collect_expert(job, tmp_path / "recorded", episodes=4, workers=1)
    study = study_from(tomllib.loads(QUESTION), where="study.toml", folder=str(tmp_path))
    first = run_study(study, tmp_path / "out", workers=1, bar=Bar())
    runs = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("trained.json")}
    assert len(runs) == 4
    for file in runs:
        assert (file.parent / "policy" / "training" / "lerobot.log").is_file()
    again = run_study(study, tmp_path / "out", workers=1, bar=Bar())
    assert {file: file.stat().st_mtime_ns for file in runs} == runs
    assert again.as_json()["answers"] == first.as_json()["answers"]
