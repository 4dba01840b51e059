"""Tests of clocks: exact grids, declared rates, and what a clock may claim."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.clock import (
    Clock,
    ClockQuality,
    Reading,
    grid_clock,
    grid_ns,
    measured_clock,
    paced_clock,
    paired,
    rate_fraction,
    step_clock,
)
from robokata.core.errors import ClockUnknown

HALF = Fraction(1, 2)


@given(count=st.integers(0, 200), rate_hz=st.fractions(min_value=Fraction(1, 86_400), max_value=10**6))
def test_every_time_on_a_grid_is_the_exact_fraction_rounded_once(count: int, rate_hz: Fraction) -> None:
    times_ns = grid_ns(count, rate_hz)
    assert times_ns.dtype == np.int64
    assert len(times_ns) == count
    for ordinal, time_ns in enumerate(times_ns.tolist()):
        assert abs(time_ns - Fraction(ordinal) * 10**9 / rate_hz) <= HALF


@given(st.integers(1, 2**64), st.integers(1, 2**64))
def test_fractions_beyond_64_bits_do_not_overflow(numerator: int, denominator: int) -> None:
    rate_hz = Fraction(numerator, denominator)
    if Fraction(1, 1000) < rate_hz < 10**6:
        assert abs(int(grid_ns(3, rate_hz)[2]) - Fraction(2) * 10**9 / rate_hz) <= HALF


def test_a_grid_of_a_week_at_an_ntsc_rate_has_not_drifted() -> None:
    count = 18_000_000
    assert int(grid_ns(count, Fraction(30000, 1001))[-1]) == round(Fraction((count - 1) * 1001 * 10**9, 30000))


@pytest.mark.parametrize(
    ("written", "nominal"), [(29.97, 30), (59.94, 60), (23.976, 24), ("119.88", 120), (29.97003, 30)]
)
def test_ntsc_rates_become_their_exact_fraction(written: float | str, nominal: int) -> None:
    assert rate_fraction(written) == Fraction(nominal * 1000, 1001)


@given(st.integers(1, 999_999))
def test_whole_rates_stay_whole(rate: int) -> None:
    assert rate_fraction(rate) == rate_fraction(float(rate)) == rate_fraction(str(rate)) == rate


@given(st.decimals(min_value=1, max_value=500, places=1))
def test_rates_with_one_decimal_are_kept_exactly(rate: object) -> None:
    assert rate_fraction(str(rate)) == Fraction(str(rate))


def test_a_written_fraction_is_kept() -> None:
    assert rate_fraction("30000/1001") == Fraction(30000, 1001)


@pytest.mark.parametrize(
    "written",
    ["", "fast", "nan", "inf", "1/0", "0", "-5", True, 10**6, "1e999999999", "1e-999999999", "9" * 5000, 1e-6],
    ids=lambda written: str(written)[:12],
)
def test_what_is_no_rate_is_none_and_takes_no_time(written: float | str) -> None:
    assert rate_fraction(written) is None


@given(st.one_of(st.floats(), st.text(), st.integers()))
def test_no_declared_rate_breaks_the_grid(written: float | str) -> None:
    rate_hz = rate_fraction(written)
    if rate_hz is not None:
        assert rate_hz > 0
        assert len(grid_ns(3, rate_hz)) == 3


def test_a_clock_reads_once_and_only_when_it_is_asked() -> None:
    reads = []

    def load() -> Reading:
        reads.append(1)
        return Reading(np.arange(3, dtype=np.int64), ClockQuality.MEASURED)

    clock = Clock(3, load)
    assert (len(clock), repr(clock), reads) == (3, "Clock(3 samples, declared_rate_hz=None)", [])
    assert (clock.times_ns.tolist(), clock.quality, clock.is_measured) == ([0, 1, 2], "measured", True)
    assert reads == [1]


def test_one_long_pause_does_not_change_the_measured_rate() -> None:
    times = np.concatenate((np.arange(50), 200 + np.arange(50))) * 20_000_000
    assert measured_clock(times).measured_rate_hz() == pytest.approx(50.0)


@pytest.mark.parametrize("times", [[], [5], [7, 7, 7]])
def test_a_measured_clock_that_cannot_tell_its_rate_falls_back_to_the_declared_one(times: list[int]) -> None:
    clock = measured_clock(np.asarray(times, np.int64), declared_rate_hz=Fraction(10))
    assert (clock.measured_rate_hz(), clock.rate_hz()) == (None, 10.0)
    assert measured_clock(np.asarray(times, np.int64)).rate_hz() is None


def test_synthesized_times_measure_nothing() -> None:
    clock = grid_clock(10, Fraction(50))
    assert (clock.quality, clock.measured_rate_hz(), clock.rate_hz()) == ("synthesized", None, 50.0)


def test_a_clock_without_times_numbers_steps_and_refuses_seconds() -> None:
    clock = step_clock(3, first_step=5)
    assert (clock.quality, clock.rate_hz(), clock.has_times) == ("unknown", None, False)
    assert clock.places.tolist() == clock.steps.tolist() == [5, 6, 7]
    with pytest.raises(ClockUnknown, match="of 3 samples has step numbers and no times: it has no seconds"):
        clock.times_ns  # noqa: B018


def test_a_declared_rate_gives_steps_their_times_and_says_who_declared_it() -> None:
    clock = paced_clock(step_clock(4, first_step=1), Fraction(30000, 1001))
    assert (clock.quality, clock.declared_rate_hz) == ("declared by the user", Fraction(30000, 1001))
    assert clock.times_ns.tolist() == [round(Fraction(n * 1001 * 10**9, 30000)) for n in (1, 2, 3, 4)]
    with pytest.raises(ValueError, match="has times: declared by the user"):
        paced_clock(clock, Fraction(5))


def test_samples_belong_together_by_times_or_by_the_number_of_one_counter() -> None:
    timed, steps = grid_clock(10, Fraction(5)), step_clock(10)
    assert timed.aligns_with(grid_clock(30, Fraction(15)))
    assert steps.aligns_with(step_clock(11))
    assert steps.aligns_with(step_clock(9, first_step=1))
    assert not steps.aligns_with(timed)
    assert not timed.aligns_with(steps)
    assert not steps.aligns_with(step_clock(12))
    assert not steps.aligns_with(step_clock(10, counter="picture"))
    with pytest.raises(ClockUnknown):
        paired(timed, steps)
