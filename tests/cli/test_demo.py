"""`kata demo`: the whole loop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.studies import guided_tour as tour


def test_a_short_tour_finds_what_it_planted_and_goes_on_where_it_was(
    kata: Kata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DEMONSTRATIONS": 6, "STEPS": 4, "SEEDS": 2, "TRIALS": 2, "EXPANDED": 2}.items():
        monkeypatch.setattr(tour, name, value)
    # An untrained policy fails until the horizon: a short one is enough to see that the loop closes.
    monkeypatch.setattr("robokata.tasks.stack.HORIZON_S", 4.0)
    out = tmp_path / "demo"
    said = kata("demo", "--out", out, "--workers", "1")
    assert said.code == 0, said.err
    assert "Found 2 of the 2 planted defects." in said.out
    assert "not resolvable with this budget" in said.out
    assert (out / "check.html").exists()
    assert (out / "study" / "report.html").exists()
    told = json.loads((out / "study" / "study.json").read_text())
    assert [len(arm["runs"]) for arm in told["arms"]] == [2] * len(told["arms"])
    trained = {file: file.stat().st_mtime_ns for file in out.rglob("done.json")}
    again = kata("demo", "--out", out, "--workers", "1")
    assert again.code == 0, again.err
    assert {file: file.stat().st_mtime_ns for file in out.rglob("done.json")} == trained


@pytest.mark.slow
def test_the_tour_shows_a_real_effect(kata: Kata, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    said = kata("demo", "--out", out)
    assert said.code == 0, said.err
    answers = json.loads((out / "study" / "study.json").read_text())["answers"]
    (claim,) = (answer for answer in answers if answer["level"] == tour.CLAIMED and answer["is_control"])
    assert claim["is_resolved"], claim["sentence"]
    assert claim["effects"]["success_at_end"]["estimate"]["value"] > 0
