"""Latency from two signals of one motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robokata.collection.umi.latency import Signal, latency_between, read_signal
from robokata.core.errors import HandheldRefused


def moving(seed: int, rate_hz: float, *, late_s: float = 0.0, duration_s: float = 6.0, noise_m: float = 5e-4) -> Signal:
    """A width that wanders between closed and open; the same seed is the same motion."""
    shape = np.random.default_rng(seed)
    knots = np.cumsum(shape.uniform(0.2, 0.7, 60)) - 2
    levels = shape.uniform(0, 0.08, 60)
    rng = np.random.default_rng([seed, int(rate_hz)])
    times_s = np.arange(0, duration_s, 1 / rate_hz)
    share = np.clip(np.interp(times_s - late_s, knots, np.arange(60)), 0, 59)
    leg = np.minimum(share.astype(int), 58)
    t = share - leg
    width = levels[leg] + t**3 * (10 - 15 * t + 6 * t**2) * (levels[leg + 1] - levels[leg])
    return Signal(times_s, width + rng.normal(0, noise_m, len(times_s)))


@pytest.mark.parametrize("late_s", [-0.2, 0.0, 0.0871, 0.25])
def test_the_latency_of_30_hz_widths_against_100_hz_is_right_to_2_ms_without_bias(late_s: float) -> None:
    errors = []
    for seed in range(12):
        found = latency_between(moving(seed, 30, late_s=late_s), moving(seed, 100))
        assert found.latency_s is not None, found.reason
        errors.append(1000 * (found.latency_s - late_s))
    assert np.abs(errors).max() < 2.0
    # The prototype that this replaces was off by 8 ms, always to the same side.
    assert abs(np.mean(errors)) < 0.5


def test_two_videos_of_30_hz_give_their_latency_and_turned_around_its_negative() -> None:
    for seed in range(8):
        first, second = moving(seed, 30, late_s=0.071), moving(seed, 29.97)
        there, back = latency_between(first, second), latency_between(second, first)
        assert there.latency_s == pytest.approx(0.071, abs=0.003)
        assert back.latency_s == pytest.approx(-0.071, abs=0.003)


def test_it_abstains_where_the_width_does_not_move() -> None:
    still = Signal(np.arange(0, 6, 1 / 30), np.random.default_rng(0).normal(0.04, 2e-4, 180))
    found = latency_between(still, moving(0, 100))
    assert found.latency_s is None
    assert found.reason == "the width of the clip moves by 0.8 mm, less than 5 mm"


def test_it_abstains_where_the_signals_are_of_different_motions() -> None:
    found = latency_between(moving(1, 30), moving(2, 100))
    assert found.latency_s is None
    assert found.reason.startswith(("the highest correlation is", "the correlation still rises"))


def test_it_abstains_where_the_motion_repeats_itself() -> None:
    times_s = np.arange(0, 12, 0.01)
    wave = 0.04 + 0.03 * np.sin(2 * np.pi * times_s / 0.8)
    found = latency_between(Signal(times_s[::3], wave[::3]), Signal(times_s, wave))
    assert found.latency_s is None
    assert "the motion repeats itself" in found.reason


def test_it_abstains_where_the_latency_lies_beyond_what_was_looked_for() -> None:
    found = latency_between(moving(3, 30, late_s=0.4), moving(3, 100), within_s=0.2)
    assert found.latency_s is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "time_s,opening\n0,1\n",
            "has the columns time_s, opening; it needs time_s (or timestamp, time_ns) and width_m.",
        ),
        ("time_s,width_m\n0,0.1\n1,nan\n", "line 3 does not hold two numbers."),
        ("time_s,width_m\n1,0.1\n0,0.1\n", "needs at least two rows whose times rise."),
    ],
)
def test_a_reference_that_is_none_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "encoder.csv"
    file.write_text(text)
    with pytest.raises(HandheldRefused) as told:
        read_signal(file)
    assert str(told.value) == f"--reference {file}: {said}"
