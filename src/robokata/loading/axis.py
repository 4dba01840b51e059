"""One axis for the streams of a window: their times, or the steps that they number together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import TrainingRefused
from robokata.core.rows import pace_of
from robokata.core.stream import Stream
from robokata.loading.window_spec import WindowSpec


class Places(NamedTuple):
    """Where the samples of some streams stand."""

    of: Mapping[str, NDArray[np.int64]]
    """Stream -> (T,) nanoseconds, or step numbers."""
    is_timed: bool


def places_on_one_axis(episode: Episode, streams: Sequence[Stream], spec: WindowSpec) -> Places:
    """Places by which the streams of a window are laid beside each other; the first stream is the action.

    Raises:
        TrainingRefused: the window is in seconds and a stream has none; or nothing says which samples of two streams
            belong together; or a chunk is shorter than a single action.
    """
    action = streams[0]
    if all(stream.clock.has_times for stream in streams):
        if spec.rate_hz is not None:
            _refuse_short_chunk(episode, action, spec.chunk_steps, spec.rate_hz)
        return Places({stream.name: stream.clock.times_ns for stream in streams}, is_timed=True)
    other = next((s for s in streams if not s.clock.aligns_with(action.clock)), None)
    if other is not None:
        untimed = " and ".join(f"--rate-hz {s.name}=RATE" for s in (action, other) if not s.clock.has_times)
        raise TrainingRefused(
            f"episode {episode.id}: nothing says which samples of {other.name} ({pace_of(other.clock)}) belong to "
            f"those of {action.name} ({pace_of(action.clock)}). Declare the rate of what has no times ({untimed}; "
            "rate_hz in its [[source]]), or learn from streams of the same steps."
        )
    if not spec.is_in_steps:
        untimed_stream = next(stream for stream in streams if not stream.clock.has_times)
        raise TrainingRefused(
            f"episode {episode.id}: {untimed_stream.name} ({pace_of(untimed_stream.clock)}) has no seconds, and the "
            "window is in seconds. Declare the rate of its steps (--rate-hz 10; rate_hz = 10 in its [[source]]), or "
            "learn in steps (--in-steps; in_steps = true in [window])."
        )
    return Places({stream.name: stream.clock.steps for stream in streams}, is_timed=False)


def _refuse_short_chunk(episode: Episode, action: Stream, chunk_steps: int, rate_hz: float) -> None:
    """Refuse chunks whose rows are all the same action: nothing could be learnt of how it goes on."""
    times_ns = action.clock.times_ns
    period_s = float(np.median(np.diff(np.sort(times_ns)))) / NS_PER_S if len(times_ns) > 1 else 0.0
    covered_s = (chunk_steps - 1) / rate_hz
    if chunk_steps > 1 and covered_s < period_s:
        raise TrainingRefused(
            f"episode {episode.id}: a chunk of {chunk_steps} actions at {rate_hz:g} Hz covers {covered_s:.3g} s, and "
            f"one action of {action.name} lasts {period_s:.3g} s: all of the chunk would be one action. Set rate_hz = "
            f"{1 / period_s:.4g} in [window], or learn in steps (--in-steps; in_steps = true in [window])."
        )
