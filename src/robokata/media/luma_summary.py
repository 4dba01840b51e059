"""One cheap look at every picture of a stream, shared by all checks that need one."""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, OtherPicture, Unsupported
from robokata.core.values import Pictures

GRID = 48
"""Samples per side of the brightness grid: enough to see a gripper move in a 640-pixel picture (13 px apart),
and 2.3 kB per picture, so that a 10-minute episode of three cameras stays below 130 MB."""


class Glance(NamedTuple):
    """Brightness grids of all pictures of a stream that could be decoded, and what follows from them."""

    grids: NDArray[np.uint8]
    """(T, H', W') samples of brightness, H', W' <= GRID."""
    mean: NDArray[np.float32]
    """(T,) mean brightness, 0..255."""
    spread: NDArray[np.float32]
    """(T,) standard deviation of the brightness inside each picture."""
    change: NDArray[np.float32]
    """(T - 1,) mean absolute difference of each picture's grid to the one before."""
    damage: str | None
    """Why decoding stopped before the last picture, None where it did not."""
    is_uneven: bool = False
    """True where it stopped at a picture of another size than the first, which is whole."""


_seen: weakref.WeakKeyDictionary[Pictures, Glance] = weakref.WeakKeyDictionary()


def glance(pictures: Pictures) -> Glance:
    """Look at every picture once. The result is kept as long as the pictures' object lives.

    Damage ends the look and is told in the result: the pictures before it still count.
    """
    known = _seen.get(pictures)
    if known is None:
        known = _seen[pictures] = _look(pictures)
    return known


def _look(pictures: Pictures) -> Glance:
    grids: list[NDArray[np.uint8]] = []
    damage, is_uneven = None, False
    try:
        for grid in pictures.luma(GRID):
            if grids and grid.shape != grids[0].shape:
                damage, is_uneven = f"picture {len(grids)} differs in size from the first", True
                break
            grids.append(grid)
    except OtherPicture as error:
        damage, is_uneven = str(error), True
    except (DamagedData, Unsupported) as error:
        damage = str(error)
    if not grids:
        empty = np.empty(0, np.float32)
        return Glance(np.empty((0, 0, 0), np.uint8), empty, empty, empty, damage, is_uneven)
    stack = np.stack(grids)
    flat = stack.reshape(len(stack), -1)
    change = np.empty(len(flat) - 1, np.float32)
    # In blocks: the int16 copy of a whole long episode would be larger than everything else together.
    for start in range(0, len(flat) - 1, 512):
        block = flat[start : start + 513].astype(np.int16)
        change[start : start + 512] = np.abs(np.diff(block, axis=0)).mean(axis=1)
    return Glance(
        stack,
        flat.mean(axis=1, dtype=np.float32).astype(np.float32),
        flat.std(axis=1, dtype=np.float32).astype(np.float32),
        change,
        damage,
        is_uneven,
    )
