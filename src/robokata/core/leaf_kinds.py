"""Leaves of one kind of a shelf that holds several: formats that read, formats that write, steps of one episode."""

from __future__ import annotations

from collections.abc import Callable

from robokata.core.contracts import (
    DatasetStepLeaf,
    ForeignLeaf,
    ReadableFormatLeaf,
    StepLeaf,
    TrainableLeaf,
    WritableFormatLeaf,
)
from robokata.core.errors import LeafRefused, UnknownName
from robokata.core.shelf import shelf


def readable_format(name: str) -> ReadableFormatLeaf:
    """A format that can be read.

    Raises:
        UnknownName: there is none of this name.
    """
    leaf = shelf("formats")[name]
    if not isinstance(leaf, ReadableFormatLeaf):
        raise UnknownName("readable format", name, readable_formats())
    return leaf


def readable_formats() -> tuple[str, ...]:
    """Formats that can be read; the others are written for other programs, and nothing is recognised as them."""
    return _names("formats", lambda leaf: isinstance(leaf, ReadableFormatLeaf))


def writable_format(name: str) -> WritableFormatLeaf:
    """A format that can be written.

    Raises:
        UnknownName: there is none of this name.
    """
    leaf = shelf("formats").get(name)
    if not isinstance(leaf, WritableFormatLeaf):
        raise UnknownName("writable format", name, writable_formats())
    return leaf


def writable_formats() -> tuple[str, ...]:
    """Formats that can be written."""
    return _names("formats", lambda leaf: isinstance(leaf, WritableFormatLeaf))


def episode_step(name: str) -> StepLeaf:
    """A step that changes episodes one by one.

    Raises:
        UnknownName: there is no such step, or it looks at all episodes at once.
    """
    leaf = shelf("steps")[name]
    if not isinstance(leaf, StepLeaf):
        raise UnknownName("step of single episodes", name, _names("steps", lambda each: isinstance(each, StepLeaf)))
    return leaf


def refuse_silent_removal(step: str, episode: str) -> None:
    """Refuse a step that gave nothing for an episode without saying that it can.

    Raises:
        LeafRefused: it does not say `REMOVES_EPISODES = True`.
    """
    if not episode_step(step).REMOVES_EPISODES:
        raise LeafRefused(
            f"the step {step!r} gives nothing for episode {episode}, and does not say that it removes episodes: a "
            "study would not compare it with a random subset of equal size. Write REMOVES_EPISODES = True in its file, "
            "or raise StepRefused with the reason."
        )


def dataset_step(name: str) -> DatasetStepLeaf:
    """A step that leaves episodes out by looking at all of them.

    Raises:
        UnknownName: there is no such step, or it changes episodes one by one.
    """
    leaf = shelf("steps")[name]
    if not isinstance(leaf, DatasetStepLeaf):
        raise UnknownName("step of whole datasets", name, _names("steps", lambda e: isinstance(e, DatasetStepLeaf)))
    return leaf


def trainable_policy(name: str) -> TrainableLeaf | ForeignLeaf:
    """A policy that can be trained, by our loop or by somebody else's code.

    Raises:
        UnknownName: there is none of this name.
    """
    leaf = shelf("policies").get(name)
    if not isinstance(leaf, (TrainableLeaf, ForeignLeaf)):
        raise UnknownName("policy that can be trained", name, trainable_policies())
    return leaf


def trainable_policies() -> tuple[str, ...]:
    """Policies that can be trained, by our loop or by somebody else's code."""
    return _names("policies", lambda leaf: isinstance(leaf, (TrainableLeaf, ForeignLeaf)))


def _names(folder: str, is_wanted: Callable[[object], bool]) -> tuple[str, ...]:
    return tuple(name for name in shelf(folder).names() if is_wanted(shelf(folder)[name]))
