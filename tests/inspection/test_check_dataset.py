"""Tests of the check of a whole dataset: the order, the waivers, and checks that fail."""

from __future__ import annotations

import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from robokata.core.contracts import CurveKind
from robokata.core.detection import open_source
from robokata.core.errors import DamagedData
from robokata.core.finding import Finding, Level
from robokata.core.shelf import shelf
from robokata.core.suite import Suite, Waiver
from robokata.curation.curate import curated
from robokata.curation.recipe import ChecksPart, Recipe
from robokata.inspection import examination as examine
from robokata.inspection.run import check_dataset
from robokata.loading.data_source import DataSource
from robokata.testing import tiny_source
from robokata.testing.sample import write_sample

TODAY = datetime.date(2026, 6, 1)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkup") / "sample"
    write_sample(path)
    return path


def test_the_report_is_the_same_for_any_number_of_workers(sample: Path) -> None:
    source = open_source(sample)
    assert check_dataset(source, workers=1).to_json() == check_dataset(source, workers=2).to_json()


def test_findings_come_worst_first_and_in_the_order_of_the_dataset(sample: Path) -> None:
    report = check_dataset(open_source(sample), workers=1)
    places = [(f.level.rank, f.check) for f in report.findings]
    assert places == sorted(places)
    assert len({f.level for f in report.findings}) > 1
    assert not report.is_sound


def test_statistics_over_all_episodes_are_not_judged_by_a_few(sample: Path) -> None:
    report = check_dataset(open_source(sample), keys=["0", "1"], workers=1)
    assert report.episodes_checked == 2
    assert [f for f in report.findings if f.check == "stale_statistics"] == []
    said = [a.reason for a in report.abstentions if a.check == "stale_statistics" and a.episode is None]
    assert said == ["2 of 12 episodes were read: statistics over all cannot be compared"]


class With(dict[str, object]):
    """A shelf with one more check on it."""

    def __init__(self, name: str, leaf: object) -> None:
        super().__init__({n: shelf("checks")[n] for n in ("clock_gap",)} | {name: leaf})

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self))


ACROSS = {"plant": print, "CURVE": CurveKind.VALUES}


def with_check(monkeypatch: pytest.MonkeyPatch, leaf: object) -> None:
    from robokata.core import suite

    added = With("theirs", leaf)
    monkeypatch.setattr(examine, "shelf", lambda folder: added)
    monkeypatch.setattr(suite, "shelf", lambda folder: added)


def failing(episode: object) -> list[Finding]:
    raise ValueError("operands could not be broadcast")


def test_a_check_that_fails_abstains_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with_check(monkeypatch, SimpleNamespace(NEEDS=(), check=failing))
    report = check_dataset(tiny_source(2, duration_s=1.0))
    said = "the check itself failed: ValueError: operands could not be broadcast. Please report this."
    assert [(a.check, a.episode, a.reason) for a in report.abstentions] == [
        ("theirs", "0", said),
        ("theirs", "1", said),
    ]
    assert (report.checks, report.findings, report.is_sound) == (("clock_gap", "theirs"), (), True)


def test_a_judge_that_fails_abstains_for_the_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = SimpleNamespace(NEEDS=(), gather=lambda episode: 1, judge=lambda rows, facts: failing(rows), **ACROSS)
    with_check(monkeypatch, leaf)
    (abstention,) = check_dataset(tiny_source(2, duration_s=1.0)).abstentions
    assert (abstention.check, abstention.episode) == ("theirs", None)


def test_a_check_that_meets_damage_says_that_it_could_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(episode: object) -> list[Finding]:
        raise DamagedData("a.mp4", "is cut short.")

    with_check(monkeypatch, SimpleNamespace(NEEDS=(), check=unreadable))
    (abstention,) = check_dataset(tiny_source(1, duration_s=1.0)).abstentions
    assert abstention.reason == "cannot be read: a.mp4: is cut short."


def finds_something(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(episode: object) -> list[Finding]:
        key = episode.id  # type: ignore[attr-defined]  # an episode
        return [Finding(Level.ERROR, "wrong", check="theirs", episode=key, stream=s) for s in ("front", "wrist")]

    with_check(monkeypatch, SimpleNamespace(NEEDS=(), check=check))


@pytest.mark.parametrize(
    ("waiver", "waived"),
    [
        (Waiver("theirs", "known", TODAY), 6),
        (Waiver("th*", "known", TODAY, episode="[01]"), 4),
        (Waiver("*", "known", TODAY, episode="2", stream="fr?nt"), 1),
        (Waiver("clock_*", "known", TODAY), 0),
        (Waiver("theirs", "known", TODAY - datetime.timedelta(days=1)), 0),
    ],
)
def test_a_waiver_accepts_what_its_patterns_match_until_its_day(
    waiver: Waiver, waived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds_something(monkeypatch)
    report = check_dataset(tiny_source(3, duration_s=1.0), suite=Suite(waivers=(waiver,)), today=TODAY)
    assert (len(report.waived), len(report.findings)) == (waived, 6 - waived)
    assert report.expired == ((waiver,) if waiver.expires < TODAY else ())
    assert report.is_sound is (waived == 6)


@pytest.mark.parametrize(("fail_on", "is_sound"), [(Level.ERROR, True), (Level.WARNING, False), (Level.INFO, False)])
def test_the_level_decides_what_is_sound(fail_on: Level, is_sound: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = Finding(Level.WARNING, "odd", check="theirs")
    with_check(monkeypatch, SimpleNamespace(NEEDS=(), check=lambda episode: [warning]))
    assert check_dataset(tiny_source(1, duration_s=1.0), suite=Suite(fail_on=fail_on)).is_sound is is_sound


def test_a_check_that_fails_costs_a_recipe_its_verdict_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = SimpleNamespace(NEEDS=(), gather=lambda episode: 1, judge=lambda rows, facts: failing(rows), **ACROSS)
    for leaf, places in ((SimpleNamespace(NEEDS=(), check=failing), 3), (judge, 1)):
        with_check(monkeypatch, leaf)
        recipe = Recipe((DataSource("memory"),), checks=ChecksPart())
        made = curated(recipe, sources=[tiny_source(3)], workers=1)
        assert len(made.source.keys()) == 3
        (note,) = made.notes
        assert note.startswith(f"theirs judged nothing in {places} place")
        assert "ValueError: operands could not be broadcast" in note
