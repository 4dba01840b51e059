from __future__ import annotations

import numpy as np
import pytest

from checks.clocked_streams import abstentions, at_ms, episode, findings, grid, regular, stream
from robokata.checks.streams_end_apart import check, plant
from robokata.core.finding import Level
from robokata.core.stream import Kind, Role
from robokata.testing import tiny_episode


def test_a_camera_that_stops_early_is_named_with_the_seconds_it_lacks() -> None:
    state, cam = stream("state", regular(500, 20)), stream("cam", regular(250, 33), role=Role.CAMERA, kind=Kind.IMAGE)
    (finding,) = findings(check(episode(state, cam)))
    assert (finding.stream, finding.level) == ("cam", Level.WARNING)
    assert finding.message == "cam ends 1.76 s before the episode's other streams"
    assert (finding.start_s, finding.end_s) == pytest.approx((8.217, 9.98))


def test_half_an_episode_without_its_camera_is_an_error() -> None:
    state, cam = stream("state", regular(500, 20)), stream("cam", regular(150, 33), role=Role.CAMERA, kind=Kind.IMAGE)
    assert [f.level for f in findings(check(episode(state, cam)))] == [Level.ERROR]


def test_a_stream_that_starts_late_is_named() -> None:
    late = stream("late", regular(450, 20, start_ms=1000))
    (finding,) = findings(check(episode(stream("state", regular(500, 20)), late)))
    assert finding.message == "late starts 1.00 s after the episode's other streams"
    assert (finding.start_s, finding.end_s) == pytest.approx((0.0, 1.0))


def test_of_three_streams_the_one_that_goes_on_is_named() -> None:
    streams = [stream(name, regular(500, 20)) for name in ("a", "b")]
    (finding,) = findings(check(episode(*streams, stream("long", regular(600, 20)))))
    assert finding.message == "long ends 2.00 s after the episode's other streams"
    assert finding.level is Level.WARNING


def test_streams_that_end_within_their_own_periods_are_silent() -> None:
    slow = stream("gps", regular(24, 400), role=Role.SENSOR)
    assert not list(check(episode(stream("state", regular(500, 20)), slow)))


def test_events_and_topics_of_few_messages_are_left_out() -> None:
    events = stream("events", at_ms(*np.cumsum(np.random.default_rng(0).exponential(50, 60))), role=Role.SENSOR)
    latched = stream("latched", at_ms(0, 1), role=Role.SENSOR)
    texts = stream("log", at_ms(0, 10, 20), kind=Kind.TEXT, role=Role.SENSOR)
    assert not list(check(episode(stream("state", regular(500, 20)), events, latched, texts)))


def test_streams_of_unknown_purpose_that_recur_are_compared() -> None:
    odd = [stream(name, regular(500, 20), role=Role.UNKNOWN) for name in ("a", "b")]
    short = stream("short", regular(300, 20), role=Role.UNKNOWN)
    (finding,) = findings(check(episode(stream("state", regular(500, 20)), *odd, short)))
    assert finding.message == "short ends 4.00 s before the episode's other streams"
    (finding,) = findings(check(episode(*odd, stream("state", regular(300, 20)))))
    assert finding.stream == "state"


def test_rows_of_one_rate_are_counted() -> None:
    def pair(count: int) -> list[str]:
        two = episode(stream("state", grid(100, 30)), stream("cam", grid(count, 30), role=Role.CAMERA, kind=Kind.IMAGE))
        return [f.message for f in findings(check(two))]

    assert pair(99) == []
    assert pair(101) == []
    assert pair(95) == ["cam ends 0.17 s before the episode's other streams"]


def test_without_any_time_samples_are_counted() -> None:
    (finding,) = findings(check(episode(stream("state", grid(100, None)), stream("cam", grid(95, None)))))
    assert finding.message == "cam holds 95 samples, 5 fewer than the episode's other streams"


def test_without_any_time_two_rates_look_like_a_loss_and_it_abstains() -> None:
    verdicts = list(check(episode(stream("states", grid(56, None)), stream("video", grid(168, None)))))
    assert not findings(verdicts)
    assert [a.reason for a in abstentions(verdicts)] == [
        "the format keeps no times, and the streams differ in length like streams of different rates"
    ]


def test_a_stream_without_samples_beside_full_ones_is_told() -> None:
    empty = stream("cam", grid(0, 30), role=Role.CAMERA, kind=Kind.IMAGE)
    (finding,) = findings(check(episode(stream("state", grid(100, 30)), empty)))
    assert finding.message == "cam holds no sample, while other streams of the episode do"


def test_measured_and_counted_times_are_not_compared() -> None:
    assert not list(check(episode(stream("log", regular(500, 20, start_ms=1e9)), stream("table", grid(100, 30)))))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_samples_say_nothing(count: int) -> None:
    two = episode(stream("state", regular(count, 20)), stream("action", regular(count, 20), role=Role.ACTION))
    assert not list(check(two))


@pytest.mark.parametrize("is_measured", [True, False])
def test_the_planted_early_end_is_found(is_measured: bool) -> None:
    for seed in range(20):
        sound = tiny_episode(seed, seed=seed, is_measured=is_measured)
        planted = plant(sound, np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(planted))
        assert finding.stream == "observation.images.front"
        assert finding.measured == pytest.approx(2.0, abs=0.05)
        assert not list(check(sound))
        camera = planted.streams["observation.images.front"]
        assert len(camera.pictures[0:5]) == 5
        assert len(list(camera.pictures.luma(8))) == len(camera) == camera.pictures.media().frames_expected
