from __future__ import annotations

import numpy as np
import pytest

from checks.clocked_streams import abstentions, at_ms, episode, findings, regular, stream
from robokata.checks.clock_jitter import check, plant
from robokata.core.finding import Level
from robokata.testing import tiny_episode


def _jittered(share: float, count: int = 400, period_ms: float = 20.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.sort(np.arange(count) * period_ms + rng.uniform(-share, share, count) * period_ms)


@pytest.mark.parametrize("share", [0.2, 0.35, 0.5])
def test_intervals_that_scatter_are_a_warning(share: float) -> None:
    (finding,) = findings(check(episode(stream("state", at_ms(*_jittered(share))))))
    assert finding.level is Level.WARNING
    assert float(finding.measured or 0) > 0.1


def test_the_message_gives_scatter_range_and_rate() -> None:
    times = np.cumsum(np.tile([15.0, 25.0], 50))
    (finding,) = findings(check(episode(stream("state", at_ms(*times)))))
    assert finding.message == (
        "the intervals of state scatter by 20% of the period: 98 % of them lie between 15.0 and 25.0 ms at 40 Hz; "
        "off from 0.00 s to 1.99 s"
    )


def test_five_percent_is_what_a_good_camera_does() -> None:
    assert not findings(check(episode(stream("state", at_ms(*_jittered(0.05))))))


def test_the_worst_second_is_named() -> None:
    times = np.arange(500) * 20.0
    times[300:350] += np.random.default_rng(0).uniform(-9, 9, 50)
    (finding,) = findings(check(episode(stream("state", at_ms(*times))), scatter_above_share=0.05))
    assert 5.0 <= float(finding.spans[0].start_s or 0) <= 6.0
    assert 7.0 <= float(finding.end_s or 0) <= 8.0


def test_lost_samples_are_a_gap_and_no_jitter() -> None:
    times = np.delete(np.arange(500) * 20.0, [50, 51, 52, 200, 201, 300])
    assert not list(check(episode(stream("state", at_ms(*times)))))


def test_a_clock_in_milliseconds_cannot_tell_about_a_kilohertz() -> None:
    times = np.floor(np.arange(1000) * 1.7)
    (abstention,) = abstentions(check(episode(stream("imu", at_ms(*times)))))
    assert abstention.reason == "the clock of imu ticks in steps of 1 ms, too coarse for a period of 2 ms"


@pytest.mark.parametrize("seed", range(20))
def test_events_abstain(seed: int) -> None:
    times = np.cumsum(np.random.default_rng(seed).exponential(100, 200))
    (abstention,) = abstentions(verdicts := list(check(episode(stream("events", at_ms(*times))))))
    assert abstention.reason == "stream events has no usual interval to compare with"
    assert not findings(verdicts)


@pytest.mark.parametrize("declared_hz", [None, 50])
@pytest.mark.parametrize("share", [0.7, 1.0, 1.4, 2.8])
def test_worse_jitter_is_not_taken_for_events(share: float, declared_hz: int | None) -> None:
    jittered = stream("state", at_ms(*_jittered(share)))
    (finding,) = findings(check(episode(jittered, declared_hz=declared_hz)))
    assert float(finding.measured or 0) > 0.3
    assert "Hz" in finding.message


def test_heavy_jitter_with_a_long_pause_is_still_told() -> None:
    times = _jittered(0.8)
    times[200:] += 5000
    assert findings(check(episode(stream("state", at_ms(*times)))))


def test_a_declared_rate_tells_a_short_stream_from_events() -> None:
    times = np.sort(np.arange(20) * 20.0 + np.random.default_rng(1).uniform(-20, 20, 20))
    assert abstentions(check(episode(stream("state", at_ms(*times)))))
    assert findings(check(episode(stream("state", at_ms(*times, declared_hz=50)))))


def test_events_in_an_episode_that_declares_another_rate_abstain() -> None:
    times = np.cumsum(np.random.default_rng(0).exponential(100, 200))
    assert abstentions(check(episode(stream("events", at_ms(*times)), declared_hz=50)))


def test_messages_that_come_in_pairs_of_one_stamp_abstain() -> None:
    assert abstentions(check(episode(stream("pairs", at_ms(*np.repeat(np.arange(50) * 2.0, 2))))))


@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_a_few_samples_say_nothing(count: int) -> None:
    assert not findings(check(episode(stream("state", regular(count, 20)))))


def test_planted_jitter_is_found_and_nothing_else() -> None:
    from robokata.checks import clock_backwards, clock_gap

    for seed in range(20):
        sound = tiny_episode(seed, seed=seed)
        planted = plant(sound, np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(planted))
        assert finding.stream == "observation.state"
        assert not findings(check(sound))
        assert not findings(clock_gap.check(planted))
        assert not findings(clock_backwards.check(planted))
