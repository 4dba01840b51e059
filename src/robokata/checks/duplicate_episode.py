"""One recording that counts as several episodes.

What it finds:
    Episodes of one split that are copies of each other: bit for bit in state and action (in their pictures,
    where there are no numbers), or up to a little noise and changes of speed. Copies are grouped
    transitively, and each one after the first is reported. Copies in different splits are split_leak's.

Why it hurts:
    A doubled episode is a weight that nobody chose: the policy sees that attempt twice, success rates and
    task counts are inflated, and a later random split puts one copy on each side.

Example:
    Merging two downloads of one set, or resuming a recording that had already been saved, doubles episodes
    without any error: merge tools renumber the copies, so no index shows it.

Limits:
    Episodes below ten steps, without motion, or without numbers are compared for exact copies only. Repeats
    of a scripted motion from one reset are legitimate: they are reported only where they come closer than a
    small share of their own motion and of the usual distance in this dataset. A mirrored, cropped or
    reversed copy is not found. Only the first picture of each camera is compared beside the numbers.

Repair:
    Drop the copies, keep the first. Dropping does not change what the robot would have done in any episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from robokata.checks._appended import noisy_copy, with_appended
from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, whole_span
from robokata.core.fingerprint import Fingerprint, Kin, fingerprint_of, kin_among
from robokata.core.source import EpisodeList, Facts
from robokata.geometry.channels import listed

NEEDS: Sequence[Need] = ()

_MOST_NAMES = 24
"""Episodes of a group that a message names: two lines of a terminal. `also` holds them all."""


class Copyable(NamedTuple):
    """What tells whether an episode is a copy of another of its split."""

    fingerprint: Fingerprint
    split: str | None
    duration_s: float | None


def gather(episode: Episode) -> Copyable | Abstention:
    """The episode's fingerprint and split."""
    taken = fingerprint_of(episode)
    if taken.digest is None:
        return Abstention(str(taken.reason), episode.id)
    return Copyable(taken, episode.origin.split, episode.duration_s)


def judge(
    rows: Sequence[Gathered],
    facts: Facts,
    *,
    # 0.2 of the episode's own motion: separate attempts at one task differ by 0.59 or more (52 PushT, 6 Unitree G1 and
    # 5 GR1 episodes measured); copies of these with 3 % noise and 5 % time-warp differ by 0.19 at most.
    near_below_share: float = 0.2,
    # A fifth of the usual distance to another episode: scripted repeats of one reset are all equally close, so the
    # usual distance shrinks with them and they stay silent.
    near_below_typical_share: float = 0.2,
) -> Iterator[Verdict]:
    """One finding per recording that several episodes of a split hold, for each way in which they repeat it."""
    known = [(row.episode, row.value) for row in rows if isinstance(row.value, Copyable)]
    if len(known) < 2:
        yield Abstention("there are fewer than two episodes to compare")
        return
    for split in dict.fromkeys(value.split for _, value in known):
        mine = [(name, value) for name, value in known if value.split == split]
        groups = kin_among(
            [value.fingerprint for _, value in mine],
            near_below_share=near_below_share,
            near_below_typical_share=near_below_typical_share,
        )
        for group in groups:
            yield from _copies(mine, group)


class _Copy(NamedTuple):
    """In which way an episode repeats an earlier one; copies of one recording in one way are one finding."""

    first: int
    """Place of the earlier episode."""
    is_exact: bool
    is_under_other_pictures: bool


def _copies(mine: Sequence[tuple[str, Copyable]], group: Kin) -> Iterator[Finding]:
    copies: dict[_Copy, list[int]] = {}
    earlier: list[int] = []
    for place in group.members:
        if earlier:
            same = [e for e in earlier if mine[e][1].fingerprint.digest == mine[place][1].fingerprint.digest]
            first = (same or earlier)[0]
            looks = [mine[each][1].fingerprint.look for each in (place, first)]
            is_other = bool(same) and None not in looks and looks[0] != looks[1]
            copies.setdefault(_Copy(first, bool(same), is_other), []).append(place)
        earlier.append(place)
    for how, places in copies.items():
        yield _finding(mine, how, places, group)


def _finding(mine: Sequence[tuple[str, Copyable]], how: _Copy, places: Sequence[int], group: Kin) -> Finding:
    (episode, copy), (twin, _) = mine[places[0]], mine[how.first]
    names = [mine[place][0] for place in places]
    what = "the numbers" if copy.fingerprint.of == "numbers" else "the pictures"
    what += f" of {len(names)} episodes ({listed(names, most=_MOST_NAMES)})" if len(names) > 1 else ""
    if how.is_exact:
        message = f"{what} are the same as in episode {twin}, bit for bit"
        message += ", under different pictures" if how.is_under_other_pictures else ""
    else:
        message = f"{what} follow episode {twin} to within {100 * group.apart_share:.1f} % of their own motion"
    if len(group.members) > len(names) + 1:
        everyone = [mine[place][0] for place in group.members]
        message += f"; episodes {listed(everyone, most=_MOST_NAMES)} are one recording"
    return Finding(
        # Other pictures over the same numbers may be a re-rendered simulation: somebody's choice, not a contradiction.
        level=Level.ERROR if how.is_exact and not how.is_under_other_pictures else Level.WARNING,
        message=message,
        episode=episode,
        also=tuple(names[1:]),
        twin=twin,
        spans=whole_span(copy.duration_s),
        measured=0.0 if how.is_exact else group.apart_share,
        unit="share",
        repair=f"drop {'these episodes' if len(names) > 1 else 'this episode'} and keep {twin}",
    )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Append copies of one episode: `magnitude` exact ones, or below 1 one with (1 - magnitude) * 30 % noise."""
    keys = to_plant_into(source.keys(), "episode")
    chosen = source.episode(keys[int(rng.integers(len(keys)))])
    noise_share = 0.3 * max(0.0, 1 - magnitude)
    for _ in range(0 if magnitude <= 0 else max(1, round(magnitude))):
        copy = noisy_copy(chosen, rng, noise_share=noise_share)
        source = with_appended(source, copy, split=chosen.origin.split)
    return source
