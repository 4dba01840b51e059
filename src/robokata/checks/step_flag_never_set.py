"""A flag of the first or the last step that is never set, or set at another step.

What it finds:
    Episodes whose `is_first` is not true at their first step, or whose `is_last` is not true at their last one, or
    that set either elsewhere; flags of an end (`is_terminal`, `done`) that no episode of the dataset ever sets.

Why it hurts:
    Loaders cut streams of steps into episodes by `is_first` and `is_last`, and mask what lies behind the end: without
    them windows run from one episode into the next. A value function that never sees an end bootstraps past it.

Example:
    The published conversion of BridgeData holds `is_last` in every step and true in none, in 50 of 50 episodes.

Limits:
    `is_terminal` and `done` may rightly stay false in an episode that was cut off: they are told only where no episode
    sets them, as a property to know. Flags of success are left alone: a failure has none.

Repair:
    Write the flags from the number of the step. It does not change what the robot did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues

NEEDS: Sequence[Need] = ()

_PLACES = {"is_first": "first", "is_last": "last"}
_ENDS = ("is_terminal", "terminal", "terminals", "done", "dones", "terminated")


class Flag(NamedTuple):
    """One flag of one episode."""

    stream: str
    word: str
    """Last word of its name: what it is a flag of."""
    is_at_place: bool
    """True where the step that it is named after has it; for flags of an end, where any step has it."""
    elsewhere: int
    """Other steps that have it."""


def gather(episode: Episode) -> tuple[Flag, ...]:
    """Where each flag of a first step, a last step and an end is set."""
    flags = []
    for stream in episode.streams.values():
        word = re.split(r"[^A-Za-z_]+", stream.name)[-1]
        if word not in (*_PLACES, *_ENDS) or not stream.is_numeric or not len(stream):
            continue
        try:
            is_set = stream.table[:, 0] != 0
        except DamagedData:  # unreadable_data names the stream
            continue
        if word in _PLACES:
            place = 0 if _PLACES[word] == "first" else len(is_set) - 1
            flags.append(Flag(stream.name, word, bool(is_set[place]), int(is_set.sum()) - int(is_set[place])))
        else:
            flags.append(Flag(stream.name, word, bool(is_set.any()), 0))
    return tuple(flags)


def judge(rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
    """One finding per flag and kind of error, however many episodes have it. Exact: there are no thresholds."""
    flags: dict[str, list[tuple[str, Flag]]] = {}
    for episode, value in rows:
        for flag in value if isinstance(value, tuple) else ():
            flags.setdefault(flag.stream, []).append((episode, flag))
    if not flags:
        yield Abstention("no stream is a flag of a first or last step, or of an end")
    for found in flags.values():
        absent = [episode for episode, flag in found if not flag.is_at_place]
        stray = [episode for episode, flag in found if flag.elsewhere]
        flag = found[0][1]
        if flag.word in _PLACES:
            place = f"at the {_PLACES[flag.word]} step"
            yield from _told(flag, f"is not true {place}", absent, len(found), Level.WARNING)
            yield from _told(flag, f"is true at other steps than {place[3:]}", stray, len(found), Level.WARNING)
        elif len(absent) == len(found):
            yield from _told(flag, "is never true", absent, len(found), Level.INFO)


def _told(flag: Flag, said: str, episodes: Sequence[str], of: int, level: Level) -> Iterator[Finding]:
    if not episodes:
        return
    where = f"in {len(episodes)} of {of} episodes" + ("" if len(episodes) == of else f", first {episodes[0]}")
    yield Finding(
        level=level,
        message=f"{flag.stream} {said} {where}",
        episode=episodes[0] if len(episodes) < of or of == 1 else None,
        stream=flag.stream,
        measured=len(episodes),
        expected=0,
        unit="episodes",
        repair="write the flag from the number of the step, or leave it out: a loader that trusts it is misled",
    )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Give every episode an `is_last`, and one (`magnitude` of them, from 1 on) of them one that is never true."""
    episodes = list(source.episodes.values())
    count = min(len(episodes), max(1, round(magnitude))) if magnitude > 0 else 0
    filled = [at for at, episode in enumerate(episodes) if episode.streams]
    chosen = set(rng.permutation(to_plant_into(filled, "episode with a stream"))[:count].tolist())
    for at in filled:
        episode = episodes[at]
        clock = next(iter(episode.streams.values())).clock
        flags = np.zeros(len(clock), bool)
        flags[len(flags) - 1 :] = at not in chosen
        stream = Stream("is_last", Kind.TENSOR, Role.ENDING, clock, ArrayValues(flags))
        episodes[at] = replace(episode.with_stream(stream), ref=None) if count else episode
    return EpisodeList(episodes, source.facts())
