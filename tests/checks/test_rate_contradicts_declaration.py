from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from checks.clocked_streams import abstentions, at_ms, camera, episode, findings, grid, regular, stream
from robokata.checks.rate_contradicts_declaration import check, plant
from robokata.core.finding import Level
from robokata.core.stream import Role
from robokata.testing import tiny_episode


def test_a_stream_at_half_its_declared_rate_is_an_error() -> None:
    (finding,) = findings(check(episode(stream("state", regular(101, 40, declared_hz=50)))))
    assert finding.level is Level.ERROR
    assert finding.message == "state is declared at 50 Hz and runs at 25 Hz (mean 25 Hz over 4.0 s)"


@pytest.mark.parametrize(
    ("true_hz", "fires"), [(50, False), (52, False), (54, False), (60, True), (45, True), (100, True)]
)
def test_ten_percent_are_tolerated_either_way(true_hz: float, fires: bool) -> None:
    verdicts = check(episode(stream("state", regular(200, 1000 / true_hz, declared_hz=50))))
    assert bool(findings(verdicts)) is fires


def test_a_pause_moves_the_mean_alone_and_is_no_contradiction() -> None:
    times = [*np.arange(0, 1000, 20), *np.arange(5000, 6000, 20)]
    assert not findings(check(episode(stream("state", at_ms(*times, declared_hz=50)))))


def test_the_datasets_rate_holds_for_steps_and_not_for_every_sensor() -> None:
    slow = regular(100, 100)
    assert not findings(check(episode(stream("gps", slow, role=Role.SENSOR), declared_hz=50)))
    assert findings(check(episode(stream("state", slow, role=Role.STATE), declared_hz=50)))


def test_where_nobody_measured_the_video_is_the_witness() -> None:
    (finding,) = findings(check(episode(camera(60, 15, rate_hz=Fraction(30)))))
    assert finding.level is Level.WARNING
    assert finding.message == "cam is declared at 15 Hz, and its video file-000.mp4 says 30 frames per second"


def test_an_index_in_seconds_of_a_video_at_another_rate_is_an_error() -> None:
    (finding,) = findings(check(episode(camera(60, 15, rate_hz=Fraction(30), span_is_declared=True))))
    assert finding.level is Level.ERROR
    assert finding.message.endswith("; the index finds the episode in it by seconds")


def test_ntsc_and_thirty_agree() -> None:
    assert not findings(check(episode(camera(60, 30, rate_hz=Fraction(30000, 1001)))))


def test_without_times_and_video_nothing_can_contradict() -> None:
    verdicts = list(check(episode(stream("state", grid(60, 30)))))
    assert [a.reason for a in abstentions(verdicts)] == [
        "nobody measured the times and no video states a rate: nothing can contradict the declared one"
    ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_samples_say_nothing(count: int) -> None:
    assert not findings(check(episode(stream("state", regular(count, 20, declared_hz=99)))))


@pytest.mark.parametrize("is_measured", [True, False])
def test_the_planted_rate_is_found(is_measured: bool) -> None:
    for seed in range(20):
        sound = tiny_episode(seed, seed=seed, is_measured=is_measured)
        (finding,) = findings(check(plant(sound, np.random.default_rng(seed), 1.0)))
        assert (finding.stream, finding.expected) == ("observation.state", 100.0)
        assert not findings(check(sound))
