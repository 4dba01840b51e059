"""Numbers and names as people read them."""

from __future__ import annotations

import pytest
from reports import a_finding

from robokata.core.finding import Abstention, Level, Span
from robokata.viewing import text


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "unknown"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_400_000, "9.4 MB"), (3 * 10**12, "3.00 TB")],
)
def test_sizes(count: int | None, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "unknown"), (72 / 3600, "72.0 s"), (0.5, "30.0 min"), (2.314, "2.31 h")]
)
def test_durations(value: float | None, shown: str) -> None:
    assert text.hours(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "unknown"), (30.0, "30 Hz"), (29.97, "29.97 Hz")])
def test_rates(value: float | None, shown: str) -> None:
    assert text.rate(value) == shown


def test_a_place_says_where_from_the_outside_in() -> None:
    finding = a_finding(channel="wrist", spans=(Span(3.2, 4.1),))
    assert text.place(finding) == "episode 0 observation.state [wrist] 3.20–4.10 s"
    assert text.place(a_finding(spans=(Span(1.0),))) == "episode 0 observation.state 1.00 s"
    several = a_finding(spans=(Span(3.0, 3.5), Span(1.0, 1.2)))
    assert text.place(several) == "episode 0 observation.state 1.00–3.50 s (2 stretches)"
    assert text.place(a_finding(spans=(Span(None, None, 4, 9),))) == "episode 0 observation.state samples 4–9"
    assert text.place(a_finding(stream=None, also=("3", "4"))) == "episodes 0, 3, 4"
    assert text.place(a_finding(episode=None, stream=None)) == "dataset"
    assert len(text.place(a_finding(channel=", ".join("abcdefghijklmnopqrstuvwxyz" * 9)))) < 90


def test_measured_values_carry_their_unit() -> None:
    assert text.value(a_finding(unit="s"), 0.12345678) == "0.1235 s"
    assert text.value(a_finding(), "a column") == "a column"
    assert text.value(a_finding(), None) == ""


def test_files_are_named_from_the_dataset_on() -> None:
    assert text.said("/data/set/meta/info.json: broken", "/data/set") == "meta/info.json: broken"
    assert text.said("/data/settings: broken", "/data/set") == "/data/settings: broken"
    assert text.said("a/b", "/") == "a/b"


def test_findings_are_grouped_worst_first_then_most_frequent() -> None:
    mild = a_finding(check="clock_gap", level=Level.INFO)
    grouped = text.groups([mild, mild, a_finding(check="b"), a_finding(check="a"), a_finding(check="b", episode="1")])
    assert [(g.check, g.level, len(g.findings), g.episodes) for g in grouped] == [
        ("b", "error", 2, 2),
        ("a", "error", 1, 1),
        ("clock_gap", "info", 2, 1),
    ]


def test_reasons_are_counted() -> None:
    silent = [Abstention("x", "0", check="a"), Abstention("x", check="b"), Abstention("x", "1", check="a")]
    assert text.silences(silent) == [("a", "x", 2), ("b", "x", 1)]
