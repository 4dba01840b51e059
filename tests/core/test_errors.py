"""Tests of errors: what they say, and that they say it after a journey between processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from robokata.core import errors
from robokata.core.errors import DamagedData, MediaMissing, RobokataError, TooLarge, UnknownName, UntrustedContent


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("rldds", ["mcap", "rlds"], "No format is called 'rldds'. Did you mean 'rlds'? Known: mcap, rlds."),
        ("xyz", ["mcap"], "No format is called 'xyz'. Known: mcap."),
        ("xyz", [], "No format is called 'xyz'. Known: none."),
    ],
)
def test_an_unknown_name_lists_the_known_ones_and_the_nearest(name: str, known: list[str], said: str) -> None:
    assert str(UnknownName("format", name, known)) == said


def test_an_unknown_name_may_be_whatever_a_file_says() -> None:
    assert str(UnknownName("format", 3, ["mcap"])) == "No format is called '3'. Known: mcap."


def test_an_unknown_name_among_thousands_lists_twenty() -> None:
    said = str(UnknownName("episode", "x", map(str, range(5000))))
    assert said == f"No episode is called 'x'. Known: {', '.join(map(str, range(20)))} and 4980 more."


@pytest.mark.parametrize("kind", [DamagedData, MediaMissing, TooLarge, UntrustedContent])
def test_damage_says_where_what_and_the_next_move(kind: type[DamagedData]) -> None:
    damage = kind(Path("a/b.mcap"), "the chunk is cut short.", offset=4711, next_move="Restore the file.")
    assert str(damage) == "a/b.mcap at byte 4711: the chunk is cut short. Restore the file."
    assert str(kind("a/b.mcap", "the chunk is cut short.")) == "a/b.mcap: the chunk is cut short."


@pytest.mark.parametrize(
    "error",
    [
        DamagedData("f", "broken.", offset=0, next_move="Go."),
        TooLarge("f", "big."),
        UnknownName("check", "clock", ["clock_gap"]),
        errors.Unsupported("a WebP picture"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error: RobokataError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert again.__dict__ == error.__dict__


def test_the_tree_at_the_top_of_the_module_names_every_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RobokataError)]
    assert len(kinds) > 10
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or "")
