"""Pictures that say which picture they are: the oracle for every reader.

Episode and frame number are drawn as an 8 x 8 board of black and white cells, with a checksum. The cells
are 1/8 of the picture, so the number survives JPEG at quality 50 and AV1 at crf 50, down to 64 x 64 pixels.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.media.encode import encode_video

CELLS = 8
_EPISODE_BITS, _FRAME_BITS, _CHECK_BITS = 20, 24, 16
_ANCHORS = 4
"""Cells of known colour (white, black, white, black) that tell a board from a picture of anything else."""


class Barcode(NamedTuple):
    """What a picture says of itself."""

    episode: int
    frame: int


def barcode_picture(episode: int, frame: int, *, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    """A picture (height, width, 3) that holds an episode number (below 2**20) and a frame number (below 2**24).

    Raises:
        ValueError: a number or a size that does not fit.
    """
    if not (0 <= episode < 2**_EPISODE_BITS and 0 <= frame < 2**_FRAME_BITS):
        raise ValueError(f"{episode=} or {frame=} does not fit into the barcode")
    if height < 4 * CELLS or width < 4 * CELLS:
        raise ValueError(f"a barcode needs at least {4 * CELLS} x {4 * CELLS} pixels, got {height=} {width=}")
    bits = _bits(1, 1) + _bits(0, 1) + _bits(1, 1) + _bits(0, 1)
    bits += _bits(episode, _EPISODE_BITS) + _bits(frame, _FRAME_BITS) + _bits(_check(episode, frame), _CHECK_BITS)
    board = np.asarray(bits, np.uint8).reshape(CELLS, CELLS)
    rows = np.arange(height) * CELLS // height
    columns = np.arange(width) * CELLS // width
    # 24 and 232, not 0 and 255: headroom for ringing and for limited-range YUV.
    grey = np.where(board[np.ix_(rows, columns)], np.uint8(232), np.uint8(24))
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def read_barcode(picture: NDArray[Any], *, full_scale: float = 255.0) -> Barcode:
    """Read a barcode back from a decoded picture (H, W), (H, W, 1) or (H, W, 3).

    Raises:
        DamagedData: the picture holds no barcode, or one whose checksum is wrong.
    """
    grey = picture.astype(np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    height, width = grey.shape
    edges_y = [round(i * height / CELLS) for i in range(CELLS + 1)]
    edges_x = [round(i * width / CELLS) for i in range(CELLS + 1)]
    bits = []
    for row in range(CELLS):
        for column in range(CELLS):
            cell = grey[edges_y[row] : edges_y[row + 1], edges_x[column] : edges_x[column + 1]]
            # The middle half of the cell: block edges ring after lossy coding.
            inset_y, inset_x = cell.shape[0] // 4, cell.shape[1] // 4
            middle = cell[inset_y : cell.shape[0] - inset_y, inset_x : cell.shape[1] - inset_x]
            bits.append(int(middle.mean() > full_scale / 2))
    anchors, rest = bits[:_ANCHORS], bits[_ANCHORS:]
    episode = _number(rest[:_EPISODE_BITS])
    frame = _number(rest[_EPISODE_BITS : _EPISODE_BITS + _FRAME_BITS])
    if anchors != [1, 0, 1, 0] or _number(rest[-_CHECK_BITS:]) != _check(episode, frame):
        raise DamagedData("picture", "holds no readable barcode.")
    return Barcode(episode, frame)


def barcode_video(
    path: Path,
    barcodes: list[Barcode],
    *,
    rate_hz: Fraction = Fraction(30),
    codec: str = "libx264",
    gop: int = 12,
    height: int = 64,
    width: int = 64,
) -> None:
    """Write a video whose frames say which frame they are: several episodes in a row make a packed file."""
    pictures = (barcode_picture(code.episode, code.frame, height=height, width=width) for code in barcodes)
    encode_video(path, pictures, rate_hz=rate_hz, codec=codec, gop=gop, crf=10)


def _check(episode: int, frame: int) -> int:
    return zlib.crc32(f"{episode}/{frame}".encode()) & 0xFFFF


def _bits(number: int, count: int) -> list[int]:
    return [(number >> (count - 1 - i)) & 1 for i in range(count)]


def _number(bits: list[int]) -> int:
    value = 0
    for bit in bits:
        value = value * 2 + bit
    return value
