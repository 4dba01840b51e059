"""What a file in `policies/` defines, and how a policy is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class StreamNeed(NamedTuple):
    """One stream that a policy looks at."""

    name: str
    shape: tuple[int, ...]
    """Of one sample: (D,) numbers, or (H, W, 3) uint8 pictures (any H and W are accepted and resized)."""
    channels: tuple[str, ...] = ()
    """Name of each number, in the order that is expected; empty for pictures and where the data named none."""
    at_s: tuple[float, ...] = (0.0,)
    """When, in seconds relative to now: one array of `shape` for (0.0,), else (len(at_s), *shape), oldest first."""
    is_optional: bool = False
    """True where the policy does without it."""


@dataclass(frozen=True)
class PolicySpec:
    """What a policy wants to see, and what it answers, on one robot."""

    name: str
    needs: tuple[StreamNeed, ...]
    channels: tuple[str, ...]
    """Name of each number of an action, in order."""
    chunk_steps: int
    """Actions per answer."""
    rate_hz: float
    """Actions per second of a chunk."""
    action_stream: str = "action"
    """Which stream of the data the actions continue: `action` (joints), `action.tip_pose`."""
    execute_steps: int = 0
    """Actions of a chunk to send before asking again; 0 where the policy leaves it open (then half of the chunk)."""
    embodiments: tuple[str, ...] = ()
    """Robots that it knows; empty where it does not say."""
    wants_instruction: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What a server says about itself and has no other home."""


class Chunk(NamedTuple):
    """What a policy wants done next: the first action at the moment of the observation, then one per 1 / rate_hz."""

    actions: NDArray[np.float64]
    """(H, D), in the units of the stream that they continue."""
    channels: tuple[str, ...]
    rate_hz: float


Sensed = Mapping[str, Any]
"""Stream name -> array as `StreamNeed` says; `instruction`: str; `time_s`: float seconds since the reset, where known
(policies that blend overlapping chunks need it)."""


class Policy(Protocol):
    """Something that acts. Everything that goes wrong is a `PolicyFailed`."""

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        """What it wants and answers on this robot; None: on the one that it was made for (the first of several)."""
        ...

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        """A new attempt begins: forget the last one. `seed` fixes whatever the policy draws."""
        ...

    def act(self, observation: Sensed) -> Chunk:
        """What to do next.

        Raises:
            PolicyFailed: no answer that could be executed; `kind` says why.
        """
        ...

    def close(self) -> None: ...


class PolicyRef(NamedTuple):
    """Which policy to open, and how; small to pickle, so that every worker can open it."""

    where: str
    """Checkpoint folder, or the URL of a server."""
    device: str = "cpu"
    options: Mapping[str, str] = {}
    """Words of the leaf's own: `timeout_s`, `api_key`, `python`."""

    def public_options(self) -> dict[str, str]:
        """The options that may be written down."""
        return {name: value for name, value in self.options.items() if name != "api_key"}


@runtime_checkable
class PolicyLeaf(Protocol):
    """A file in `policies/`. One that can be trained also meets `TrainableLeaf` or `ForeignLeaf`."""

    def load(self, order: PolicyRef) -> Policy:
        """Open a policy.

        Raises:
            DamagedData: the checkpoint is not what its card promises.
            PolicyFailed: a server does not answer.
        """
        ...


@runtime_checkable
class TrainableLeaf(PolicyLeaf, Protocol):
    """A policy with a network that our loop trains. What it is told are nouns of `learn/` and `loading/`."""

    HABITS: Any
    """How it is trained where nobody says otherwise: `learn.trainable.Habits`."""

    def build(self, codec: Any, options: Mapping[str, Any]) -> Any:
        """The `learn.net.Net` for a `loading.codec.Codec`, with weights drawn from torch's generator."""
        ...


@runtime_checkable
class ForeignLeaf(PolicyLeaf, Protocol):
    """A policy that is trained by somebody else's code, in its own environment."""

    HABITS: Any
    """How it is trained where nobody says otherwise: `learn.trainable.Habits`."""

    def train(self, job: Any) -> Mapping[str, Any]:
        """Train as a `learn.trainable.ForeignJob` says, and leave a checkpoint that `load` opens; what made it comes
        back, as plain values.

        `last_loss` is among them, None where none was told.

        Raises:
            NotADataset: nothing was begun that could be resumed.
        """
        ...
