"""The same motion faster or slower, at the same sampling rates.

Every stream is sampled again on an even clock of its own rate: numbers between two samples are interpolated, words,
flags and pictures are the newest ones. Absolute targets keep their values, velocities are scaled by the ratio, and
changes per step with them. A motion that would pass a joint's velocity limit is refused. Physics is not simulated
again: forces are those of the original, and whether the task still succeeds at this speed is not known better than
that the motion was possible. Slower motion repeats pictures. A simulator's whole state is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock
from robokata.core.episode import Episode
from robokata.core.errors import StepRefused
from robokata.core.stream import Role, Stream
from robokata.core.trace import rng_of, traced
from robokata.core.values import ArrayValues, Values
from robokata.geometry.channels import has_few_values
from robokata.steps._samples import at_times, picked

_NAME = __name__.rpartition(".")[2]
_SMOOTH = (Role.STATE, Role.ACTION, Role.SENSOR)
_RATES = ("velocity", "delta_prev_measured", "delta_prev_command")
SLOWEST, FASTEST = 0.1, 10.0
"""Beyond, no recording stays what it was: 30 pictures per second become 3 that are seen ten times, or the reverse."""


def step(
    episode: Episode,
    *,
    # 0.8: a quarter slower. Operators of one task differ by about that much, and slower is always possible.
    speed_ratio: float = 0.8,
    # 0: exactly this. Else each episode draws its own, evenly in its logarithm, between speed / (1 + spread) and
    # speed * (1 + spread).
    spread_ratio: float = 0.0,
    # Motions above the limit that the robot's document states do not exist.
    within_limits: bool = True,
    seed: int = 0,
) -> Iterator[Episode]:
    """The episode `speed_ratio` times as fast.

    Raises:
        StepRefused: a joint would have to be faster than its limit, the speed is out of range, or there are no times.
    """
    if spread_ratio < 0 or not SLOWEST <= speed_ratio <= FASTEST:
        raise StepRefused(
            _NAME,
            episode.id,
            f"speed_ratio is {speed_ratio:g} and spread_ratio {spread_ratio:g}; {SLOWEST:g} to "
            f"{FASTEST:g}, and 0 or more, are needed.",
        )
    drawn = speed_ratio
    if spread_ratio:
        drawn *= (1 + spread_ratio) ** float(rng_of(_NAME, seed, episode).uniform(-1, 1))
    if within_limits:
        _refuse_too_fast(episode, drawn)
    streams = {}
    for stream in episode.streams.values():
        if not _is_whole_state(stream):
            streams[stream.name] = _retimed(stream, episode, drawn)
    steps = max((len(s) for s in streams.values() if s.role in (Role.STATE, Role.ACTION)), default=None)
    changed = replace(
        episode,
        streams=streams,
        instructions=tuple(
            replace(each, start_s=_scaled(each.start_s, drawn), end_s=_scaled(each.end_s, drawn))
            for each in episode.instructions
        ),
        annotations=tuple(
            replace(each, start_s=each.start_s / drawn, end_s=each.end_s / drawn) for each in episode.annotations
        ),
        declared_steps=None if episode.declared_steps is None else steps,
        extra=_extra(episode, drawn),
    )
    parameters = {
        "speed_ratio": speed_ratio,
        "spread_ratio": spread_ratio,
        "within_limits": within_limits,
        "seed": seed,
    }
    left_out = [name for name in episode.streams if name not in streams]
    yield traced(
        changed, of=episode, step=_NAME, parameters=parameters, said={"ratio_drawn": drawn, "left_out": left_out}
    )


class _Places(NamedTuple):
    """Where the new samples of a stream lie in the old one."""

    at: NDArray[np.float64]
    """(N,) sample numbers with fractions."""
    clock: Clock

    @property
    def newest(self) -> NDArray[np.int64]:
        """(N,) the sample that was newest; 1e-6 of a sample: the same moment must not become the one before."""
        return np.floor(self.at + 1e-6).astype(np.int64)


def _retimed(stream: Stream, episode: Episode, factor: float) -> Stream:
    if len(stream) < 2:
        return stream
    places = _places(stream, episode, factor)
    # A stamp per sample in another clock cannot be true of samples that were never taken.
    bare = replace(stream, other_clocks={})
    if stream.is_numeric and stream.values.dtype.kind == "f" and stream.role in _SMOOTH:
        return bare.with_values(_interpolated(stream, places, factor), clock=places.clock)
    if stream.role is Role.BOOKKEEPING and stream.name in ("frame_index", "timestamp"):
        return bare.with_values(_counted(stream, places), clock=places.clock)
    return bare.with_values(picked(stream, places.newest), clock=places.clock)


def _places(stream: Stream, episode: Episode, factor: float) -> _Places:
    clock = stream.clock
    if not clock.has_times:
        raise StepRefused(
            _NAME,
            episode.id,
            f"{stream.name} has step numbers and no times: how fast it is is not known. Declare the rate of its steps "
            "with --rate-hz.",
        )
    times_ns = clock.times_ns
    if np.any(np.diff(times_ns) <= 0):
        raise StepRefused(_NAME, episode.id, f"the clock of {stream.name} stands still or runs backwards.")
    period_ns = float(np.median(np.diff(times_ns)))
    first_ns = episode.start_ns + (times_ns[0] - episode.start_ns) / factor
    # 1e-6: the last sample must not be lost to rounding.
    count = int((times_ns[-1] - times_ns[0]) / factor / period_ns + 1e-6) + 1
    after_ns = np.arange(count) * period_ns
    at = np.interp(times_ns[0] + after_ns * factor, times_ns, np.arange(len(times_ns)))
    return _Places(at, at_times(clock, np.round(first_ns + after_ns).astype(np.int64)))


def _interpolated(stream: Stream, places: _Places, factor: float) -> Values:
    table = stream.table
    low = np.minimum(places.at.astype(np.int64), len(table) - 2)
    share = (places.at - low)[:, np.newaxis]
    out = table[low] * (1 - share) + table[low + 1] * share
    for columns in _quaternions(stream):
        out[:, columns] /= np.linalg.norm(out[:, columns], axis=1, keepdims=True)
    for number, column in enumerate(table.T):
        if has_few_values(column):  # a gripper's command, a flag: between open and closed there is nothing
            out[:, number] = column[places.newest]
    if stream.meaning.reference is not None and stream.meaning.reference.value in _RATES:
        out = out * factor
    shaped = out.reshape((len(out), *stream.shape))
    return ArrayValues(shaped.astype(stream.values.dtype))


def _quaternions(stream: Stream) -> Iterator[list[int]]:
    """Columns of each quaternion: between two samples its length must stay one (Shoemake's linear case)."""
    column = {channel: number for number, channel in enumerate(stream.channels or ())}
    for owner in [name.removesuffix("qw") for name in column if name.endswith("qw")]:
        names = [f"{owner}{axis}" for axis in ("qx", "qy", "qz", "qw")]
        if all(name in column for name in names):
            yield [column[name] for name in names]


def _counted(stream: Stream, places: _Places) -> Values:
    dtype = stream.values.dtype
    if stream.name == "frame_index":
        counted: NDArray[Any] = np.arange(len(places.at))
    else:
        counted = (places.clock.times_ns - places.clock.times_ns[0]) / NS_PER_S
    return ArrayValues(counted.astype(dtype).reshape((len(counted), *stream.shape)))


def _refuse_too_fast(episode: Episode, factor: float) -> None:
    limits = {joint.name: joint.velocity_limit for joint in (episode.embodiment.joints if episode.embodiment else ())}
    for stream in episode.numeric(Role.STATE, Role.ACTION):
        said = stream.meaning.reference.value if stream.meaning.reference else None
        if stream.channels is None or len(stream) < 2 or said not in (None, "absolute", "velocity"):
            continue
        for number, name in enumerate(stream.channels):
            limit = limits.get(name)
            if limit is None:
                continue
            speed_rad_s = factor * _top_speed(stream, number, is_velocity=said == "velocity")
            if speed_rad_s > limit:
                raise StepRefused(
                    _NAME,
                    episode.id,
                    f"at {factor:.3g} times its speed, {name} would move at {speed_rad_s:.2f} rad/s in {stream.name}, "
                    f"and its limit is {limit:.2f}.",
                )


def _top_speed(stream: Stream, column: int, *, is_velocity: bool) -> float:
    values = np.asarray(stream.table[:, column], np.float64)
    if is_velocity:
        return float(np.abs(values).max())
    return float(np.abs(np.diff(values) / (np.diff(stream.clock.times_ns) / NS_PER_S)).max())


def _is_whole_state(stream: Stream) -> bool:
    """A simulator's positions and velocities: half of them scale, and no name tells which."""
    return stream.name == "simulation.state"


def _scaled(time_s: float | None, factor: float) -> float | None:
    return None if time_s is None else time_s / factor


def _extra(episode: Episode, factor: float) -> dict[str, Any]:
    simulation = episode.extra.get("simulation")
    if not isinstance(simulation, dict) or simulation.get("first_success_s") is None:
        return dict(episode.extra)
    told = {**simulation, "first_success_s": float(simulation["first_success_s"]) / factor}
    return {**episode.extra, "simulation": told}
