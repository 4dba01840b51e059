"""Declared statistics that are not those of the data."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robokata.checks.stale_statistics import gather, judge, plant
from robokata.core.clock import step_clock
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, Facts, Source, row_of
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode, tiny_source


def judged(source: Source, *, keys: list[str] | None = None) -> list[Verdict]:
    rows = [Gathered(key, gather(source.episode(key))) for key in keys or source.keys()]
    travelled = pickle.loads(pickle.dumps(rows))
    return list(judge(travelled, source.facts()))


def one(table: NDArray[Any], declared: dict[str, Any]) -> list[Verdict]:
    """A dataset of one episode of one stream, with statistics over all episodes."""
    stream = Stream("state", Kind.TENSOR, Role.STATE, step_clock(len(table)), ArrayValues(table))
    episode = Episode("0", {"state": stream})
    return judged(EpisodeList([episode], Facts("memory", "1", rows=[row_of(episode)], statistics={"state": declared})))


def true_statistics(table: NDArray[Any]) -> dict[str, Any]:
    return {"mean": table.mean(0), "std": table.std(0), "min": table.min(0), "max": table.max(0),
            "count": np.asarray([len(table)])}  # fmt: skip


def path(steps: int = 400, width: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (steps, width)).astype(np.float32)


def test_a_mean_that_is_off_by_a_fifth_of_the_spread_is_an_error() -> None:
    table = np.tile(np.asarray([[-1.0], [1.0]], np.float32), (50, 1))
    (finding,) = one(table, {**true_statistics(table), "mean": np.asarray([0.2])})
    assert isinstance(finding, Finding)
    assert finding.level is Level.ERROR
    assert finding.message == (
        "state is declared to have mean 0.2 for channel 0, and it is 0: off by 20 % of its spread; "
        "1 of 1 channels are off"
    )
    assert (finding.stream, finding.channel, finding.measured, finding.expected) == ("state", "0", 0.0, 0.2)


@pytest.mark.parametrize(("quantity", "level"), [("std", Level.ERROR), ("min", Level.WARNING), ("max", Level.WARNING)])
def test_each_quantity_is_compared(quantity: str, level: Level) -> None:
    table = path()
    declared = true_statistics(table)
    declared[quantity] = declared[quantity] * np.asarray([1, 0.5, 1])
    (finding,) = one(table, declared)
    assert isinstance(finding, Finding)
    assert finding.level is level
    assert f"{quantity} " in finding.message
    assert finding.channel == "1"


def test_two_percent_are_a_warning() -> None:
    table = path()
    (finding,) = one(table, {**true_statistics(table), "mean": table.mean(0) + 0.02 * table.std(0)})
    assert isinstance(finding, Finding)
    assert finding.level is Level.WARNING
    assert "3 of 3 channels are off" in finding.message


def test_both_definitions_of_the_standard_deviation_are_true() -> None:
    table = path(12)
    assert one(table, {"std": table.std(0, ddof=1)}) == []
    assert one(table, {"std": table.std(0, ddof=0)}) == []


@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
def test_sums_that_were_made_in_float32_are_true(offset: float) -> None:
    table = path(5000) + np.float32(offset)
    total = np.zeros(3, np.float32)
    for sample in table:
        total += sample
    assert one(table, {"mean": total / np.float32(5000)}) == []


def test_a_constant_channel_with_a_left_over_spread_is_found_and_a_true_one_is_not() -> None:
    table = np.full((100, 2), 0.7, np.float32)
    assert one(table, true_statistics(table)) == []
    assert one(table, {"mean": np.full(2, 0.7), "std": np.full(2, 5.7e-6)}) == []
    (finding,) = one(table, {"mean": np.full(2, 0.7), "std": np.asarray([0.0, 0.3])})
    assert isinstance(finding, Finding)
    assert (finding.level, finding.channel) == (Level.ERROR, "1")


def test_a_count_that_is_wrong_is_a_warning() -> None:
    table = path()
    (finding,) = one(table, {**true_statistics(table), "count": np.asarray([500])})
    assert isinstance(finding, Finding)
    assert finding.level is Level.WARNING
    assert finding.message == "state is declared to have statistics of 500 samples, and there are 400"


def test_statistics_of_another_width_are_an_error() -> None:
    (finding,) = one(path(), {"mean": np.zeros(14)})
    assert isinstance(finding, Finding)
    assert finding.level is Level.ERROR
    assert finding.message == "state is declared to have statistics of 14 channels for 3"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_channels_that_are_not_finite_are_left_to_their_own_check(bad: float) -> None:
    table = path()
    table[5, 1] = bad
    declared = {name: value for name, value in true_statistics(path()).items() if name != "count"}
    declared = {name: np.where([True, False, True], value, np.nan) for name, value in declared.items()}
    assert one(table, declared) == []


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.float16, np.float64])
def test_every_type_of_number_is_compared(dtype: Any) -> None:
    table = (np.abs(path()) * 3).astype(dtype)
    declared = {
        "mean": table.astype(np.float64).mean(0),
        "std": table.astype(np.float64).std(0),
        "min": table.min(0),
        "max": table.max(0),
    }
    assert one(table, declared) == []
    assert one(table, {"mean": table.astype(np.float64).mean(0) + 1}) != []


@pytest.mark.parametrize("steps", [1, 2])
def test_one_and_two_samples_have_statistics(steps: int) -> None:
    assert one(path(steps), true_statistics(path(steps))) == []


def test_an_empty_stream_is_left_out() -> None:
    assert one(path(0), {"mean": np.zeros(3)}) == []


def test_statistics_that_are_no_numbers_are_left_out() -> None:
    assert one(path(), {"mean": "see the paper"}) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_declared_nan_over_sound_numbers_is_an_error(bad: float) -> None:
    (finding,) = one(path(), {**true_statistics(path()), "std": np.asarray([1.0, bad, 1.0])})
    assert isinstance(finding, Finding)
    assert finding.level is Level.ERROR
    assert (finding.channel, finding.expected) == ("1", str(bad))
    assert f"std {bad} for channel 1" in finding.message
    assert ": not finite; " in finding.message


def test_huge_numbers_break_nothing() -> None:
    table = np.asarray([[3e38], [-3e38], [1e38]], np.float32)
    assert one(table, {"min": np.asarray([-3e38]), "max": np.asarray([3e38])}) == []
    # Squares of these leave float64: the spread cannot be said, and nothing is measured by it.
    table = np.asarray([[1e308], [-1e308], [1e308]])
    assert one(table, {"mean": np.zeros(1), "std": np.zeros(1)}) == []


def test_a_part_of_the_episodes_says_nothing_of_the_whole() -> None:
    assert judged(tiny_source(6, duration_s=1), keys=["0", "1"]) == [
        Abstention("2 of 6 episodes were read: statistics over all cannot be compared")
    ]


def test_statistics_of_one_episode_are_compared_with_that_episode() -> None:
    episodes = [tiny_episode(n, duration_s=1) for n in range(2)]
    stated = {"action": true_statistics(episodes[0].streams["action"].table)}
    both = EpisodeList([replace(episode, declared_statistics=stated) for episode in episodes])
    (finding,) = judged(both)
    assert isinstance(finding, Finding)
    assert (finding.episode, finding.stream) == ("1", "action")


def test_a_dataset_without_statistics_abstains() -> None:
    assert judged(EpisodeList([tiny_episode(duration_s=1)])) == [Abstention("the dataset declares no statistics")]


def test_sound_sets_stay_silent_and_planted_statistics_are_found() -> None:
    for seed in range(20):
        source = tiny_source(6, seed=seed, duration_s=1, is_measured=bool(seed % 2))
        assert judged(source) == []
        (finding,) = judged(plant(source, np.random.default_rng(seed), 1.0))
        assert isinstance(finding, Finding)
        assert finding.level is Level.ERROR
        assert judged(plant(source, np.random.default_rng(seed), 0.0)) == []


@pytest.mark.parametrize("folder", ["lerobot-v3.0-reachy2-real", "lerobot-v2.0-gr1-sim", "lerobot-v2.1-g1-real"])
def test_statistics_that_lerobot_wrote_are_true(folder: str, shared_data: Path) -> None:
    assert judged(open_source(shared_data / folder / "dataset")) == []
