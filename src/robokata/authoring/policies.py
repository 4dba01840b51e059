"""Everything that a policy imports: `from robokata.authoring.policies import Chunk, PolicyRef, PolicySpec`.

A policy defines `load(order: PolicyRef) -> Policy`: an object with `hello`, `reset`, `act` and `close`. A policy with
a network that Robokata trains also defines

- `HABITS: Habits`: its default training settings;
- `build(codec, options) -> Net`: the network, with weights drawn from torch's generator.

A policy that other code trains defines `HABITS` and `train(job: ForeignJob)` instead of `build`. What needs torch
(`Net`, `open_trained`) is imported when it is first used. Entry point group: `robokata.policies`. Tests:
`robokata.testing.POLICY_CLAUSES`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from robokata.core.contracts import (
    Chunk,
    ForeignLeaf,
    Policy,
    PolicyLeaf,
    PolicyRef,
    PolicySpec,
    Sensed,
    StreamNeed,
    TrainableLeaf,
)
from robokata.core.errors import DamagedData, PolicyFailed, TrainingRefused
from robokata.learn.trainable import ForeignJob, Habits
from robokata.loading.actions import Frame
from robokata.loading.codec import Codec
from robokata.loading.features import Noise
from robokata.loading.window_spec import WindowSpec

if TYPE_CHECKING:
    from robokata.learn.net import Net
    from robokata.learn.torch_policy import open_trained

__all__ = [
    "Chunk",
    "Codec",
    "DamagedData",
    "ForeignJob",
    "ForeignLeaf",
    "Frame",
    "Habits",
    "Net",
    "Noise",
    "Policy",
    "PolicyFailed",
    "PolicyLeaf",
    "PolicyRef",
    "PolicySpec",
    "Sensed",
    "StreamNeed",
    "TrainableLeaf",
    "TrainingRefused",
    "WindowSpec",
    "open_trained",
]

_HEAVY = {
    "Net": "robokata.learn.net",
    "open_trained": "robokata.learn.torch_policy",
}
"""Names whose modules need torch."""


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HEAVY[name]), name)
