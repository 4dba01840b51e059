"""Counters and pointers that no longer say which rows are whose."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robokata.checks.broken_episode_index import gather, judge, plant
from robokata.core.contracts import Gathered
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, EpisodeRow
from robokata.core.stream import Role
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode, tiny_source


def judged(source: EpisodeList) -> list[Verdict]:
    rows = [Gathered(key, gather(source.episode(key))) for key in list(source.keys())]
    travelled = pickle.loads(pickle.dumps(rows))
    return list(judge(travelled, source.facts()))


def counting(name: str, numbers: NDArray[Any]) -> list[Finding]:
    """Six sound episodes of 50 steps, of which episode 2 counts otherwise."""
    source = tiny_source(6, duration_s=1)
    episode = source.episode("2")
    broken = episode.with_stream(episode.streams[name].with_values(ArrayValues(numbers)))
    episodes = [broken if e.id == "2" else e for e in source.episodes.values()]
    return [v for v in judged(EpisodeList(episodes, source.facts())) if isinstance(v, Finding)]


def pointing(**changed: tuple[int, int]) -> list[Finding]:
    """Six sound episodes of 50 steps, with some pointers of the index replaced: `e2=(100, 150)`."""
    source = tiny_source(6, duration_s=1)
    rows = [
        replace(row, first_row=changed[f"e{row.id}"][0], end_row=changed[f"e{row.id}"][1])
        if f"e{row.id}" in changed
        else row
        for row in source.facts().rows
    ]
    facts = replace(source.facts(), rows=rows)
    # Without the counter `index`, which would say the same once more.
    episodes = [episode.without_stream("index") for episode in source.episodes.values()]
    return [v for v in judged(EpisodeList(episodes, facts)) if isinstance(v, Finding)]


def test_rows_that_were_dropped_show_in_frame_index() -> None:
    numbers = np.delete(np.arange(55), slice(20, 25))
    (finding,) = counting("frame_index", numbers)
    assert finding.message == ("frame_index is 25 in row 20 where 20 is due; 30 of 50 rows are wrong, after 1 jump")
    assert (finding.level, finding.episode, finding.stream) == (Level.ERROR, "2", "frame_index")
    assert finding.start_s == pytest.approx(0.4, abs=0.01)
    assert finding.end_s == pytest.approx(0.98, abs=0.01)


def test_a_row_of_another_episode_shows_in_episode_index() -> None:
    numbers = np.full(50, 2)
    numbers[-3:] = 3
    (finding,) = counting("episode_index", numbers)
    assert finding.message == "episode_index is 3 in row 47 where 2 is due; 3 of 50 rows are wrong, after 1 jump"


def test_an_episode_index_that_is_not_the_id_is_found() -> None:
    (finding,) = counting("episode_index", np.full(50, 7))
    assert finding.message == "episode_index is 7 in row 0 where 2 is due; 50 of 50 rows are wrong, after 0 jumps"


def test_an_index_that_jumps_is_found_once() -> None:
    numbers = np.arange(100, 150)
    numbers[10:] += 5
    (finding,) = counting("index", numbers)
    assert finding.stream == "index"


def test_an_index_that_starts_elsewhere_than_the_pointer_is_found() -> None:
    (finding,) = counting("index", np.arange(7, 57))
    assert finding.message == "its rows are numbered from 7, and the index says that they start at row 100"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_counters_that_are_not_numbers_are_found_and_break_nothing(bad: float) -> None:
    numbers = np.arange(50.0)
    numbers[0] = bad
    assert [finding.stream for finding in counting("frame_index", numbers)] == ["frame_index"]
    assert [finding.stream for finding in counting("index", numbers)] == ["index"]


def test_spans_that_overlap_name_both_episodes() -> None:
    finding, hole = pointing(e3=(140, 190))
    assert hole.message == "rows 190 to 199, between episode 3 and this one, belong to no episode"
    assert (finding.episode, finding.level) == ("3", Level.ERROR)
    assert finding.message == "the index gives row 140 to episode 2 too: 10 rows belong to both"


def test_a_hole_between_neighbours_is_a_warning_and_between_others_it_is_expected() -> None:
    (finding,) = pointing(e5=(260, 310))
    assert (finding.episode, finding.level) == ("5", Level.WARNING)
    assert finding.message == "rows 250 to 259, between episode 4 and this one, belong to no episode"
    episodes = [tiny_episode(n, duration_s=1).without_stream("index") for n in (0, 1, 5)]
    facts = replace(
        tiny_source(3).facts(), rows=[EpisodeRow(e.id, first_row=int(e.id) * 50, end_row=int(e.id) * 50 + 50)
                                      for e in episodes]
    )  # fmt: skip
    assert judged(EpisodeList(episodes, facts)) == []


def test_a_span_of_another_length_than_the_episode_is_found() -> None:
    (finding,) = pointing(e5=(250, 310))
    assert finding.message == "the index gives rows 250 to 309 to this episode, 60 in all, and it has 50"


def test_a_length_that_the_pointers_repeat_is_left_to_metadata_contradicts_data() -> None:
    source = tiny_source(6, duration_s=1)
    rows = [replace(row, end_row=310) if row.id == "5" else row for row in source.facts().rows]
    episodes = [replace(e, declared_steps=60) if e.id == "5" else e for e in source.episodes.values()]
    assert judged(EpisodeList(episodes, replace(source.facts(), rows=rows))) == []


def test_two_rows_of_one_id_are_found() -> None:
    source = tiny_source(3, duration_s=1)
    rows = [*source.facts().rows, EpisodeRow("1")]
    (finding,) = judged(EpisodeList(list(source.episodes.values()), replace(source.facts(), rows=rows)))
    assert isinstance(finding, Finding)
    assert finding.message == "the index holds 2 episodes of this id"


def test_a_format_without_counters_abstains() -> None:
    episode = tiny_episode(duration_s=1)
    bare = replace(episode, streams={s.name: s for s in episode.streams.values() if s.role is not Role.BOOKKEEPING})
    (abstention,) = judged(EpisodeList([bare]))
    assert isinstance(abstention, Abstention)
    assert abstention.reason == "the format keeps no frame_index, no episode_index, no index and no pointers to rows"


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_tiny_counters_are_sound(steps: int) -> None:
    episode = tiny_episode(duration_s=1)
    cut: Episode = replace(
        episode,
        streams={
            n: s.with_values(ArrayValues(s.values[:steps])) for n, s in episode.streams.items() if "image" not in n
        },
    )
    assert [v for v in judged(EpisodeList([cut])) if isinstance(v, Finding)] == []


def test_sound_sets_stay_silent_and_planted_jumps_are_found() -> None:
    for seed in range(20):
        source = tiny_source(6, seed=seed, duration_s=1, is_measured=bool(seed % 2))
        assert judged(source) == []
        (finding,) = judged(plant(source, np.random.default_rng(seed), 1.0))
        assert isinstance(finding, Finding)
        assert finding.stream == "frame_index"
        assert judged(plant(source, np.random.default_rng(seed), 0.0)) == []


def test_where_there_is_no_frame_index_the_pointer_is_planted() -> None:
    source = tiny_source(6, duration_s=1)
    bare = EpisodeList([e.without_stream("frame_index") for e in source.episodes.values()], source.facts())
    assert judged(bare) == []
    assert judged(plant(bare, np.random.default_rng(1), 1.0))
