"""Of each recording that is there several times, one: copies weigh a scene more than the others by accident."""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.episode import Episode
from robokata.core.fingerprint import Fingerprint, fingerprint_of, kin_among
from robokata.core.selection import Described, Selection, selection_of


def describe(episode: Episode) -> Fingerprint:
    """The episode's fingerprint.

    Raises:
        DamagedData: its numbers cannot be read.
    """
    return fingerprint_of(episode)


def choose(
    rows: Sequence[Described],
    *,
    # The limits of the check duplicate_episode, for the same reasons: separate attempts differ by 0.59 of their motion
    # or more, copies with 3 % noise and 5 % time-warp by 0.19 at most. 0 drops exact copies only.
    near_below_share: float = 0.2,
    near_below_typical_share: float = 0.2,
) -> Selection:
    """One episode of each group of copies: an original before what was made from another, then the least id."""
    ordered = sorted(rows, key=lambda row: (len(row.made_from), row.episode))
    prints = [row.value for row in ordered]
    groups = kin_among(prints, near_below_share=near_below_share, near_below_typical_share=near_below_typical_share)
    why: dict[str, str] = {}
    for group in groups:
        first, *others = (ordered[place].episode for place in group.members)
        why |= dict.fromkeys(others, f"is the recording of episode {first}")
    return selection_of(rows, (row.episode for row in rows if row.episode not in why), why_not=why)
