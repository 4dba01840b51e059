"""One small clean clip, rendered once: what most sentences about handheld videos are tried on."""

from __future__ import annotations

import json

import pytest
from clips import LOST, SMALL, Clean

from umi.umi_videos import render_handheld, write_encoder, write_orbslam


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    folder = tmp_path_factory.mktemp("handheld")
    truth = render_handheld(folder / "clean.mp4", SMALL)
    write_encoder(folder / "encoder.csv", truth.encoder)
    write_orbslam(folder / "trajectory.csv", truth, lost=LOST)
    (folder / "camera.json").write_text(json.dumps(SMALL.camera.to_json()))
    return Clean(folder, folder / "clean.mp4", SMALL, truth)
