"""Batches for the network: drawn, made noisy and shifted in the order's own time, so that step n is always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.require import require
from robokata.learn.image_augmentation import as_net_pictures
from robokata.learn.net import NetInput, NetTarget
from robokata.loading.codec import Codec
from robokata.loading.features import NO_NOISE, Noise
from robokata.loading.feed import Batch, Feed
from robokata.loading.order import Order

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
    colour_share: float = 0.0


class BatchMaker:
    """Makes batch after batch. A class, because it holds the order's place."""

    def __init__(
        self,
        feed: Feed,
        codec: Codec,
        order: Order,
        *,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        device: str = "cpu",
    ) -> None:
        self.feed, self.codec, self.order = feed, codec, order
        self._device = None if device == "cpu" else device
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
        augment = self.augmentation
        pictures = as_net_pictures(
            batch.pictures,
            batch.has_picture,
            cameras,
            rng=rng,
            shift_px=augment.shift_px,
            colour_share=augment.colour_share,
            device=self._device,
        )
        has = np.stack([batch.has_picture[name] for name in cameras], axis=1)
        return pictures, torch.from_numpy(has)


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
        seen = as_net_pictures(
            {name: pictures.get(name, blank)[None] for name in cameras},
            {name: has[:, place] for place, name in enumerate(cameras)},
            cameras,
        )
    return NetInput(
        torch.tensor([body]),
        torch.from_numpy(np.nan_to_num(padded).astype(np.float32)),
        torch.from_numpy(is_feature),
        seen,
        torch.from_numpy(has),
        (text,),
    )
