"""What a leaf of `policies/` defines so that `kata train` can train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from robokata.core.contracts import Policy, PolicyOrder
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.actions import Frame
from robokata.loading.codec import Codec
from robokata.loading.features import NO_NOISE, Noise

if TYPE_CHECKING:
    from robokata.learn.net import Net


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


class TrainableLeaf(Protocol):
    """A leaf with a network that our loop trains."""

    HABITS: Habits

    def build(self, codec: Codec, options: Mapping[str, Any]) -> Net:
        """The network, with weights drawn from torch's generator."""
        ...

    def load(self, order: PolicyOrder) -> Policy: ...


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


class ForeignLeaf(Protocol):
    """A leaf that is trained by somebody else's code, in its own environment."""

    def train(self, job: ForeignJob) -> Mapping[str, Any]:
        """Train, and leave a checkpoint that `load` opens; what made it comes back, as plain values.

        `last_loss` is among them, None where none was told.

        Raises:
            NotADataset: nothing was begun that could be resumed.
        """
        ...

    def load(self, order: PolicyOrder) -> Policy: ...
