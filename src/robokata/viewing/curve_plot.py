"""Curves of a stream, drawn by matplotlib for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.require import require
from robokata.core.stream import Stream


def plot_stream(stream: Stream, *, channels: Sequence[str | int] | None = None, axes: Any = None) -> Any:
    """Draw channels of a stream, seconds from its first sample to the right, steps where it has no times.

    Raises:
        TypeError: the stream does not hold numbers.
        KeyError: it has no such channel.
        MissingPart: matplotlib is not installed.
    """
    table = stream.table
    if axes is None:
        axes = require("matplotlib.pyplot", extra="notebook").figure().add_subplot()
    names = [stream.channel_name(number) for number in range(table.shape[1])]
    for channel in names if channels is None else channels:
        if channel not in names and not (isinstance(channel, int) and channel < len(names)):
            raise KeyError(f"stream {stream.name!r} has no channel {channel!r}. It has: {', '.join(names)}")
        number = channel if isinstance(channel, int) else names.index(channel)
        axes.plot(_places(stream), table[:, number], label=names[number], linewidth=1)
    axes.set_xlabel("seconds" if stream.clock.has_times else "step")
    axes.set_ylabel(f"{stream.name} [{stream.meaning.unit}]" if stream.meaning.unit else stream.name)
    axes.legend(loc="upper right", fontsize="small")
    return axes


def _places(stream: Stream) -> Any:
    if not stream.clock.has_times:
        return np.arange(len(stream))
    times_ns = stream.clock.times_ns
    return (times_ns - times_ns.min()) / NS_PER_S if len(times_ns) else times_ns
