"""What each curator prefers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robokata.core.clock import step_clock
from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused, SelectionRefused
from robokata.core.selection import Selection, read_selection, selection_of
from robokata.core.shelf import shelf
from robokata.core.values import ArrayValues
from robokata.curators import diversity, length, smoothness
from robokata.curators import random as by_chance
from robokata.testing import tiny_episode
from robokata.testing.curation_clauses import described


def chosen(curator: str, episodes: list[Episode], keep: int, **options: object) -> Selection:
    leaf = shelf("curators")[curator]
    rows = described(leaf.describe, episodes, options)
    made: Selection = leaf.choose(rows, keep=keep, rng=np.random.default_rng(0), **options)
    return made


def test_length_prefers_short_long_or_usual_episodes_as_told() -> None:
    episodes = [tiny_episode(n, duration_s=1.0 + n) for n in range(5)]
    assert chosen("length", episodes, 2).episodes == ("0", "1")
    assert chosen("length", episodes, 2, which="longest").episodes == ("3", "4")
    assert chosen("length", episodes, 1, which="middle").episodes == ("2",)
    with pytest.raises(RecipeRefused, match="which is 'tall'"):
        chosen("length", episodes, 1, which="tall")


def test_a_tremor_costs_smoothness() -> None:
    episodes = []
    for number in range(8):
        episode = tiny_episode(number, duration_s=4.0)
        if number % 2:
            state = episode.streams["observation.state"]
            shake = 0.08 * np.sin(2 * np.pi * 7.0 * np.arange(len(state)) / 50)[:, None]
            episode = episode.with_stream(state.with_values(ArrayValues(state.table + shake)))
        episodes.append(episode)
    assert chosen("smoothness", episodes, 4).episodes == ("0", "2", "4", "6")
    still = replace(tiny_episode(99), id="still")
    rested = still.streams["observation.state"]
    still = still.with_stream(rested.with_values(ArrayValues(np.zeros_like(rested.table))))
    assert chosen("smoothness", [*episodes, still], 8).left_out == {"still": "it never moves"}


def test_diversity_takes_one_of_each_cluster_before_a_second_of_any() -> None:
    episodes = []
    for cluster in range(4):
        for copy in range(5):
            made = tiny_episode(cluster, duration_s=2.0)
            state = made.streams["observation.state"]
            rng = np.random.default_rng([cluster, copy])
            noisy = state.table + rng.normal(0, 0.01, state.table.shape)
            episodes.append(replace(made.with_stream(state.with_values(ArrayValues(noisy))), id=f"{cluster}-{copy}"))
    names = chosen("diversity", episodes, 4).episodes
    assert {name[0] for name in names} == {"0", "1", "2", "3"}
    assert len(chosen("diversity", episodes, 20).episodes) == 20


def test_a_slow_episode_is_no_other_one_for_diversity() -> None:
    from robokata.steps.retime_motion import step

    (slow,) = step(tiny_episode(0), speed_ratio=0.7)
    fast_way, slow_way = (diversity.describe(e) for e in (tiny_episode(0), slow))
    assert fast_way is not None
    assert slow_way is not None
    spread = np.ptp(fast_way.points, axis=0)
    assert (np.abs(fast_way.points - slow_way.points).mean(axis=0) < 0.06 * spread).all()


def test_different_robots_have_no_distance() -> None:
    other = tiny_episode(1)
    state = other.streams["observation.state"]
    other = other.with_stream(replace(state.with_values(ArrayValues(state.table[:, :4])), channels=None))
    with pytest.raises(SelectionRefused, match="diversity: the episodes have different states"):
        chosen("diversity", [tiny_episode(0), other], 1)


def test_chance_takes_every_episode_about_as_often() -> None:
    rows = described(by_chance.describe, [tiny_episode(n, duration_s=0.2) for n in range(6)], {})
    counts = dict.fromkeys([row.episode for row in rows], 0)
    for seed in range(300):
        for name in by_chance.choose(rows, keep=2, rng=np.random.default_rng(seed)).episodes:
            counts[name] += 1
    assert all(70 <= count <= 130 for count in counts.values()), counts


def test_a_selection_is_bound_to_the_data_and_cannot_be_edited(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = described(length.describe, [tiny_episode(n, duration_s=1.0) for n in range(4)], {})
    selection = selection_of(rows, ["0", "2"], weights={"2": 3.0}, why_not="short")
    file = tmp_path / "selection.json"
    import json

    file.write_text(json.dumps(selection.to_json()))
    assert read_selection(file) == selection
    others = described(length.describe, [tiny_episode(n, seed=1, duration_s=1.0) for n in range(4)], {})
    with pytest.raises(SelectionRefused, match="This selection was made from other data"):
        selection.refuse_other_data(others)
    file.write_text(json.dumps({**selection.to_json(), "picks": [{"episode": "1", "weight": 1.0}]}))
    with pytest.raises(SelectionRefused, match="was changed after it was written"):
        read_selection(file)
    for weights in ({"0": -1.0}, {"0": float("nan")}):
        with pytest.raises(SelectionRefused, match="the weight of episode 0"):
            selection_of(rows, ["0"], weights=weights)
    with pytest.raises(SelectionRefused, match="episode x was chosen"):
        selection_of(rows, ["x"])


def test_smoothness_is_silent_where_readings_are_too_rare() -> None:
    rare = tiny_episode(0)
    state = rare.streams["observation.state"]
    from robokata.core.clock import measured_clock

    slow = state.with_values(ArrayValues(state.table[::10]), clock=measured_clock(state.clock.times_ns[::10]))
    assert smoothness.describe(rare.with_stream(slow)).value is None


def untimed(number: int) -> Episode:
    """A tiny episode whose format keeps no times."""
    episode = tiny_episode(number, duration_s=1.0 + number)
    for stream in list(episode.streams.values()):
        episode = episode.with_stream(replace(stream, clock=step_clock(len(stream))))
    return episode


def test_smoothness_that_cannot_be_measured_is_refused_with_reason_and_count() -> None:
    with pytest.raises(
        SelectionRefused, match=r"smoothness can judge 0 of 3 episodes: its format keeps no times \(3\)"
    ):
        chosen("smoothness", [untimed(n) for n in range(3)], 1)
    mixed = [untimed(0), untimed(1), tiny_episode(2, duration_s=4.0)]
    selection = chosen("smoothness", mixed, 1)
    assert selection.episodes == ("2",)
    assert selection.left_out["0"] == "its format keeps no times"
    assert selection.notes == ("smoothness can judge 1 of 3 episodes: its format keeps no times (2).",)
    with pytest.raises(SelectionRefused, match="2 are to be kept, and what cannot be judged would be chosen by chance"):
        chosen("smoothness", mixed, 2)
    assert len(chosen("smoothness", mixed, 3).episodes) == 3


def test_diversity_refuses_where_too_few_episodes_move() -> None:
    still = []
    for number in range(3):
        episode = tiny_episode(number)
        for stream in list(episode.numeric()):
            episode = episode.with_stream(stream.with_values(ArrayValues(np.zeros_like(stream.table))))
        still.append(episode)
    with pytest.raises(SelectionRefused, match=r"diversity can judge 1 of 4 episodes: its state never moves \(3\)"):
        chosen("diversity", [*still, tiny_episode(9)], 2)


def test_length_counts_steps_where_there_are_no_times_and_compares_them_with_no_seconds() -> None:
    assert chosen("length", [untimed(n) for n in range(3)], 1, which="longest").episodes == ("2",)
    with pytest.raises(SelectionRefused, match="length: 1 of 2 episodes have no times, only steps"):
        chosen("length", [untimed(0), tiny_episode(1)], 1)
