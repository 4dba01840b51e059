"""What a decoded video frame becomes: 8-bit colours, or the levels of a grey frame as they are coded."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import OtherPicture
from robokata.core.require import require

TRANSPARENCY = "transparency is left out"


class PixelLayout(NamedTuple):
    """How pictures of one pixel format lie in an array."""

    channels: int
    """1 for grey, 3 for colours."""
    dtype: np.dtype[Any]
    bits: int
    """Bits per channel in the file: 10 of an HDR video, whose colours become 8."""
    has_alpha: bool = False

    @property
    def left_out(self) -> str | None:
        """What the array does not hold of the file's pictures, in words."""
        held = 8 * self.dtype.itemsize
        narrowed = f"{self.bits} bits per colour become {held}" if self.bits > held else None
        return "; ".join(filter(None, (narrowed, TRANSPARENCY if self.has_alpha else None))) or None


_EIGHT_BIT_COLOUR = PixelLayout(3, np.dtype(np.uint8), 8)


@lru_cache(maxsize=64)
def pixel_layout(pixel_format: str, *, is_depth: bool = False) -> PixelLayout:
    """The layout of a pixel format in FFmpeg's words (`yuv420p10le`); one that FFmpeg does not know counts as colour.

    Grey keeps its levels, whatever their number: they may be codes of a depth camera, which 8 bits would merge.
    Colours become 8 bits, as policies and viewers take them. `is_depth`: the brightness plane holds the codes, and
    planes of colour beside it say nothing.
    """
    try:
        known = require("av", extra="video").VideoFormat(pixel_format)
    except ValueError:
        return _EIGHT_BIT_COLOUR
    has_alpha = any(part.is_alpha for part in known.components)
    bits = max((int(part.bits) for part in known.components if not part.is_alpha), default=8)
    has_plane = bool(known.components) and known.components[0].is_luma and not known.has_palette
    if not pixel_format.startswith("gray") and not (is_depth and has_plane and known.is_planar):
        return PixelLayout(3, np.dtype(np.uint8), bits, has_alpha)
    kind = np.float32 if bits > 16 else np.uint16 if bits > 8 else np.uint8
    return PixelLayout(1, np.dtype(kind), bits)


def refuse_other_layout(frame: Any, first: tuple[int, int, PixelLayout], where: str, *, is_depth: bool = False) -> None:
    """Refuse a decoded frame that has another width, height or pixels than its stream promises.

    Raises:
        OtherPicture: it has; nobody can batch, or declare, pictures of two sizes.
    """
    width, height, layout = first
    own = pixel_layout(frame.format.name, is_depth=is_depth)
    if (frame.width, frame.height, own.channels, own.dtype) != (width, height, layout.channels, layout.dtype):
        raise OtherPicture(
            where,
            f"the picture is {frame.width} x {frame.height}, channels: {own.channels}, bits: {own.bits}; those of the "
            f"stream are {width} x {height}, channels: {layout.channels}, bits: {layout.bits}.",
        )


def frame_pixels(frame: Any, *, is_depth: bool = False) -> NDArray[Any]:
    """The picture of a decoded frame, (H, W, C) in the layout of its pixel format."""
    name = frame.format.name
    layout = pixel_layout(name, is_depth=is_depth)
    if layout.channels == 3:
        return np.asarray(frame.to_ndarray(format="rgb24"))
    if name.startswith("gray"):
        return np.asarray(frame.to_ndarray())[..., np.newaxis]
    # FFmpeg's own conversion would stretch studio levels (16..235) to full range: codes are no brightness.
    plane = frame.planes[0]
    rows = np.frombuffer(plane, layout.dtype.newbyteorder(">" if name.endswith("be") else "<")).reshape(
        plane.height, -1
    )
    return rows[:, : frame.width, np.newaxis].astype(layout.dtype)
