"""`kata demo`."""

from __future__ import annotations

from pathlib import Path

from kata_command import Kata


def test_the_tour_finds_all_it_planted_and_is_not_repeated_over_itself(kata: Kata, tmp_path: Path) -> None:
    said = kata("demo", "--out", tmp_path / "demo")
    assert said.code == 0, said.err
    assert "Found 10 of the 10 planted defects." in said.out
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == ["report.html", "sample_dataset"]
    again = kata("demo", "--out", tmp_path / "demo")
    assert again.code == 2
    assert again.err.startswith("kata: ")
