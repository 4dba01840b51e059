"""A training before its first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robokata.core.contracts import TrainableLeaf
from robokata.core.leaf_kinds import trainable_policy
from robokata.learn.trainable import Habits
from robokata.learn.training_spec import TrainingSpec
from robokata.training.data import Prepared
from robokata.training.settings import Settings


@dataclass(frozen=True)
class Job:
    """Everything that a training is made of, before its first step."""

    policy: str
    spec: TrainingSpec
    settings: Settings
    habits: Habits
    options: Mapping[str, Any]
    prepared: Prepared

    @property
    def leaf(self) -> TrainableLeaf:
        """The policy's module."""
        leaf = trainable_policy(self.policy)
        assert isinstance(leaf, TrainableLeaf), "planned by `plan`, which refuses others"
        return leaf
