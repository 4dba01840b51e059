"""Pictures for the network: moved, recoloured and turned into numbers where the network runs.

On the CPU in one pass over the pixels, because it is what making a batch costs: passes over 128 pictures of float32
each go through memory, and together took a third of the processor time of a training step. A picture of 128 x 128
stays in the cache. For a GPU the bytes travel, a quarter of what floats would be, and the GPU does the rest: one core
makes 25 batches of 64 pictures per second, and a GPU trains on more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", extra="learn")


class _Changes(NamedTuple):
    """What is done to B x V pictures."""

    moves: NDArray[np.int64]
    """Rows down and columns right that each pixel is taken from, (B, V, 2)."""
    factor: NDArray[np.float32]
    """(B, V, 3), of a pixel's value 0..255."""
    term: NDArray[np.float32]
    """(B, V, 3), added to it."""


def as_net_pictures(
    pictures: Mapping[str, NDArray[np.uint8]],
    has_picture: Mapping[str, NDArray[np.bool_]],
    cameras: Sequence[str],
    *,
    rng: np.random.Generator | None = None,
    shift_px: int = 0,
    colour_share: float = 0.0,
    device: str | None = None,
) -> torch.Tensor:
    """Pictures of each camera (B, px, px, 3) uint8 as (B, V, 3, px, px) float32, -1 black, 1 white, 0 where absent.

    With `rng`, every picture is moved by its own random whole number of pixels, its edge repeated (Kostrikov et al.
    2020, DrQ), and its contrast, colour balance and brightness change by up to `colour_share`. With `device` they are
    made and returned there; the numbers are the same.
    """
    changes = _changes(len(next(iter(pictures.values()))), len(cameras), rng, shift_px, colour_share)
    if device is None:
        return _in_one_pass(pictures, has_picture, cameras, changes)
    return _on_device(pictures, has_picture, cameras, changes, device)


def _changes(count: int, cameras: int, rng: np.random.Generator | None, shift_px: int, colour_share: float) -> _Changes:
    moves = np.zeros((count, cameras, 2), np.int64)
    gain, lift = np.ones((count, cameras, 3)), np.zeros((count, cameras, 1))
    if rng is not None and shift_px:
        moves = rng.integers(-shift_px, shift_px + 1, moves.shape)
    if rng is not None and colour_share > 0:
        gain = rng.uniform(1 - colour_share, 1 + colour_share, lift.shape) * rng.uniform(
            1 - colour_share / 3, 1 + colour_share / 3, gain.shape
        )
        lift = rng.uniform(-colour_share, colour_share, lift.shape)
    # value / 127.5 - 1, then * gain + lift, as one factor and one term.
    return _Changes(moves, (gain / 127.5).astype(np.float32), (lift - gain).astype(np.float32))


def _in_one_pass(
    pictures: Mapping[str, NDArray[np.uint8]],
    has_picture: Mapping[str, NDArray[np.bool_]],
    cameras: Sequence[str],
    changes: _Changes,
) -> torch.Tensor:
    moves, factor, term = changes
    count, px = next(iter(pictures.values())).shape[:2]
    # Channels last in memory: what the convolutions read fastest.
    out = np.zeros((count, len(cameras), px, px, 3), np.float32)
    for v, camera in enumerate(cameras):
        for place in np.flatnonzero(has_picture[camera]):
            seen = moved(pictures[camera][place], *moves[place, v])
            # A row of factors as long as the picture's: numpy is slow where the last axis has length 3.
            np.multiply(seen.reshape(px, -1), np.tile(factor[place, v], px), out=out[place, v].reshape(px, -1))
            out[place, v].reshape(px, -1)[...] += np.tile(term[place, v], px)
    return torch.from_numpy(out).permute(0, 1, 4, 2, 3)


def _on_device(
    pictures: Mapping[str, NDArray[np.uint8]],
    has_picture: Mapping[str, NDArray[np.bool_]],
    cameras: Sequence[str],
    changes: _Changes,
    device: str,
) -> torch.Tensor:
    pixels = torch.from_numpy(np.stack([pictures[name] for name in cameras], axis=1)).to(device)
    has = torch.from_numpy(np.stack([has_picture[name] for name in cameras], axis=1)).to(device)
    moves, factor, term = (torch.from_numpy(part).to(device) for part in changes)
    count, views, px = pixels.shape[:3]
    if changes.moves.any():
        at = (torch.arange(px, device=device) + moves[..., None]).clamp(0, px - 1)
        of, view = torch.arange(count, device=device)[:, None, None, None], torch.arange(views, device=device)
        pixels = pixels[of, view[:, None, None], at[:, :, 0, :, None], at[:, :, 1, None, :]]
    made = (pixels * factor[:, :, None, None] + term[:, :, None, None]) * has[..., None, None, None]
    return made.permute(0, 1, 4, 2, 3)


def moved(picture: NDArray[np.uint8], down_px: int, right_px: int) -> NDArray[np.uint8]:
    """A picture (px, px, 3) whose pixel (r, c) is that of (r + down, c + right), the nearest one beyond its edge."""
    if not down_px and not right_px:
        return picture
    height, width = picture.shape[:2]
    rows = picture[np.clip(np.arange(height) + down_px, 0, height - 1)]
    out = np.empty_like(picture)
    if right_px >= 0:
        out[:, : width - right_px] = rows[:, right_px:]
        out[:, width - right_px :] = rows[:, -1:]
    else:
        out[:, -right_px:] = rows[:, :right_px]
        out[:, :-right_px] = rows[:, :1]
    return out
