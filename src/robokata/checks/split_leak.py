"""Episodes of one split that are in another split too.

What it finds:
    Episodes whose recording is also in another split: bit for bit or nearly, and episodes that were generated
    from an ancestor which another split holds or was generated from as well. Each leaked episode of the
    smaller split is reported with its twin.

Why it hurts:
    A validation score over training episodes measures memory. Checkpoints are chosen, and papers written,
    by a number that says nothing about a new scene.

Example:
    In a published excerpt of BridgeData V2 the 25 validation records are the 25 training records, in another
    order; CALVIN's ABCD training set held 4 validation frames.

Limits:
    Abstains where episodes name no split, or one only. Sees copies and declared ancestors (by their content
    where the declaration holds a digest, so that ids may change; through episodes that are in no split too);
    two attempts at one scene by one operator on one day, which leak too, are not copies and are not reported. Episodes
    below ten steps, without motion or without numbers are compared for exact copies only.

Repair:
    Drop the leaked episodes from the smaller split, or split again by scene or session; `kata curate
    --families move` moves each family as a whole. Neither changes what the robot would have done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robokata.checks._appended import noisy_copy, with_appended
from robokata.core.ancestry import ancestry_of
from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, whole_span
from robokata.core.fingerprint import Fingerprint, Kin, fingerprint_of, kin_among
from robokata.core.lineage import DIGITS, digest_in, identity_of
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Role
from robokata.core.values import ArrayValues
from robokata.geometry.channels import listed

NEEDS: Sequence[Need] = ()

_MOST_NAMES = 24
"""Episodes of a group that a message names: two lines of a terminal. `also` holds them all."""


class Member(NamedTuple):
    """An episode of a split: what it is, and what it was made from."""

    episode: str
    split: str | None
    fingerprint: Fingerprint
    made_from: tuple[str, ...]
    duration_s: float | None

    @property
    def name(self) -> str:
        """What its descendants call it: `geometry.ancestry.name_of`."""
        digest = self.fingerprint.digest
        return self.episode if digest is None else f"{self.episode}@{digest.hex()[:DIGITS]}"


class _Leak(NamedTuple):
    """How an episode leaks; those that leak in one way are one finding."""

    twin: str
    """Where it leaks from: an episode of a larger split."""
    twin_split: str | None
    ancestor: str | None
    """What both were made from; None for copies."""
    apart_share: float | None
    """How far copies are apart, 0 for exact ones; None for relatives."""


def gather(episode: Episode) -> Member:
    """The episode's split, ancestors and fingerprint; one in no split may still tie two others together."""
    origin = episode.origin
    return Member(episode.id, origin.split, fingerprint_of(episode), origin.made_from, episode.duration_s)


def judge(
    rows: Sequence[Gathered],
    facts: Facts,
    *,
    # The same two limits as in duplicate_episode, for the same reasons: separate attempts at one task differ by 0.59
    # of their motion or more, copies with 3 % noise and 5 % time-warp by 0.19 at most.
    near_below_share: float = 0.2,
    # Scripted repeats of one reset are all equally close: they stay silent.
    near_below_typical_share: float = 0.2,
) -> Iterator[Verdict]:
    """One finding per recording, and per ancestor, that leaks out of a larger split."""
    everyone = [row.value for row in rows if isinstance(row.value, Member)]
    members = [member for member in everyone if member.split is not None]
    sizes = Counter(str(member.split) for member in members)
    if len(sizes) < 2:
        why = f"all episodes are in the split {next(iter(sizes))!r}" if sizes else "no episode names its split"
        yield Abstention(f"{why}: there is nothing to leak into")
        return
    # The larger split is the one to train on; of equal ones, the one that comes first.
    rank = {split: place for place, (split, _) in enumerate(sizes.most_common())}
    leaks: dict[int, _Leak] = {}
    groups = kin_among(
        [member.fingerprint for member in members],
        near_below_share=near_below_share,
        near_below_typical_share=near_below_typical_share,
    )
    for group in groups:
        leaks.update(_leaks(members, group, rank))
    for place, leak in _relatives(members, everyone, rank).items():
        leaks.setdefault(place, leak)
    together: dict[_Leak, list[Member]] = {}
    for place in sorted(leaks):
        together.setdefault(leaks[place], []).append(members[place])
    for leak, mine in together.items():
        yield _finding(mine, leak)


def _leaks(members: Sequence[Member], group: Kin, rank: Mapping[str, int]) -> dict[int, _Leak]:
    """Leaks of one group of copies, by the place of the leaked episode."""
    found = {}
    for place in group.members:
        mine = members[place]
        larger = [members[other] for other in group.members if _before(members[other], mine, rank)]
        if larger:
            same = [other for other in larger if other.fingerprint.digest == mine.fingerprint.digest]
            # The one to train on: of a recording in three splits, both leaks name it.
            twin = min(same or larger, key=lambda other: rank[str(other.split)])
            found[place] = _Leak(twin.episode, twin.split, None, 0.0 if same else group.apart_share)
    return found


