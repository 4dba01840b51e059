"""Motion at another speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robokata.core.clock import measured_clock, step_clock
from robokata.core.episode import Embodiment, Episode, Joint
from robokata.core.errors import StepRefused
from robokata.core.stream import Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.steps.retime_motion import step
from steps.simulated import lifted


def moving(*, reference: str | None = "absolute", top_rad_s: float = 1.0, limit_rad_s: float = 2.0) -> Episode:
    """One joint on a sine of known speed, 4 s at 50 Hz, with a gripper that closes at once and an annotation."""
    times_s = np.arange(201) / 50
    angle = top_rad_s * np.sin(times_s)
    numbers = {"absolute": angle, None: angle, "velocity": top_rad_s * np.cos(times_s)}
    numbers["delta_prev_command"] = np.gradient(angle)
    grip = (times_s < 2.0).astype(np.float64)
    rows = np.stack([numbers[reference], grip], axis=1)
    clock = measured_clock((times_s * 1e9).astype(np.int64))
    meaning = Meaning(reference=None if reference is None else Fact(reference))
    action = Stream(
        "action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(rows), channels=("j", "grip"), meaning=meaning
    )
    robot = Embodiment("one", joints=(Joint("j", -3, 3, limit_rad_s),))
    return Episode(id="m", streams={"action": action}, embodiment=robot, declared_steps=201)


@settings(max_examples=25)
@given(st.floats(0.3, 1.9))
def test_the_way_stays_and_only_its_time_changes(ratio: float) -> None:
    (made,) = step(moving(), speed_ratio=ratio)
    stream = made.streams["action"]
    times_s = stream.clock.times_ns / 1e9
    np.testing.assert_allclose(stream.table[:, 0], np.sin(times_s * ratio), atol=2e-4)
    np.testing.assert_allclose(np.diff(times_s), 0.02, atol=1e-8), "the rate stays"
    assert abs(made.duration_s - 4 / ratio) <= 0.02
    assert set(stream.table[:, 1]) == {0.0, 1.0}, "a gripper's command has no middle"
    assert made.declared_steps == len(stream)


def test_velocities_and_changes_per_step_scale_and_targets_do_not() -> None:
    for reference, expected in [("velocity", 0.5), ("delta_prev_command", 0.5 / 50), ("absolute", 0.0)]:
        (made,) = step(moving(reference=reference), speed_ratio=0.5)
        assert made.streams["action"].table[0, 0] == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_a_joint_beyond_its_limit_is_refused_with_both_speeds() -> None:
    with pytest.raises(StepRefused) as refusal:
        list(step(moving(), speed_ratio=2.5))
    assert str(refusal.value) == (
        "retime_motion refuses episode m: at 2.5 times its speed, j would move at 2.50 rad/s in action, and its limit "
        "is 2.00."
    )
    assert next(step(moving(), speed_ratio=2.5, within_limits=False)).duration_s == pytest.approx(1.6)
    with pytest.raises(StepRefused):
        list(step(moving(reference="velocity"), speed_ratio=2.5))


def test_pictures_are_the_newest_ones_and_orientations_stay_of_length_one() -> None:
    episode = lifted()
    (made,) = step(episode, speed_ratio=0.7)
    for name in ("observation.images.scene", "observation.images.wrist"):
        at = np.minimum(
            np.floor(np.arange(len(made.streams[name])) * 0.7 + 1e-6).astype(int), len(episode.streams[name]) - 1
        )
        for row in (0, 7, len(at) - 1):
            np.testing.assert_array_equal(made.streams[name].values[row], episode.streams[name].values[int(at[row])])
    quat = made.streams["observation.tip_pose"].table[:, 3:7]
    np.testing.assert_allclose(np.linalg.norm(quat, axis=1), 1.0, atol=1e-12)
    assert made.annotations[0].end_s == pytest.approx(episode.annotations[0].end_s / 0.7)
    was_s, now_s = (e.extra["simulation"]["first_success_s"] for e in (episode, made))
    assert now_s == pytest.approx(was_s / 0.7)
    assert made.extra["steps"][-1]["left_out"] == ["simulation.state"]


def test_each_episode_draws_its_own_speed_and_the_same_one_again() -> None:
    drawn = set()
    for number in range(6):
        (first,), (second,) = (step(replace(moving(), id=str(number)), spread_ratio=0.25, seed=4) for _ in range(2))
        ratio = first.extra["steps"][-1]["ratio_drawn"]
        assert ratio == second.extra["steps"][-1]["ratio_drawn"]
        assert 0.8 / 1.25 <= ratio <= 0.8 * 1.25
        drawn.add(ratio)
    assert len(drawn) == 6


def test_clocks_that_tell_no_speed_are_refused() -> None:
    stream = moving().streams["action"]
    timeless = moving().with_stream(replace(stream, clock=step_clock(len(stream))))
    with pytest.raises(StepRefused, match="action has step numbers and no times"):
        list(step(timeless, within_limits=False))
    times = stream.clock.times_ns.copy()
    times[5] = times[4]
    with pytest.raises(StepRefused, match="stands still or runs backwards"):
        list(step(moving().with_stream(replace(stream, clock=measured_clock(times))), within_limits=False))
    with pytest.raises(StepRefused, match="speed_ratio is 20"):
        list(step(moving(), speed_ratio=20.0))
