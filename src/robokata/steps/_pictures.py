"""Pictures that a step changes, one at a time when somebody looks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require
from robokata.core.stream import Kind, Stream
from robokata.core.values import IndexedValues, Values
from robokata.media.images import EncodedImages, RawImages

JPEG_QUALITY = 95
"""Of 100, without subsampling of colour: a second generation then costs some 45 dB, below the first one's own loss."""
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


def jpeg_of(picture: NDArray[Any]) -> bytes:
    """One picture, (H, W, 3) or (H, W, 1) uint8, as JPEG."""
    simplejpeg = require("simplejpeg", extra="images")
    colour, sampling = ("GRAY", "Gray") if picture.shape[-1] == 1 else ("RGB", "444")
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(picture), quality=JPEG_QUALITY, colorspace=colour, colorsubsampling=sampling
    )
    return bytes(data)


def _changed(values: Values, change: Change, index: int) -> NDArray[Any]:
    return np.ascontiguousarray(change(values[index], index))


def _encoded(values: Values, change: Change, index: int) -> bytes:
    return jpeg_of(_changed(values, change, index))