def _relatives(members: Sequence[Member], everyone: Sequence[Member], rank: Mapping[str, int]) -> dict[int, _Leak]:
    """Leaks of episodes that share an ancestor with a larger split, or have one there."""
    if not any(member.made_from for member in everyone):
        return {}
    parents: dict[str, tuple[str, ...]] = {}
    for member in everyone:
        for known_as in (member.episode, identity_of(member.name)):
            parents[known_as] = (*parents.get(known_as, ()), *member.made_from)
    lines = [_line_of(member, parents) for member in members]
    held: dict[str, Member] = {}
    for member, line in sorted(zip(members, lines, strict=True), key=lambda pair: rank[str(pair[0].split)]):
        for ancestor in line:
            held.setdefault(ancestor, member)
    found = {}
    for place, (mine, line) in enumerate(zip(members, lines, strict=True)):
        shared = [name for name in line if _before(held[name], mine, rank)]
        if shared:
            kin = held[shared[0]]
            found[place] = _Leak(kin.episode, kin.split, line[shared[0]], None)
    return found


def _line_of(member: Member, parents: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The episode and all its ancestors, nearest first: what each is known by -> its name for people.

    A name `id@digest` is the recording of this digest wherever it lies, and no episode that happens to have its id.
    """
    line = {member.episode: member.episode, identity_of(member.name): member.episode}
    left = list(line)
    while left:
        for name in parents.get(left.pop(0), ()):
            known_as = identity_of(name)
            if known_as not in line:
                line[known_as] = name.rpartition("@")[0] if digest_in(name) else name
                left.append(known_as)
    return line


def _before(one: Member, other: Member, rank: Mapping[str, int]) -> bool:
    return rank[str(one.split)] < rank[str(other.split)]


def _finding(mine: Sequence[Member], leak: _Leak) -> Finding:
    names = [member.episode for member in mine]
    splits = listed([repr(split) for split in dict.fromkeys(member.split for member in mine)])
    who = f"episodes {listed(names, most=_MOST_NAMES)} " if len(names) > 1 else ""
    be = "are" if who else "is"
    source = f"episode {leak.twin} in split {leak.twin_split!r}"
    if leak.ancestor is not None:
        descend = "descend" if who else "descends"
        message = f"{who}{descend} from {leak.ancestor}, as does {source}, and {be} in {splits}"
    else:
        how = "bit for bit" if not leak.apart_share else f"to within {100 * leak.apart_share:.1f} % of its own motion"
        message = f"{who}{be} the recording of {source}, {how}, and {be} in {splits} too"
    return Finding(
        level=Level.WARNING if leak.apart_share else Level.ERROR,
        message=message,
        episode=names[0],
        also=tuple(names[1:]),
        twin=leak.twin,
        spans=whole_span(mine[0].duration_s),
        measured=leak.apart_share,
        unit=None if leak.apart_share is None else "share",
        repair=f"drop {'them' if who else 'it'} from split {splits}, or split again by scene or session",
    )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Put episodes of the largest split into the smallest: `magnitude` of them; below 1, one copy with noise.

    Half are exact copies, half are descendants: another motion (the original's, backwards) that names the original as
    what it was made from. The noise is (1 - magnitude) * 30 % of each channel's range. A dataset of one split gets a
    second one.
    """
    sizes = Counter(str(e.origin.split) for e in to_plant_into(source.episodes.values(), "episode"))
    order = [split for split, _ in sizes.most_common()]
    inside = [episode for episode in source.episodes.values() if str(episode.origin.split) == order[0]]
    chosen = inside[int(rng.integers(len(inside)))]
    for _ in range(0 if magnitude <= 0 else max(1, round(magnitude))):
        is_descendant = magnitude >= 1 and rng.random() < 0.5
        planted = (
            _descendant(chosen) if is_descendant else noisy_copy(chosen, rng, noise_share=0.3 * max(0.0, 1 - magnitude))
        )
        source = with_appended(source, planted, split=order[-1] if len(order) > 1 else "held_out")
    return source


def _descendant(episode: Episode) -> Episode:
    """The motion backwards, and where it comes from."""
    made = replace(episode, origin=replace(episode.origin, made_from=ancestry_of(episode)), ref=None)
    for stream in list(episode.numeric(Role.STATE, Role.ACTION)):
        made = made.with_stream(stream.with_values(ArrayValues(np.asarray(stream.values[:])[::-1].copy())))
    return made
