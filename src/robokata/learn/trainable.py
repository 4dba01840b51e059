"""What a policy that can be trained says of its training, and what somebody else's training is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robokata.core.leaf_kinds import trainable_policy
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.actions import Frame
from robokata.loading.features import NO_NOISE, Noise

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Habits:
    """How a policy is trained where nobody says otherwise."""

    inputs: tuple[str, ...]
    """Streams of numbers that it uses where the data has them."""
    sees_pictures: bool
    actions: tuple[str, ...] = ("action.tip_pose", "action")
    """Streams that it learns: the first that the data has."""
    frame: Frame = Frame.TIP
    seen_from_tip: tuple[str, ...] = ()
    chunk_steps: int = 16
    rate_hz: float = 20.0
    history_s: tuple[float, ...] = (0.0,)
    every_s: float = 0.05
    picture_px: int = 128
    execute_steps: int = 8
    """Actions of a chunk that are executed before the next look."""
    batch_size: int = 64
    steps: int = 4000
    learning_rate: float = 5e-4
    weight_decay: float = 1e-3
    warmup_steps: int = 100
    ema_decay: float = 0.995
    noise: Noise = NO_NOISE
    options: Mapping[str, Any] = field(default_factory=dict)
    """Every option that it knows, with its default. Two are obeyed by the loop: `shift`, the largest random shift of a
    picture as a share of its side, and `colour`, the largest random change of brightness and contrast as a share."""


@dataclass(frozen=True)
class ForeignJob:
    """A training that somebody else's code does."""

    spec: TrainingSpec
    out: Path
    seed: int
    steps: int | None
    device: str
    told: Callable[[str], None]
    """Told every line that the other code prints."""
    batch_size: int | None = None
    learning_rate: float | None = None
    threads: int | None = None
    resume: bool = False
    """Go on from what `out` holds of the same training."""


def habits_of(policy: str) -> Habits:
    """How a policy is trained where nobody says otherwise.

    Raises:
        UnknownName: there is no such policy, or it cannot be trained.
    """
    habits: Habits = trainable_policy(policy).HABITS
    return habits
