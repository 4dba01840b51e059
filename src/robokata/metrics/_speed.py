"""The speed of a movement on an even clock: what smoothness is measured on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.geometry.channels import is_gripper, is_orientation, may_jump
from robokata.geometry.smoothness import moving_part, on_even_clock
from robokata.geometry.tip import has_times, times_of, tip_paths
from robokata.metrics import _success

SHORTEST_S = 0.5
"""A movement shorter than this has no shape."""


class Speed(NamedTuple):
    """Speed of one movement, idle ends cut off."""

    speed: NDArray[np.float64]
    """(N,) in the units of what moved, per second."""
    rate_hz: float
    of: str
    """`the tip` or `the joints`: the two must not be pooled."""


def speed_of(trial: Episode, *, rate_hz: float | None = None) -> Speed | str:
    """Speed up to the first success, or why there is none.

    `rate_hz` resamples; by default the rate of the recording. Of several arms the one that goes farthest.
    """
    found = _positions(trial)
    if found is None:
        return "no stream holds positions of the tip or the joints"
    stream, table, of = found
    if not has_times(stream):
        return "the format keeps no times"
    times_s = times_of(trial, stream)
    done_s = _success.first_success(trial).time_s
    kept = len(times_s) if done_s is None else int(np.searchsorted(times_s, done_s, side="right"))
    if kept < 3 or times_s[kept - 1] <= times_s[0]:
        return "fewer than three samples"
    rate = rate_hz or _rate_of(stream)
    if rate is None:
        return "the rate is not known"
    even = on_even_clock(times_s[:kept], table[:kept], rate)
    speed = np.linalg.norm(np.diff(even, axis=0), axis=1) * rate
    speed = speed[moving_part(speed)]
    if len(speed) < SHORTEST_S * rate:
        return f"it moves for less than {SHORTEST_S:g} s"
    return Speed(speed, rate, of)


def _rate_of(stream: Stream) -> float | None:
    rate_hz = stream.clock.rate_hz()
    if rate_hz is None and len(stream) > 1:
        period_ns = float(np.median(np.diff(stream.clock.times_ns)))
        return NS_PER_S / period_ns if period_ns > 0 else None
    return rate_hz


def _positions(trial: Episode) -> tuple[Stream, NDArray[np.float64], str] | None:
    paths = tip_paths(trial)
    if paths:
        longest = max(paths, key=lambda path: float(np.linalg.norm(np.diff(path.position_m, axis=0), axis=1).sum()))
        return trial.stream(longest.stream), longest.position_m, "the tip"
    for stream in trial.numeric(Role.STATE):
        joints = [
            channel
            for channel in range(stream.table.shape[1])
            if not (is_gripper(stream, channel) or may_jump(stream, channel) or is_orientation(stream, channel))
        ]
        table = np.asarray(stream.table[:, joints], dtype=np.float64)
        if len(joints) >= 2 and len(table) and np.isfinite(table).all():
            return stream, table, "the joints"
    return None
