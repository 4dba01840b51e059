"""Pictures that a step changes, one at a time when somebody looks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.stream import Kind, Stream
from robokata.core.values import IndexedValues, Values
from robokata.media.encode import encode_jpeg
from robokata.media.images import EncodedImages, RawImages

Change = Callable[[NDArray[Any], int], NDArray[Any]]
"""A picture (H, W, C) and its number to the picture that it becomes."""


def repainted(stream: Stream, change: Change) -> Stream:
    """The stream with every picture changed. Colour is encoded as JPEG again; depth stays raw, to the bit."""
    values = stream.pictures
    if values.dtype != np.uint8 or values.shape[-1] not in (1, 3):
        raw = IndexedValues(values.shape, values.dtype, functools.partial(_changed, values, change))
        return replace(stream, values=RawImages(raw, where=stream.name), kind=Kind.IMAGE, encoding="raw")
    load = functools.partial(_encoded, values, change)
    return replace(stream, values=EncodedImages(len(values), load, where=stream.name), kind=Kind.IMAGE, encoding="jpeg")


def _changed(values: Values, change: Change, index: int) -> NDArray[Any]:
    return np.ascontiguousarray(change(values[index], index))


def _encoded(values: Values, change: Change, index: int) -> bytes:
    return encode_jpeg(_changed(values, change, index))
