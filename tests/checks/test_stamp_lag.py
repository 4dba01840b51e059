from __future__ import annotations

import numpy as np
import pytest

from checks.clocked_streams import MS, abstentions, at_ms, episode, findings, regular, stream
from robokata.checks.stamp_lag import check, plant
from robokata.core.finding import Level
from robokata.core.stream import Stream
from robokata.testing import tiny_episode

TIMES = np.arange(200) * 20.0


def _with_lag(lag_ms: np.ndarray | float, *, own: str = "header") -> Stream:
    header, arrival = at_ms(*TIMES), at_ms(*(TIMES + lag_ms))
    if own == "header":
        return stream("imu", header, other_clocks={"receive": arrival})
    return stream("imu", arrival, other_clocks={"header": header})


@pytest.mark.parametrize("own", ["header", "receive"])
def test_a_steady_lag_of_more_than_half_a_period_is_a_warning(own: str) -> None:
    (finding,) = findings(check(episode(_with_lag(25.0, own=own))))
    assert finding.level is Level.WARNING
    assert finding.measured == pytest.approx(0.025)
    assert "25.0 ms after the header stamps (median), and 90 % of the lags spread over 0.0 ms" in finding.message


def test_a_small_steady_lag_is_info_and_a_tiny_one_nothing() -> None:
    assert [f.level for f in findings(check(episode(_with_lag(7.0))))] == [Level.INFO]
    assert not findings(check(episode(_with_lag(2.0))))


def test_a_lag_that_varies_is_a_warning_at_its_worst_sample() -> None:
    lag = np.random.default_rng(0).uniform(0, 15, 200)
    lag[100] = 60
    (finding,) = findings(check(episode(_with_lag(lag))))
    assert finding.level is Level.WARNING
    assert finding.spans[0].start_s == pytest.approx(2.0)


def test_arrival_before_capture_says_before() -> None:
    (finding,) = findings(check(episode(_with_lag(-25.0))))
    assert "imu: the receive stamps lie 25.0 ms before the header stamps" in finding.message


def test_clocks_that_run_apart_are_measured_in_ppm() -> None:
    (finding,) = findings(check(episode(_with_lag(TIMES * 0.01))))
    assert finding.message.endswith("the clocks run apart by 10000 ppm")


def test_different_zero_points_are_info() -> None:
    (finding,) = findings(check(episode(_with_lag(1e9))))
    assert finding.level is Level.INFO
    assert finding.message == (
        "imu: header and receive clock count from different moments, 1000000.0 s apart; their distance varies by 0.0 ms"
    )


def test_header_stamps_that_were_never_set_abstain() -> None:
    unset = stream("imu", regular(50, 20), other_clocks={"header": at_ms(*[0.0] * 50)})
    assert [a.reason for a in abstentions(check(episode(unset)))] == ["the header stamps were never set"]


def test_an_episode_with_one_clock_per_stream_abstains() -> None:
    assert [a.reason for a in abstentions(check(tiny_episode()))] == [
        "no stream has a header stamp and a stamp of arrival"
    ]


def test_clocks_of_different_length_are_not_compared() -> None:
    odd = stream("imu", regular(50, 20), other_clocks={"receive": regular(49, 20)})
    assert not findings(check(episode(odd)))


def test_the_planted_lag_is_found() -> None:
    for seed in range(20):
        planted = plant(tiny_episode(seed, seed=seed), np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(planted))
        assert (finding.level, finding.stream) == (Level.WARNING, "observation.state")
        assert finding.measured == pytest.approx(0.03, abs=0.002)
        assert (planted.streams["observation.state"].clock.times_ns[0]) % MS >= 0


def test_the_husky_imu_lags_25_ms(shared_data) -> None:  # type: ignore[no-untyped-def]
    from robokata.core.detection import open_source

    bag = open_source(shared_data / "rosbag1-mobile-robots", format="rosbag1").episode("test1")
    (finding,) = findings(check(bag))
    assert finding.stream is not None
    assert finding.stream.startswith("/imu/data")
    assert finding.measured == pytest.approx(0.025, abs=0.001)
