"""A process that trains a little and keeps a checkpoint after every step: what the kill test kills."""

from __future__ import annotations

import sys
from pathlib import Path

from robokata.core.shelf import shelf
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.training.data import opened
from robokata.training.fit import fit, plan
from robokata.training.settings import settings_for

if __name__ == "__main__":
    spec = TrainingSpec((DataSource(sys.argv[1]),), options={"width": 32, "layers": 1})
    settings = settings_for(shelf("policies")["bc_mlp"].HABITS, steps=150, device="cpu", threads=1, batch_size=16)
    job = plan("bc_mlp", spec, [opened(each) for each in spec.sources], settings)
    fit(job, Path(sys.argv[2]), resume="--resume" in sys.argv, keep_every_s=0.0)
