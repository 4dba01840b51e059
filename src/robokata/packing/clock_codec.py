"""A clock as JSON and arrays: what follows from a rate or a first step is not stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, STEP, Clock, ClockQuality, Reading, grid_clock, grid_ns, step_clock


def pack_clock(clock: Clock, *, put: Callable[[NDArray[Any]], str], packed: dict[int, str]) -> dict[str, Any]:
    """A clock as plain values; `put` keeps an array and names it, `packed` knows the clocks that lie there already."""
    places, rate_hz = clock.places, clock.declared_rate_hz
    said = {"count": len(places), "quality": clock.quality.value, "declared_rate_hz": fraction_text(rate_hz)}
    said |= {} if clock.counter is None else {"counter": clock.counter}
    if not clock.has_times and np.array_equal(places, np.arange(len(places)) + places[:1]):
        return {**said, "first_step": int(places[0]) if len(places) else 0}
    if rate_hz is not None and len(places) and np.array_equal(places, grid_ns(len(places), rate_hz) + places[0]):
        return {**said, "grid_from_ns": int(places[0])}
    if id(clock) not in packed:
        packed[id(clock)] = put(places)
    return {**said, "times": packed[id(clock)]}


def unpack_clock(
    entry: Mapping[str, Any],
    *,
    array: Callable[[str, tuple[int, ...], np.dtype[Any]], NDArray[Any]],
    rows: Callable[[str], NDArray[Any]],
    at_most: int,
) -> Clock:
    """The clock that `pack_clock` described; `array` gives an array of a known shape, `rows` one of unknown length.

    Raises:
        ValueError: a count above `at_most`, or neither times nor what they follow from.
        KeyError: a field is missing.
    """
    quality = ClockQuality(entry["quality"])
    # Version 1 of the archive does not say the count.
    count = entry["count"] if "count" in entry else len(rows(entry["times"]))
    rate_hz, times, start_ns = fraction(entry["declared_rate_hz"]), entry.get("times"), entry.get("grid_from_ns")
    counter = None if entry.get("counter") is None else str(entry["counter"])
    if not isinstance(count, int) or not 0 <= count <= at_most:
        raise ValueError(f"a clock of {count} samples")
    if times is not None:
        # Versions 1 and 2 wrote step numbers as one second each, and no counter.
        is_second = quality is ClockQuality.UNKNOWN and counter is None
        unit = NS_PER_S if is_second else 1
        return Clock(
            count,
            lambda: Reading(array(times, (count,), np.dtype(np.int64)) // unit, quality),
            declared_rate_hz=rate_hz,
            counter=STEP if is_second else counter,
        )
    if quality is ClockQuality.UNKNOWN and isinstance(entry.get("first_step"), int):
        return step_clock(count, first_step=entry["first_step"], counter=counter or STEP)
    if rate_hz is not None and isinstance(start_ns, int):
        return grid_clock(count, rate_hz, quality=quality, start_ns=start_ns, counter=counter)
    raise ValueError("a clock without times")


def fraction_text(rate_hz: Fraction | None) -> str | None:
    """An exact rate as text."""
    return None if rate_hz is None else f"{rate_hz.numerator}/{rate_hz.denominator}"


def fraction(text: str | None) -> Fraction | None:
    """The rate that `fraction_text` wrote.

    Raises:
        ValueError: it is none.
    """
    return None if text is None else Fraction(text)
