from __future__ import annotations

import numpy as np
import pytest

from checks.clocked_streams import at_ms, episode, findings, regular, stream
from robokata.checks.clock_backwards import check, plant
from robokata.core.finding import Level
from robokata.core.stream import Kind
from robokata.testing import tiny_episode

BACK = [*range(0, 200, 20), *range(100, 300, 20)]
EQUAL = [0, 20, 40, 40, 60, 80, 80, 80, 100, 120]


def test_a_step_back_is_an_error_that_names_the_two_samples() -> None:
    (finding,) = findings(check(episode(stream("state", at_ms(*BACK)))))
    assert finding.level is Level.ERROR
    assert finding.message == ("state steps back by 80.0 ms between samples 9 and 10; 1 of 19 intervals run backwards")
    assert (finding.start_s, finding.end_s) == pytest.approx((0.1, 0.18))


def test_equal_stamps_are_a_warning_with_their_share() -> None:
    (finding,) = findings(check(episode(stream("state", at_ms(*EQUAL)))))
    assert finding.level is Level.WARNING
    assert finding.message == "state gives 3 of 10 samples (30.0%) the same time as the sample before"
    assert (finding.start_s, finding.end_s) == pytest.approx((0.04, 0.08))


def test_a_clock_that_does_both_is_two_findings() -> None:
    assert len(findings(check(episode(stream("state", at_ms(*EQUAL, *BACK)))))) == 2


def test_a_further_clock_of_the_samples_is_told_as_info() -> None:
    sound = stream("odom", regular(10, 20), other_clocks={"receive": at_ms(*EQUAL)})
    (finding,) = findings(check(episode(sound)))
    assert finding.level is Level.INFO
    assert finding.message.startswith("odom by its receive clock gives 3 of 10 samples")


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.MESSAGE])
def test_a_topic_that_publishers_share_may_cross_its_stamps(kind: Kind) -> None:
    assert {f.level for f in findings(check(episode(stream("/tf", at_ms(*BACK), kind=kind))))} == {Level.INFO}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_samples_say_nothing(count: int) -> None:
    assert not list(check(episode(stream("state", regular(count, 20)))))


def test_the_planted_step_is_found_and_is_no_gap() -> None:
    from robokata.checks import clock_gap

    for seed in range(20):
        sound = tiny_episode(seed, seed=seed)
        planted = plant(sound, np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(planted))
        assert (finding.level, finding.stream) == (Level.ERROR, "observation.state")
        assert not findings(check(sound))
        assert not findings(clock_gap.check(planted))


def test_the_jackal_receives_equal_stamps_while_its_header_is_sound(shared_data) -> None:  # type: ignore[no-untyped-def]
    from robokata.core.detection import open_source

    bag = open_source(shared_data / "rosbag1-mobile-robots", format="rosbag1").episode("test2")
    (finding,) = findings(check(bag))
    assert finding.level is Level.INFO
    assert "by its receive clock gives 359 of 3060 samples (11.7%)" in finding.message
