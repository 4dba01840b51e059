"""Some samples of a stream, on a clock of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock, Reading
from robokata.core.selected_values import PickedPictures, PickedValues
from robokata.core.stream import Stream
from robokata.core.values import Values


def picked(stream: Stream, samples: NDArray[np.int64]) -> Values:
    """Values of these samples (rising; a sample may come twice), read when somebody looks."""
    return PickedPictures(stream.pictures, samples) if stream.is_picture else PickedValues(stream.values, samples)


def at_times(clock: Clock, times_ns: NDArray[np.int64]) -> Clock:
    """A clock of the same quality and declared rate at other times."""
    return Clock(
        len(times_ns),
        lambda: Reading(times_ns, clock.quality),
        declared_rate_hz=clock.declared_rate_hz,
        counter=clock.counter,
    )
