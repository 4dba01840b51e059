"""What the arrays of a replay buffer are: pictures, times, text, and the role that a name is evidence for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.zarr.array import Rows, ZarrArray
from robokata.core.clock import NS_PER_S, ClockQuality, Reading, step_clock
from robokata.core.errors import DamagedData, RobokataError
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import LazyValues
from robokata.formats._roles import column_role
from robokata.media.images import RawImages

_LEAST_PICTURE_PX = 16
"""Rows of (H, W, 3) smaller than this are matrices or point sets; the smallest camera picture seen is 64 px."""
# UMI repeats the pose at either end of the demonstration in every row: a key for its loader, not a measurement.
_BOOKKEEPING = re.compile(r".*_demo_(start|end)_pose|timestamps?|stage|index|(.*_)?(episode|frame)_index")


class _FloatPictures(RawImages):
    """Pictures kept as floats. Whether they run to 1 or to 255 is read off the first ones when somebody looks."""

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        # Sixteen and not one: the first picture of a camera that warms up is often black.
        first = np.nan_to_num(self.values[:16])
        self.scale = 255.0 if first.size and 0 < float(first.max()) <= 1.0 else 1.0
        yield from super().luma(points)


def pictures_of(rows: Rows, where: str) -> RawImages:
    """The rows as pictures."""
    return (_FloatPictures if rows.dtype.kind == "f" else RawImages)(rows, where=where)


def is_picture(array: ZarrArray) -> bool:
    """True where a row is (H, W, 1|3|4) of a size and a type that cameras give."""
    is_sample = array.dtype == np.uint8 or array.dtype == np.uint16 or array.dtype.kind == "f"
    size = array.shape[1:]
    return len(size) == 3 and size[2] in (1, 3, 4) and min(size[:2]) >= _LEAST_PICTURE_PX and is_sample


def role_of(name: str, dtype: np.dtype[Any]) -> Role:
    """The role that a name is evidence for; a sensor where it says nothing."""
    if _BOOKKEEPING.fullmatch(name.rpartition("/")[2].lower()):
        return Role.BOOKKEEPING
    return column_role(name, Kind.TENSOR, dtype, otherwise=Role.SENSOR)


def text_of(rows: Rows) -> NDArray[Any]:
    """Text as `str`, dtype object."""
    array = rows[:]
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return array.astype(object)


def clock_reading(times: ZarrArray, first: int, end: int) -> Reading:
    """Rows of stamps in seconds as times; even ones are synthesized.

    Raises:
        DamagedData: stamps that are no seconds.
    """
    stamps = times.take(np.arange(first, end)).reshape(end - first).astype(np.float64)
    if not np.all(np.isfinite(stamps)) or np.any(np.abs(stamps) > 4e9):  # 4e9 s after 1970 is the year 2096
        raise DamagedData(times.store.place(times.name), f"rows {first} to {end} hold stamps that are no seconds.")
    steps = np.diff(stamps)
    # A microsecond: no clock of a robot ticks that evenly, and float64 keeps seconds since 1970 to 0.24 us.
    is_even = len(steps) >= 2 and float(np.ptp(steps)) < 1e-6
    whole = np.floor(stamps)
    ns = whole.astype(np.int64) * NS_PER_S + np.rint((stamps - whole) * NS_PER_S).astype(np.int64)
    return Reading(ns, ClockQuality.SYNTHESIZED if is_even else ClockQuality.MEASURED)


def refused_stream(name: str, error: RobokataError) -> Stream:
    """A stream that holds nothing and says why when it is read."""

    def refuse() -> NDArray[Any]:
        raise error

    values = LazyValues((0,), object, refuse)
    return Stream(name.removeprefix("data/"), Kind.MESSAGE, Role.UNKNOWN, step_clock(0), values)
