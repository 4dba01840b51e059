"""What an expander defines: the jobs that make new episodes out of old ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from robokata.core.source import Source


class ExpansionJobs(NamedTuple):
    """Jobs 0, 1, 2, ... of one expansion. Nothing is made yet."""

    job: Callable[[int], Any]
    """Attempt `number` as a `runtime.jobs.Made`: a picklable pure function, whose answer does not depend on which
    worker calls it. Its row says `success` and `reason`."""
    recipe: Mapping[str, Any]
    """What makes two runs the same: everything but how many episodes; plain values."""
    tries_per_episode: int | None = 10
    """Tries for each episode that is wanted, at most; None: no bound but `most_tries`."""
    most_tries: int | None = None
    """Tries after which the sources give no more; None: they always give more."""
    may_fall_short: bool = True
    """False: the expansion fails where it ends with fewer episodes than are wanted; else it fails only without any."""
    attempt: str = "tries"
    """What is tried, in the plural: `attempts at stack D0`."""
    advice: str = ""
    """What to change where too few succeed: a sentence."""
    versions: Mapping[str, str] = {}
    """Versions of libraries that the new episodes depend on, for the receipt."""

    def at_most(self, episodes: int) -> int:
        """Tries for so many episodes."""
        per_episode = None if self.tries_per_episode is None else self.tries_per_episode * max(episodes, 1)
        bounds = [bound for bound in (per_episode, self.most_tries) if bound is not None]
        return min(bounds, default=max(episodes, 1))


class ExpanderLeaf(Protocol):
    """A file in `expanders/`."""

    def plan(self, source: Source, *, keys: Sequence[str]) -> ExpansionJobs:
        """The jobs that make new episodes out of those of `source`. Options are keyword-only; `seed`, and `size_px`
        (height and width of pictures, or None) for what is rendered, are named where they have a part.

        Raises:
            RecipeRefused: an option cannot be obeyed.
            Unsupported: these episodes cannot be used.
        """
        ...


@runtime_checkable
class ValidatingExpanderLeaf(ExpanderLeaf, Protocol):
    """An expander that knows, before data are opened, which options no data could obey."""

    def validate(self, *, where: str) -> None:
        """Refuse such options; those of `plan` that matter are keyword-only. Messages begin with `where`.

        Raises:
            RecipeRefused: an option cannot be obeyed.
        """
        ...
