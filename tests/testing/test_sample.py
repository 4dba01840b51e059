"""Tests of the sample: every planted defect is found, and no sound episode is accused of one."""

from __future__ import annotations

from pathlib import Path

from robokata.core.detection import open_source
from robokata.core.finding import Level
from robokata.inspection.run import check_dataset
from robokata.testing.sample import EPISODES, write_sample


def test_every_planted_defect_is_found_and_sound_episodes_are_not_accused(tmp_path: Path) -> None:
    told: list[int] = []
    planted = write_sample(tmp_path / "sample", advance=told.append)
    assert sum(told) == EPISODES
    findings = check_dataset(open_source(tmp_path / "sample"), workers=1).findings
    found = [finding for finding in findings if finding.level is not Level.INFO]
    assert {defect.check for defect in planted} <= {finding.check for finding in found}
    spoilt = {word for defect in planted for word in defect.place.split() if word.isdigit()}
    assert {f.episode for f in found if f.episode} <= spoilt
