"""How smooth a movement is: SPARC and LDLJ, from its speed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

HIGHEST_HZ = 10.0
"""Human and robot-arm movement has no power beyond; what lies there is noise (Balasubramanian et al. 2015)."""
MOVING_SHARE = 0.02
"""Share of the top speed below which the ends of a recording count as idle."""


def sparc(
    speed: NDArray[np.float64],
    rate_hz: float,
    *,
    # 10 Hz, and never beyond what the rate can show.
    highest_hz: float = HIGHEST_HZ,
    # Spectrum below this share of its peak is noise; the reference implementation's default.
    amplitude_share: float = 0.05,
    # 2^4 times the samples: the arc is then measured on a fine grid whatever the length.
    padding_levels: int = 4,
) -> float | None:
    """Spectral arc length of a speed profile, (T,) on an even clock; 0 and below, nearer 0 is smoother.

    Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet, Journal of NeuroEngineering and Rehabilitation 12 (2015):
    minus the length of the normalised amplitude spectrum from 0 Hz to the last frequency with a notable amplitude.
    None where nothing moves.
    """
    if len(speed) < 2 or not np.any(speed):
        return None
    points = 2 ** (math.ceil(math.log2(len(speed))) + padding_levels)
    frequency = np.arange(points // 2 + 1) * rate_hz / points
    amplitude = np.abs(np.fft.rfft(speed, points))
    amplitude = amplitude / amplitude.max()
    kept = frequency <= min(highest_hz, rate_hz / 2)
    frequency, amplitude = frequency[kept], amplitude[kept]
    notable = np.flatnonzero(amplitude >= amplitude_share)
    arc = slice(int(notable[0]), int(notable[-1]) + 1)
    frequency, amplitude = frequency[arc], amplitude[arc]
    if len(frequency) < 2:
        return None
    steps = np.hypot(np.diff(frequency) / (frequency[-1] - frequency[0]), np.diff(amplitude))
    return -float(steps.sum())


def dimensionless_jerk(speed: NDArray[np.float64], rate_hz: float) -> float | None:
    """Dimensionless jerk of a speed profile, (T,): -(D^3 / peak^2) times the integral of the squared second derivative.

    Hogan and Sternad, Journal of Motor Behavior 41 (2009); D is the duration T / rate. None where nothing moves.
    """
    peak = float(np.max(np.abs(speed))) if len(speed) else 0.0
    if len(speed) < 3 or peak == 0:
        return None
    period_s = 1 / rate_hz
    jerk = np.diff(speed, 2) / period_s**2
    duration_s = len(speed) * period_s
    return -float(duration_s**3 / peak**2 * np.sum(jerk**2) * period_s)


def ldlj(speed: NDArray[np.float64], rate_hz: float) -> float | None:
    """Log dimensionless jerk of a speed profile, (T,): -ln |dimensionless jerk|; larger is smoother.

    None where nothing moves, or where the speed never bends (its jerk is 0).
    """
    jerk = dimensionless_jerk(speed, rate_hz)
    return None if jerk is None or jerk == 0 else -math.log(abs(jerk))


def low_passed(signal: NDArray[np.float64], rate_hz: float, *, cutoff_hz: float) -> NDArray[np.float64]:
    """A signal, (T,), without what lies above a frequency (-3 dB there), without delay.

    A Gaussian, because it does not ring: a brick wall would add the very oscillation that smoothness counts.
    """
    width = math.sqrt(math.log(2)) / (2 * math.pi * cutoff_hz) * rate_hz
    reach = max(1, math.ceil(4 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    padded = np.pad(signal, reach, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), mode="valid"), dtype=np.float64)


def moving_part(speed: NDArray[np.float64], *, moving_share: float = MOVING_SHARE) -> slice:
    """Samples from the first to the last that move faster than a share of the top speed; empty where none does."""
    moving = np.flatnonzero(speed > moving_share * speed.max()) if len(speed) else np.asarray([], dtype=np.int64)
    return slice(int(moving[0]), int(moving[-1]) + 1) if len(moving) else slice(0, 0)


def on_even_clock(times_s: NDArray[np.float64], values: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """Values, (T, D), interpolated at an even rate over the same span, (N, D); times that run backwards are dropped."""
    forward = np.concatenate(([True], np.diff(np.maximum.accumulate(times_s)) > 0))
    times_s, values = times_s[forward], values[forward]
    # 1e-9: the last sample must not be lost to rounding.
    count = int((times_s[-1] - times_s[0]) * rate_hz + 1e-9) + 1
    at = times_s[0] + np.arange(count) / rate_hz
    return np.stack([np.interp(at, times_s, column) for column in values.T], axis=1)
