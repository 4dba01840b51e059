"""What files in `steps/` and `curators/` define."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robokata.core.episode import Episode
from robokata.core.selection import Described, Selection


@runtime_checkable
class StepLeaf(Protocol):
    """A file in `steps/` that changes episodes one by one: a pure function of episode, options and `seed`.

    Options are keyword-only, with a default wherever there is a sensible one: they become options of the command line
    and of a recipe. `seed` is named where chance has a part. What changes leaves a trace (`steps._trace.traced`).
    """

    REMOVES_EPISODES: bool = False
    """True where it can leave episodes out: a study then compares with a random subset of equal size."""

    def step(self, episode: Episode, **options: Any) -> Iterator[Episode]:
        """No episode out: dropped. One: changed. More: expanded.

        Raises:
            StepRefused: it must not be applied to this episode.
        """
        ...


@runtime_checkable
class DatasetStepLeaf(Protocol):
    """A file in `steps/` that leaves episodes out by looking at all of them: describe each, then choose."""

    def describe(self, episode: Episode, **options: Any) -> Any:
        """What `choose` needs of one episode; small, picklable. Options are keyword-only, with defaults."""
        ...

    def choose(self, rows: Sequence[Described], **options: Any) -> Selection:
        """The episodes that stay, whatever the order of the rows. Options, and `seed`, are keyword-only."""
        ...


@runtime_checkable
class CuratorLeaf(Protocol):
    """A file in `curators/`: which `keep` episodes are worth training on."""

    def describe(self, episode: Episode, **options: Any) -> Any:
        """What `choose` needs of one episode; small, picklable. Options are keyword-only, with defaults."""
        ...

    def choose(self, rows: Sequence[Described], *, keep: int, rng: np.random.Generator, **options: Any) -> Selection:
        """`keep` of the episodes, whatever the order of the rows. Further options are keyword-only, with defaults."""
        ...
