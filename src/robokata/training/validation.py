"""The loss on samples that are never learnt from: the same ones each time, without noise and augmentation."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from robokata.core.require import require
from robokata.learn.batches import Augmentation, BatchMaker
from robokata.learn.net import Net
from robokata.loading.codec import Codec
from robokata.loading.feed import Feed
from robokata.loading.order import Order
from robokata.training.settings import Settings

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", extra="learn")

_MOST_SAMPLES = 512
"""Enough that the mean over a validation split is not the scatter of a batch; a forward pass of some batches."""
_TIMES = 25
"""Points of the curve: with 512 samples each, a few per cent of the time of a training of usual length."""


def is_due(step: int, steps: int) -> bool:
    """True after steps at which the validation loss is measured: evenly spread, the last one included."""
    return step == steps or step % max(1, steps // _TIMES) == 0


def validation_loss(
    net: Net, feed: Feed, codec: Codec, settings: Settings, *, precision: AbstractContextManager[object]
) -> float:
    """Mean loss of the network as it stands."""
    size = min(settings.batch_size, len(feed))
    order = Order(np.ones(len(feed)), seed=0)
    maker = BatchMaker(feed, codec, order, batch_size=size, seed=0, augmentation=Augmentation(), device=settings.device)
    batches = -(-min(len(feed), _MOST_SAMPLES) // size)
    total = 0.0
    net.eval()
    try:
        # What a sampling decoder draws is the same each time, and what training draws is not touched.
        with torch.random.fork_rng(), torch.no_grad(), precision:
            torch.manual_seed(0)
            for _ in range(batches):
                drawn = maker()
                total += float(net.loss(drawn.seen.to(settings.device), drawn.wanted.to(settings.device)))
    finally:
        net.train()
    return total / batches
