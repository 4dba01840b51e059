"""SPARC and LDLJ: the published golden values, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.geometry.smoothness import dimensionless_jerk, ldlj, low_passed, moving_part, on_even_clock, sparc

GOLDEN = np.exp(-5 * np.arange(-1, 1, 0.01) ** 2)


def test_the_golden_values_are_reproduced() -> None:
    # Docstrings of scripts/smoothness.py in siva82kb/SPARC: exp(-5 t^2), t in [-1, 1), 100 Hz.
    assert sparc(GOLDEN, 100.0) == pytest.approx(-1.41403, abs=5e-6)
    assert dimensionless_jerk(GOLDEN, 100.0) == pytest.approx(-335.74684, abs=5e-6)
    assert ldlj(GOLDEN, 100.0) == pytest.approx(-5.81636, abs=5e-6)


@given(st.floats(1e-3, 1e3))
def test_neither_depends_on_how_large_the_movement_is(scale: float) -> None:
    assert sparc(scale * GOLDEN, 100.0) == pytest.approx(sparc(GOLDEN, 100.0))
    assert ldlj(scale * GOLDEN, 100.0) == pytest.approx(ldlj(GOLDEN, 100.0))


def test_neither_depends_on_how_fast_the_movement_is_but_on_its_shape() -> None:
    assert ldlj(GOLDEN, 50.0) == pytest.approx(ldlj(GOLDEN, 100.0))
    twice = np.concatenate((GOLDEN, GOLDEN))
    assert sparc(twice, 100.0) < sparc(GOLDEN, 100.0)
    assert ldlj(twice, 100.0) < ldlj(GOLDEN, 100.0)


def test_below_20_hz_the_spectrum_ends_at_half_the_rate() -> None:
    assert sparc(GOLDEN[::7], 100 / 7) == pytest.approx(sparc(GOLDEN[::7], 100 / 7, highest_hz=100 / 14))


def test_what_does_not_move_has_no_smoothness() -> None:
    assert sparc(np.zeros(50), 100.0) is None
    assert ldlj(np.zeros(50), 100.0) is None
    assert ldlj(np.ones(50), 100.0) is None


@pytest.mark.parametrize(("frequency_hz", "gain"), [(0.5, 1.0), (5.0, 2**-0.5), (20.0, 0.0)])
def test_the_filter_halves_the_power_at_its_cutoff(frequency_hz: float, gain: float) -> None:
    wave = np.sin(2 * np.pi * frequency_hz * np.arange(2000) / 200)
    passed = low_passed(wave, 200.0, cutoff_hz=5.0)[400:-400]
    assert np.abs(passed).max() == pytest.approx(gain, abs=0.02)
    assert len(low_passed(wave, 200.0, cutoff_hz=5.0)) == len(wave)


def test_idle_ends_are_cut_and_pauses_inside_are_not() -> None:
    speed = np.array([0, 0.001, 1, 2, 0, 0, 1, 0.01, 0])
    assert moving_part(speed) == slice(2, 7)
    assert moving_part(np.zeros(4)) == slice(0, 0)


def test_an_uneven_clock_is_made_even_and_keeps_the_last_sample() -> None:
    times = np.sort(np.random.default_rng(0).uniform(0, 3, 400))
    even = on_even_clock(times, np.stack((times, 2 * times), axis=1), 50.0)
    assert np.allclose(np.diff(even[:, 0]), 0.02)
    assert np.allclose(even[:, 1], 2 * even[:, 0])
    exact = on_even_clock(np.arange(301) / 100, np.arange(301.0)[:, None], 100.0)
    assert len(exact) == 301
