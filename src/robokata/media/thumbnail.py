"""Small JPEG copies of pictures, for reports."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import MissingPart
from robokata.core.require import require


def thumbnail_jpeg(picture: NDArray[Any], *, width_px: int = 160, scale: float = 1.0) -> bytes:
    """A JPEG of about `width_px` pixels width from a picture (H, W), (H, W, 1) or (H, W, 3).

    16-bit pictures (depth) are stretched over their own range, floats are brought to 0..255 by `scale`.
    """
    small = _shrink(_eight_bits(picture, scale), width_px)
    try:
        simplejpeg = require("simplejpeg", extra="images")
    except MissingPart:
        return _encode_with_av(small)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=80, colorspace="RGB"))


def _eight_bits(picture: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    if picture.ndim == 2:
        picture = picture[..., np.newaxis]
    numbers = picture.astype(np.float32)
    if picture.dtype == np.uint16:
        low, high = float(numbers.min()), float(numbers.max())
        numbers = (numbers - low) * (255.0 / max(1.0, high - low))
    grey_or_rgb = np.clip(np.nan_to_num(numbers * (scale if picture.dtype.kind == "f" else 1.0)), 0, 255)
    rgb = np.repeat(grey_or_rgb, 3, axis=-1) if picture.shape[-1] < 3 else grey_or_rgb[..., :3]
    out: NDArray[np.uint8] = rgb.astype(np.uint8)
    return out


def _shrink(picture: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """Mean over square blocks: no aliasing, no library."""
    factor = max(1, round(picture.shape[1] / width_px))
    height, width = picture.shape[0] // factor * factor, picture.shape[1] // factor * factor
    if factor == 1 or not height:
        return picture
    blocks = picture[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    shrunk: NDArray[np.uint8] = blocks.mean(axis=(1, 3)).astype(np.uint8)
    return shrunk


def _encode_with_av(picture: NDArray[np.uint8]) -> bytes:
    av = require("av", extra="video")
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = picture.shape[1], picture.shape[0], "yuvj420p"
    context.time_base = Fraction(1, 30)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
