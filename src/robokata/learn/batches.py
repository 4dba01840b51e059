"""Batches for the network: drawn, made noisy and shifted in the order's own time, so that step n is always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require
from robokata.feed.codec import Codec
from robokata.feed.features import NO_NOISE, Noise
from robokata.feed.feed import Batch, Feed
from robokata.feed.order import Order
from robokata.learn.net import NetInput, NetTarget

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", extra="learn")


class Drawn(NamedTuple):
    """One step's batch, and where the order stands after it."""

    seen: NetInput
    wanted: NetTarget
    order: dict[str, int]


@dataclass(frozen=True)
class Augmentation:
    """What is changed at random."""

    noise: Noise = NO_NOISE
    shift_px: int = 0
    colour: float = 0.0


class BatchMaker:
    """Makes batch after batch. A class, because it holds the order's place."""

    def __init__(
        self, feed: Feed, codec: Codec, order: Order, *, batch_size: int, seed: int, augmentation: Augmentation
    ) -> None:
        self.feed, self.codec, self.order = feed, codec, order
        self.batch_size, self.seed, self.augmentation = batch_size, seed, augmentation
        self._empty = torch.zeros(batch_size, 0, 3, 1, 1)

    def __call__(self) -> Drawn:
        place = (self.order.epoch, self.order.position)
        samples = self.order.take(self.batch_size)
        # The place, not a running generator: whoever resumes here draws the same.
        rng = np.random.default_rng([self.seed, 1, *place])
        batch = self.feed.batch(samples, rng=rng)
        encoded = self.codec.encode(batch, rng=rng, noise=self.augmentation.noise)
        pictures, has_picture = self._pictures(batch, rng)
        seen = NetInput(
            torch.from_numpy(encoded.body),
            torch.from_numpy(encoded.features),
            torch.from_numpy(encoded.is_feature),
            pictures,
            has_picture,
            batch.instructions,
        )
        wanted = NetTarget(torch.from_numpy(encoded.targets), torch.from_numpy(encoded.is_target))
        return Drawn(seen, wanted, self.order.state_dict())

    def _pictures(self, batch: Batch, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        cameras = self.feed.spec.cameras
        if not cameras:
            return self._empty, torch.zeros(self.batch_size, 0, dtype=torch.bool)
        stacked = [shifted(batch.pictures[name], rng, at_most_px=self.augmentation.shift_px) for name in cameras]
        pictures = as_net_pictures(stacked)
        if self.augmentation.colour > 0:
            pictures = _recoloured(pictures, rng, self.augmentation.colour)
        has = torch.from_numpy(np.stack([batch.has_picture[name] for name in cameras], axis=1))
        return pictures * has[..., None, None, None], has


def as_net_pictures(per_camera: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """Pictures of each camera (B, px, px, 3) uint8 as (B, V, 3, px, px) float32 in -1..1."""
    stacked = torch.from_numpy(np.stack(per_camera, axis=1))
    return stacked.permute(0, 1, 4, 2, 3).to(torch.float32).mul_(2 / 255).sub_(1)


def shifted(pictures: NDArray[np.uint8], rng: np.random.Generator, *, at_most_px: int) -> NDArray[np.uint8]:
    """Every picture moved by its own random whole number of pixels, the edge repeated (Kostrikov et al. 2020, DrQ)."""
    if not at_most_px:
        return pictures
    count, height, width = pictures.shape[:3]
    moves = rng.integers(-at_most_px, at_most_px + 1, (count, 2))
    out = np.empty_like(pictures)
    rows, columns = np.arange(height), np.arange(width)
    for place, (down, right) in enumerate(moves):
        moved = pictures[place][np.clip(rows + down, 0, height - 1)]
        out[place] = moved[:, np.clip(columns + right, 0, width - 1)]
    return out


def _recoloured(pictures: torch.Tensor, rng: np.random.Generator, at_most: float) -> torch.Tensor:
    """Contrast, colour balance and brightness of every picture changed by up to a share."""
    size = pictures.shape[:2]
    gain = rng.uniform(1 - at_most, 1 + at_most, (*size, 1, 1, 1)) * rng.uniform(
        1 - at_most / 3, 1 + at_most / 3, (*size, 3, 1, 1)
    )
    lift = rng.uniform(-at_most, at_most, (*size, 1, 1, 1))
    return pictures * torch.from_numpy(gain.astype(np.float32)) + torch.from_numpy(lift.astype(np.float32))


def one_input(
    features: NDArray[Any],
    pictures: Mapping[str, NDArray[np.uint8]],
    cameras: Sequence[str],
    *,
    body: int,
    text: str,
    width: int,
) -> NetInput:
    """What the network sees when a policy acts: features (n, F) with NaN where absent, pictures (px, px, 3)."""
    padded = np.full((1, features.shape[0], width), np.nan)
    padded[0, :, : features.shape[1]] = features
    is_feature = ~np.isnan(padded)
    seen, has = torch.zeros(1, 0, 3, 1, 1), np.zeros((1, 0), bool)
    if cameras:
        px = next((picture.shape[0] for picture in pictures.values()), 1)
        blank = np.full((px, px, 3), 127, np.uint8)
        has = np.asarray([[name in pictures for name in cameras]])
        seen = as_net_pictures([pictures.get(name, blank)[None] for name in cameras])
        seen = seen * torch.from_numpy(has)[..., None, None, None]
    return NetInput(
        torch.tensor([body]),
        torch.from_numpy(np.nan_to_num(padded).astype(np.float32)),
        torch.from_numpy(is_feature),
        seen,
        torch.from_numpy(has),
        (text,),
    )
