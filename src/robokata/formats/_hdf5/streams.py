"""HDF5 datasets as streams: numbers, texts, pictures raw and encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from robokata.containers.hdf5.file import Container, DatasetValues
from robokata.containers.hdf5.values import Table, text
from robokata.core.clock import Clock
from robokata.core.errors import DamagedData, Unsupported
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import Values
from robokata.formats._roles import is_flag
from robokata.media.images import EncodedImages, RawImages

_CAMERA_WORDS = re.compile(r"image|rgb|depth|camera|(^|_)cam(_|$)|(^|_)view(_|$)|segmentation")
_MIN_SIDE_PX = 8
"""A (T, H, W) array with shorter sides is a matrix per step (a pose is 4 x 4), not a picture."""
_DEPTH_SCALE = 25.5
"""Float depth in metres: 10 m, the reach of indoor depth cameras, becomes the brightness 255."""


def stream_of(
    container: Container, table: Table, *, name: str, role: Role, clock: Clock, extra: Mapping[str, Any]
) -> Stream:
    """One dataset whose first axis is time, as a stream."""
    about = {**table.attributes, **extra}
    leaf = name.rpartition("/")[2].lower()
    is_named = _CAMERA_WORDS.search(leaf) is not None and not is_flag(name, table.dtype)
    is_camera = role is Role.CAMERA or (is_named and role is not Role.ACTION)
    pictures = _pictures(container, table, leaf, is_camera=is_camera)
    if pictures is not None:
        values, encoding = pictures
        shown = Role.CAMERA if role is not Role.BOOKKEEPING else role
        return Stream(name, Kind.IMAGE, shown, clock, values, encoding=encoding, extra=about)
    return Stream(name, kind_of_numbers(table), role, clock, container.values(table), encoding="raw", extra=about)


def kind_of_numbers(table: Table) -> Kind:
    """What a sample is where it is no picture."""
    kinds = {"numbers": Kind.TENSOR, "text": Kind.TEXT, "lists": Kind.RAGGED}
    return kinds.get(table.content, Kind.MESSAGE)


def _pictures(container: Container, table: Table, leaf: str, *, is_camera: bool) -> tuple[Values, str | None] | None:
    where = f"{container.path}: {text(table.path)}"
    if is_camera and _is_encoded(table):
        images = EncodedImages(table.shape[0], lambda index: container.row(table, index), where=where)
        return images, _codec(container, table)
    if table.content != "numbers" or not _is_raw(table, leaf, is_camera=is_camera):
        return None
    return RawImages(DatasetValues(container, table), where=where, scale=_scale(table, leaf)), "raw"


def _is_encoded(table: Table) -> bool:
    """One run of bytes per sample: any length, fixed-length strings, or rows padded with zeros."""
    if len(table.shape) == 2:
        return table.dtype == np.uint8
    return len(table.shape) == 1 and (table.content == "blobs" or table.dtype.kind == "S")


def _is_raw(table: Table, leaf: str, *, is_camera: bool) -> bool:
    kind, shape = table.dtype.str[1:], table.shape
    if len(shape) == 4 and shape[-1] in (1, 3, 4) and min(shape[1:3]) > 0:
        return kind in ("u1", "u2") or (kind in ("f2", "f4", "f8") and is_camera)
    is_flat = len(shape) == 3 and min(shape[1:]) >= _MIN_SIDE_PX
    return is_flat and is_camera and (kind in ("u1", "u2") or (kind in ("f2", "f4", "f8") and "depth" in leaf))


def _scale(table: Table, leaf: str) -> float:
    if table.dtype.kind != "f":
        return 1.0
    # Colour as float is 0..1 by the convention of the simulators that write it.
    return _DEPTH_SCALE if "depth" in leaf else 255.0


def _codec(container: Container, table: Table) -> str | None:
    if not table.shape[0]:
        return None
    try:
        head = container.row(table, 0)[:8]
    except (DamagedData, Unsupported):
        return None  # The same error meets whoever looks at the pictures; the other streams still read.
    return "jpeg" if head[:2] == b"\xff\xd8" else "png" if head[:4] == b"\x89PNG" else None
