"""Flags of first and last steps, as BridgeData's conversion writes them and as they should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robokata.checks.step_flag_never_set import gather, judge
from robokata.core.contracts import Gathered
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode


def flagged(number: int, **rows: int | None) -> Episode:
    """An episode with flags that are true in one row each, or in none."""
    made = tiny_episode(number, duration_s=1)
    clock = made.streams["action"].clock
    for name, row in rows.items():
        flags = np.zeros(len(clock), bool)
        if row is not None:
            flags[row] = True
        made = made.with_stream(Stream(name, Kind.TENSOR, Role.ENDING, clock, ArrayValues(flags)))
    return replace(made, ref=None)


def told(*episodes: Episode) -> list[tuple[str, Level, str | None]]:
    rows = [Gathered(episode.id, gather(episode)) for episode in episodes]
    verdicts = judge(rows, EpisodeList(list(episodes)).facts())
    return [(v.message, v.level, v.episode) for v in verdicts if isinstance(v, Finding)]


def test_flags_that_are_set_where_they_should_be_are_silent() -> None:
    assert told(*(flagged(n, is_first=0, is_last=-1, is_terminal=-1) for n in range(3))) == []


def test_a_last_step_that_no_episode_marks_is_one_finding() -> None:
    episodes = [flagged(n, is_first=0, is_last=None, is_terminal=None) for n in range(3)]
    assert told(*episodes) == [
        ("is_last is not true at the last step in 3 of 3 episodes", Level.WARNING, None),
        ("is_terminal is never true in 3 of 3 episodes", Level.INFO, None),
    ]


def test_an_episode_that_was_cut_off_may_have_no_terminal_step() -> None:
    assert told(flagged(0, is_terminal=-1), flagged(1, is_terminal=None)) == []


@pytest.mark.parametrize(("name", "place"), [("is_first", "first"), ("is_last", "last")])
def test_a_flag_in_the_middle_is_told_with_its_episode(name: str, place: str) -> None:
    sound = {"is_first": 0, "is_last": -1}[name]
    messages = told(flagged(0, **{name: sound}), flagged(1, **{name: 20}))
    first = flagged(1).id
    assert messages == [
        (f"{name} is not true at the {place} step in 1 of 2 episodes, first {first}", Level.WARNING, first),
        (
            f"{name} is true at other steps than the {place} step in 1 of 2 episodes, first {first}",
            Level.WARNING,
            first,
        ),
    ]


def test_a_dataset_without_flags_is_an_abstention() -> None:
    episode = tiny_episode(0, duration_s=1)
    (verdict,) = judge([Gathered(episode.id, gather(episode))], EpisodeList([episode]).facts())
    assert isinstance(verdict, Abstention)
