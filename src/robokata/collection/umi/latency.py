"""Latency between two recordings of the same motion."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import HandheldRefused

_STEP_S = 0.001
"""Lags that are tried: 1 kHz, as UMI's calibration does; a parabola through the peak gives what lies between."""
_LEAST_MOTION_M = 0.005
"""Widths that move less than this show noise (0.1 mm) and quantisation rather than motion."""
_LEAST_PEAK_CORRELATION = 0.8
"""Of the correlation at the best lag: below it the two signals are not of one motion."""
_LEAST_OVERLAP_S = 1.5
"""Seconds that both signals cover: shorter motions fit at many lags."""
_RIVAL_CORRELATION = 0.02
"""A second peak this close to the first makes the motion periodic: either could be right."""


class Signal(NamedTuple):
    """A width over time."""

    times_s: NDArray[np.float64]
    """(T,), rising."""
    width_m: NDArray[np.float64]
    """(T,), finite."""


@dataclass(frozen=True)
class Latency:
    """What the comparison of two signals says."""

    latency_s: float | None
    """Seconds by which the clip is later than the reference, None where they do not tell."""
    peak_correlation: float | None
    """Height of the peak, -1..1."""
    reason: str
    """Why there is an estimate, or why there is none."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"latency_s": self.latency_s, "peak_correlation": self.peak_correlation, "reason": self.reason}


def latency_between(clip: Signal, reference: Signal, *, within_s: float = 1.0) -> Latency:
    """Latency of a clip against a reference by normalised cross-correlation, to a fraction of a millisecond.

    The correlation at lag L compares the clip at its own times t with the reference at t - L, over what both cover.
    The slower signal is never resampled: interpolating 30 Hz to 1 kHz rounds its corners, and where a motion is
    faster one way than back, that shifts the peak. `within_s` 1.0: cameras are 20 to 300 ms late.
    """
    refusal = _too_still(clip, "the clip") or _too_still(reference, "the reference")
    if refusal:
        return Latency(None, None, refusal)
    sign = 1
    if _period_s(clip) < _period_s(reference):
        clip, reference, sign = reference, clip, -1
    lags_s = np.arange(-round(within_s / _STEP_S), round(within_s / _STEP_S) + 1) * _STEP_S
    heights = np.asarray([_correlation(clip, reference, float(lag)) for lag in lags_s])
    if not np.any(np.isfinite(heights)):
        return Latency(None, None, f"the two overlap for less than {_LEAST_OVERLAP_S:g} s at every lag")
    heights = np.where(np.isfinite(heights), heights, -1.0)
    best = int(np.argmax(heights))
    peak, lag_s = float(heights[best]), sign * float(lags_s[best] + _summit(heights, best) * _STEP_S)
    if peak < _LEAST_PEAK_CORRELATION:
        return Latency(None, peak, f"the highest correlation is {peak:.2f}, below {_LEAST_PEAK_CORRELATION}")
    if best in (0, len(heights) - 1):
        return Latency(None, peak, f"the correlation still rises at the edge of +-{within_s:g} s")
    rival = _rival(heights, best)
    if rival is not None and peak - float(heights[rival]) < _RIVAL_CORRELATION:
        other_s = sign * float(lags_s[rival])
        return Latency(None, peak, f"the motion repeats itself: {lag_s:.3f} s and {other_s:.3f} s fit equally well")
    return Latency(lag_s, peak, f"cross-correlation peak {peak:.4f}")


def read_signal(path: Path) -> Signal:
    """A gripper encoder's CSV: a column of times (`time_s`, `timestamp`, `time_ns`) and one of widths (`width_m`).

    Raises:
        HandheldRefused: the file cannot be read, lacks a column, or a row holds no numbers; file and line are named.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            names = list(rows.fieldnames or ())
            time = next((name for name in ("time_s", "timestamp", "time_ns") if name in names), None)
            if time is None or "width_m" not in names:
                raise HandheldRefused(
                    f"--reference {path}: has the columns {', '.join(names) or 'of no header'}; it needs time_s (or "
                    f"timestamp, time_ns) and width_m."
                )
            found = [_numbers(path, line, row, time) for line, row in enumerate(rows, start=2)]
    except OSError as error:
        raise HandheldRefused(f"--reference {path}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise HandheldRefused(f"--reference {path}: no text with rows: {error}.") from None
    table = np.asarray(found, np.float64).reshape(-1, 2)
    if len(table) < 2 or np.any(np.diff(table[:, 0]) <= 0):
        raise HandheldRefused(f"--reference {path}: needs at least two rows whose times rise.")
    return Signal(table[:, 0], table[:, 1])


def _numbers(path: Path, line: int, row: dict[str, str], time: str) -> tuple[float, float]:
    try:
        values = (float(row[time]) * (1e-9 if time.endswith("_ns") else 1.0), float(row["width_m"]))
    except (TypeError, ValueError):
        values = (np.nan, np.nan)
    if not all(np.isfinite(values)):
        raise HandheldRefused(f"--reference {path}: line {line} does not hold two numbers.")
    return values


def _too_still(signal: Signal, whose: str) -> str | None:
    if len(signal.times_s) < 2:
        return f"{whose} has no width"
    # Percentiles: one wrong reading is not motion.
    low, high = np.percentile(signal.width_m, [2, 98])
    if high - low < _LEAST_MOTION_M:
        return f"the width of {whose} moves by {(high - low) * 1000:.1f} mm, less than {_LEAST_MOTION_M * 1000:.0f} mm"
    return None


def _period_s(signal: Signal) -> float:
    return float(np.median(np.diff(signal.times_s)))


def _correlation(clip: Signal, reference: Signal, lag_s: float) -> float:
    """Pearson's correlation of the clip with the reference `lag_s` earlier, NaN where too little overlaps."""
    at = clip.times_s - lag_s
    inside = (at >= reference.times_s[0]) & (at <= reference.times_s[-1])
    if inside.sum() < 8 or np.ptp(at[inside]) < _LEAST_OVERLAP_S:
        return float("nan")
    seen, told = clip.width_m[inside], np.interp(at[inside], reference.times_s, reference.width_m)
    seen, told = seen - seen.mean(), told - told.mean()
    energy = float(np.sqrt(seen @ seen * (told @ told)))
    return float(seen @ told) / energy if energy > 1e-12 else float("nan")


def _summit(heights: NDArray[np.float64], best: int) -> float:
    """Offset of the top of the parabola through the peak and its neighbours, in steps.

    Wider than one step: neighbours 10 ms off stand above the noise of the interpolation, and the peak is smooth there.
    """
    reach = min(10, best, len(heights) - 1 - best)
    if reach == 0:
        return 0.0
    around = np.arange(-reach, reach + 1)
    curve, slope, _ = np.polyfit(around, heights[best - reach : best + reach + 1], 2)
    return float(np.clip(-slope / (2 * curve), -reach, reach)) if curve < 0 else 0.0


def _rival(heights: NDArray[np.float64], best: int) -> int | None:
    """The highest other peak: one beyond a valley at least 0.1 deep."""
    found = None
    for step in (-1, 1):
        floor, at = heights[best], best
        while 0 <= at < len(heights):
            floor = min(floor, heights[at])
            if heights[at] > floor + 0.1 and (found is None or heights[at] > heights[found]):
                found = at
            at += step
    return found
