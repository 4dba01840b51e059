from __future__ import annotations

import numpy as np
import pytest

from checks.clocked_streams import abstentions, at_ms, episode, findings, grid, regular, stream
from robokata.checks.clock_gap import check, plant
from robokata.core.finding import Level
from robokata.testing import tiny_episode


def test_one_lost_sample_is_a_warning_with_both_numbers_and_its_place() -> None:
    times = np.delete(np.arange(100) * 20.0, 50)
    (finding,) = findings(check(episode(stream("state", at_ms(*times)))))
    assert finding.level is Level.WARNING
    assert finding.message == (
        "state is silent for 40 ms where a sample comes every 20.0 ms; 1 gap from 0.98 s to 1.02 s, about 1 samples "
        "(1.0%) missing in all"
    )
    assert (finding.start_s, finding.end_s) == pytest.approx((0.98, 1.02))


def test_half_a_second_of_silence_is_an_error() -> None:
    (finding,) = findings(check(episode(stream("state", at_ms(*range(0, 1000, 20), *range(1600, 2600, 20))))))
    assert finding.level is Level.ERROR
    assert finding.measured == pytest.approx(0.62)


@pytest.mark.parametrize("lost_share", [0.02, 0.1, 0.2])
def test_dropped_frames_are_found_up_to_every_fifth(lost_share: float) -> None:
    rng = np.random.default_rng(1)
    kept = np.sort(rng.choice(np.arange(1, 1000), round(1000 * (1 - lost_share)), replace=False))
    (finding,) = findings(check(episode(stream("cam", at_ms(*(kept * 33.3))))))
    assert finding.level is (Level.ERROR if lost_share > 0.05 else Level.WARNING)


def test_streams_on_one_clock_are_one_finding_that_says_how_many() -> None:
    clock = at_ms(*np.delete(np.arange(50) * 20.0, 9))
    (finding,) = findings(check(episode(stream("a", clock), stream("b", clock), stream("c", clock))))
    assert finding.message.startswith("a (and 2 more on the same clock) is silent")


def test_a_gap_is_reported_on_the_stream_that_has_it_only() -> None:
    gap = at_ms(*np.delete(np.arange(50) * 20.0, 9))
    (finding,) = findings(check(episode(stream("sound", regular(50, 20)), stream("gap", gap))))
    assert finding.stream == "gap"


def test_a_topic_of_events_abstains() -> None:
    times = np.cumsum(np.random.default_rng(0).exponential(100, 200))
    verdicts = list(check(episode(stream("events", at_ms(*times)))))
    assert not findings(verdicts)
    assert [a.reason for a in abstentions(verdicts)] == ["stream events has no usual interval to compare with"]


def test_of_a_mixed_episode_the_unmeasured_streams_are_named() -> None:
    verdicts = list(check(episode(stream("measured", regular(50, 20)), stream("grid", grid(50, 50)))))
    assert [a.reason for a in abstentions(verdicts)] == ["nobody measured the times of grid"]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_few_samples_say_nothing(count: int) -> None:
    assert not findings(check(episode(stream("state", regular(count, 20)))))


def test_equal_stamps_throughout_abstain() -> None:
    assert not findings(check(episode(stream("state", at_ms(*[5.0] * 50)))))


@pytest.mark.parametrize("is_measured", [True, False])
def test_the_planted_gap_is_found_where_it_is(is_measured: bool) -> None:
    for seed in range(20):
        sound = tiny_episode(seed, seed=seed, is_measured=is_measured)
        planted = plant(sound, np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(planted))
        assert finding.stream == "observation.state"
        assert finding.measured == pytest.approx(0.32, abs=0.01)
        assert not findings(check(plant(sound, np.random.default_rng(seed), 0.0)))


def test_the_husky_odometry_is_silent_for_208_ms_once(shared_data) -> None:  # type: ignore[no-untyped-def]
    from robokata.core.detection import open_source

    bag = open_source(shared_data / "rosbag1-mobile-robots", format="rosbag1").episode("test1")
    (finding,) = findings(check(bag))
    assert finding.stream is not None
    assert finding.stream.startswith("/husky_velocity_controller/odom")
    assert finding.measured == pytest.approx(0.208, abs=0.001)
    assert finding.spans[0].start_s == pytest.approx(194.3, abs=0.1)


def test_a_stamp_that_was_set_back_is_no_gap() -> None:
    times = np.arange(200) * 20.0
    times[100] -= 500
    assert findings(check(episode(stream("state", at_ms(*times))))) == []


def test_a_stamp_that_equals_the_one_before_is_no_gap() -> None:
    times = np.arange(200) * 20.0
    times[100] = times[99]
    assert findings(check(episode(stream("state", at_ms(*times))))) == []
