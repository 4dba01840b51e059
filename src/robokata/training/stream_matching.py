"""Streams of several sources beside each other: one that would drop out in silence is refused before any training.

A mixture of robots may lack streams: a robot without a wrist camera is learnt from without one, and the training says
so. What is refused is a robot whose own measured state is there, under a name that the window does not take.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robokata.core.episode import Episode
from robokata.core.errors import TrainingRefused
from robokata.core.stream import Role
from robokata.loading.gather import Gathered
from robokata.loading.window_spec import WindowSpec

_SHOWN_STREAMS = 20


class Kind(NamedTuple):
    """Episodes of one source that have the same streams."""

    source: str
    """Path of the source."""
    episode: str
    """One of them."""
    numbers: tuple[str, ...]
    states: tuple[str, ...]
    """Those of the numbers that the robot measured of itself."""
    pictures: tuple[str, ...]

    def described(self) -> str:
        """Its streams in words."""
        numbers, pictures = (", ".join(names[:_SHOWN_STREAMS]) or "none" for names in (self.numbers, self.pictures))
        return f"{self.source} (episode {self.episode}) has numbers: {numbers}; pictures: {pictures}."


def kind_of(source: str, episode: Episode) -> Kind:
    """The kind of an episode."""
    return Kind(
        source,
        episode.id,
        tuple(stream.name for stream in episode.numeric()),
        tuple(stream.name for stream in episode.numeric(Role.STATE)),
        tuple(stream.name for stream in episode.pictures()),
    )


def refuse_mismatch(window: WindowSpec, kinds: Sequence[Kind]) -> None:
    """Do nothing where every kind of episode gives the window what it has.

    Raises:
        TrainingRefused: one has no action, or a stream under another spelling, or a measured state that is not taken.
    """
    for kind in kinds:
        lacking = [name for name in (window.action, *window.inputs) if name not in kind.numbers]
        lacking += [name for name in window.cameras if name not in kind.pictures]
        for name in lacking:
            lost = _lost(name, kind, window)
            if lost is None:
                continue
            others = [each for each in kinds if name in (*each.numbers, *each.pictures)]
            beside = f" {others[0].described()}" if others else ""
            raise TrainingRefused(
                f"{kind.source}: has no {name!r}, which is asked for{' beside other data' if others else ''}, and its "
                f"{lost!r} would not be learnt from.{beside} {kind.described()} If they are the same, write streams = "
                f"{{ {_quoted(name)} = {_quoted(lost)} }} in its [[source]]; else leave the source out, or name "
                "inputs, cameras and action that all have in [window]."
            )
        # An episode without action costs itself; a source without any would vanish.
        if not any(window.action in each.numbers for each in kinds if each.source == kind.source):
            raise TrainingRefused(
                f"{kind.source}: has no action {window.action!r}, so that nothing can be learnt from it. "
                f"{kind.described()} Name its action with streams = {{ {_quoted(window.action)} = ... }} in its "
                "[[source]], or leave the source out."
            )


def _lost(name: str, kind: Kind, window: WindowSpec) -> str | None:
    """The stream of this kind that would drop out for want of `name`, None where there is none."""
    taken = {window.action, *window.inputs, *window.cameras}
    unused = [each for each in (*kind.numbers, *kind.pictures) if each not in taken]
    alike = next((each for each in unused if _spelling(each) == _spelling(name)), None)
    if alike is not None:
        return alike
    has_state = any(each in window.inputs for each in kind.states)
    return kind.states[0] if name in window.inputs and kind.states and not has_state else None


def _spelling(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _quoted(name: str) -> str:
    return f'"{name}"'


def mapped(episode: Episode, streams: Mapping[str, str]) -> Episode:
    """The episode with some streams under other names: name -> what it is called in the data.

    Raises:
        TrainingRefused: the data has no such stream, or has one of the new name already.
    """
    if not streams:
        return episode
    kind = kind_of("its source", episode)
    for name, theirs in streams.items():
        if theirs not in episode.streams:
            raise TrainingRefused(f"streams maps {name!r} to {theirs!r}, which is not there: {kind.described()}")
        if name in episode.streams and name not in streams.values():
            raise TrainingRefused(f"streams maps {name!r} to {theirs!r}, but {name!r} is there too: {kind.described()}")
    back = {theirs: name for name, theirs in streams.items()}
    renamed = {back.get(name, name): stream for name, stream in episode.streams.items()}
    return replace(episode, streams={name: replace(stream, name=name) for name, stream in renamed.items()})


def note_lacking(path: str, episodes: Sequence[Gathered], window: WindowSpec) -> list[str]:
    """What some of a source's episodes lack: a sentence for the streams that as many of them lack."""
    counts = {name: sum(name not in each.inputs for each in episodes) for name in window.inputs}
    counts |= {name: sum(name not in each.frames for each in episodes) for name in window.cameras}
    return [
        f"{path}: {', '.join(n for n in counts if counts[n] == count)} absent in {count} of {len(episodes)} episodes, "
        "which are learnt from without"
        for count in sorted(set(counts.values()) - {0})
    ]


def note_copies(episodes: Sequence[Gathered]) -> str | None:
    """How many episodes are exact copies of others in all numbers that are learnt from; None where none is."""
    counts = Counter(_numbers_digest(each) for each in episodes)
    copies = sum(count - 1 for count in counts.values())
    if not copies:
        return None
    return (
        f"{copies} of {len(episodes)} episodes are exact copies of others in state and action: what they show counts "
        "as often as they come (kata curate --step drop_duplicate leaves copies out)"
    )


def _numbers_digest(episode: Gathered) -> bytes:
    digest = hashlib.sha256(repr(sorted(episode.tables)).encode())
    for name in sorted(episode.tables):
        digest.update(np.ascontiguousarray(episode.tables[name]).tobytes())
    return digest.digest()
