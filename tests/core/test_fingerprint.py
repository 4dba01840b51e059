"""Which episodes are one recording."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from robokata.core.clock import step_clock
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.fingerprint import Fingerprint, Kin, fingerprint_of, kin_among
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues, LazyValues
from robokata.testing import tiny_episode


def episode_of(table: NDArray[np.generic], number: int = 0) -> Episode:
    stream = Stream("state", Kind.TENSOR, Role.STATE, step_clock(len(table)), ArrayValues(table))
    return Episode(str(number), {"state": stream})


def path(seed: int, steps: int = 200, width: int = 5) -> NDArray[np.float64]:
    """A smooth random path of a robot, (steps, width)."""
    rng = np.random.default_rng(seed)
    knots = rng.uniform(-1, 1, (6, width))
    at = np.linspace(0, 5, steps)
    return np.stack([np.interp(at, np.arange(6), knots[:, c]) for c in range(width)], axis=1)


def kin(*tables: NDArray[np.generic]) -> list[Kin]:
    prints = [fingerprint_of(episode_of(table, number)) for number, table in enumerate(tables)]
    return kin_among(prints, near_below_share=0.2, near_below_typical_share=0.2)


def test_exact_copies_are_kin_and_others_are_not() -> None:
    assert kin(path(0), path(1), path(0), path(2), path(0)) == [Kin((0, 2, 4), 0.0)]


@pytest.mark.parametrize("noise_share", [0.003, 0.01, 0.03])
def test_a_noisy_copy_is_kin(noise_share: float) -> None:
    noise = np.random.default_rng(9).normal(0, noise_share, (200, 5)) * np.ptp(path(0), axis=0)
    (group,) = kin(path(0), path(1), path(2), path(3), path(0) + noise)
    assert group.members == (0, 4)
    assert 0 < group.apart_share < 0.1


def test_a_copy_that_was_replayed_5_percent_slower_is_kin() -> None:
    (group,) = kin(path(0), path(1), path(2), path(3), path(0, steps=210))
    assert group.members == (0, 4)


def test_a_copy_whose_speed_was_changed_on_the_way_is_kin() -> None:
    at = np.linspace(0, 1, 200)
    warped = at + 0.05 * np.sin(2 * np.pi * at)
    copy = np.stack([np.interp(warped, at, channel) for channel in path(0).T], axis=1)
    (group,) = kin(path(0), path(1), path(2), path(3), copy)
    assert group.members == (0, 4)


def test_kinship_is_transitive() -> None:
    rng = np.random.default_rng(1)
    noisy = [path(0) + rng.normal(0, 0.01, (200, 5)) for _ in range(3)]
    assert [group.members for group in kin(path(0), *noisy, path(1), path(2), path(3), path(4), path(5))] == [
        (0, 1, 2, 3)
    ]


def test_scripted_repeats_of_one_reset_are_not_kin() -> None:
    # Each repeat ends 4 % of the motion away from the others: close, but all equally close.
    repeats = [path(0) + 0.02 * path(10 + n) for n in range(30)]
    assert kin(*repeats) == []


def test_channels_of_any_unit_count_alike() -> None:
    ticks = np.asarray([1000.0, 1.0, 1e-6, 1.0, 1e6])
    assert kin(path(0) * ticks, path(1) * ticks, path(2) * ticks, path(3) * ticks) == []


def test_an_idle_robot_is_compared_for_exact_copies_only() -> None:
    still = np.full((50, 3), 0.5)
    assert fingerprint_of(episode_of(still)).reason == "the robot does not move"
    assert [group.members for group in kin(still, still, path(0, width=3), still[:40])] == [(0, 1)]


def test_two_noisy_pauses_at_one_pose_are_not_kin() -> None:
    rng = np.random.default_rng(3)
    pauses = [0.3 + rng.normal(0, 1e-3, (200, 5)) for _ in range(2)]
    assert kin(*pauses, path(1), path(2), path(3), path(4)) == []


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_short_episodes_are_compared_for_exact_copies_only(steps: int) -> None:
    short = path(0, steps=steps)
    taken = fingerprint_of(episode_of(short))
    assert taken.path is None
    assert taken.reason == f"{steps} steps are too few to tell a near copy from another short move"
    assert kin(short, short + 1e-9) == []
    assert [group.members for group in kin(short, short)] == [(0, 1)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308])
def test_numbers_that_are_not_finite_leave_the_exact_comparison(bad: float) -> None:
    broken = path(0)
    broken[7, 2] = bad
    broken[8, 2] = bad
    assert [group.members for group in kin(broken, path(1), broken)] == [(0, 2)]


def test_integers_and_wide_tables_have_fingerprints() -> None:
    ticks = (path(0) * 1000).astype(np.int16)
    assert fingerprint_of(episode_of(ticks)).path is not None
    wide = fingerprint_of(episode_of(path(0, width=300)))
    assert wide.path is not None
    assert wide.path.shape == (24, 128)


def test_the_episode_number_and_the_counters_do_not_count() -> None:
    first, again = tiny_episode(3), tiny_episode(3)
    other = again.with_stream(again.streams["index"].with_values(ArrayValues(np.arange(400) + 5)))
    assert fingerprint_of(first).digest == fingerprint_of(other).digest


def test_pictures_tell_copies_where_there_are_no_numbers() -> None:
    def filmed(number: int) -> Fingerprint:
        episode = tiny_episode(number, duration_s=1)
        return fingerprint_of(Episode(str(number), {"c": next(episode.pictures())}))

    assert filmed(0).of == "pictures"
    assert filmed(0).digest == filmed(0).digest != filmed(1).digest


def test_an_episode_of_nothing_has_no_digest() -> None:
    taken = fingerprint_of(Episode("0", {}))
    assert (taken.digest, taken.reason) == (None, "it has neither state, action nor pictures")
    assert kin_among([taken, taken], near_below_share=0.2, near_below_typical_share=0.2) == []


def test_damage_is_not_swallowed() -> None:
    def load() -> NDArray[np.float32]:
        raise DamagedData("a.parquet", "no footer.")

    stream = Stream("s", Kind.TENSOR, Role.STATE, step_clock(9), LazyValues((9, 2), np.float32, load))
    with pytest.raises(DamagedData, match="no footer"):
        fingerprint_of(Episode("0", {"s": stream}))


def test_a_fingerprint_is_small_and_travels() -> None:
    taken = fingerprint_of(tiny_episode(0))
    data = pickle.dumps(taken)
    assert len(data) < 2000
    travelled = pickle.loads(data)
    assert np.array_equal(travelled.path, taken.path)


def test_the_order_of_members_is_the_order_of_the_dataset_for_a_thousand_episodes() -> None:
    tables = [path(n % 700, steps=30) for n in range(1000)]
    groups = kin(*tables)
    assert [group.members for group in groups] == [(n, n + 700) for n in range(300)]
