"""Append, merge, delete, subset, split and relabel: each gives a new list, and what did not change is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from robokata.core.errors import UnknownName, WriteRefused
from robokata.core.lineage import Relative, divided_by_family
from robokata.store.entry import Entry

_SHOWN = 5
"""Ids listed before "and n more"."""


def merged(entries: Sequence[Entry], added: Sequence[Entry], *, prefix: str = "") -> list[Entry]:
    """Both lists, whatever robots, rates and cameras they have. The same episode twice stays one.

    Raises:
        WriteRefused: an id means different episodes.
    """
    known = {entry.id: entry for entry in entries}
    named = [replace(entry, id=f"{prefix}{entry.id}") for entry in added]
    clash = [entry.id for entry in named if entry.id in known and known[entry.id].text != entry.text]
    if clash:
        more = f" and {len(clash) - _SHOWN} more" if len(clash) > _SHOWN else ""
        raise WriteRefused(
            f"{len(clash)} ids mean different episodes in both: {', '.join(clash[:_SHOWN])}{more}. "
            "Give the added ones other ids: --prefix new/"
        )
    return [*entries, *(entry for entry in named if entry.id not in known)]


def without(entries: Sequence[Entry], ids: Sequence[str]) -> list[Entry]:
    """The list without some episodes; older snapshots keep them.

    Raises:
        UnknownName: an id that the list does not have.
    """
    _must_be_known(entries, ids)
    gone = set(ids)
    return [entry for entry in entries if entry.id not in gone]


def relabelled(entries: Sequence[Entry], texts: Mapping[str, str]) -> list[Entry]:
    """The list with other instructions for some episodes.

    Raises:
        UnknownName: an id that the list does not have.
    """
    _must_be_known(entries, list(texts))
    return [e.told_that("instructions", [texts[e.id]]) if e.id in texts else e for e in entries]


def divided(
    entries: Sequence[Entry], relatives: Sequence[Relative], shares: Mapping[str, Fraction], *, seed: int = 0
) -> list[Entry]:
    """The list with every episode in a split; sessions and families stay whole. `relatives`: one for each entry.

    A validation split holds no scene of a training session, and nothing that was made from a training episode. Drawn
    by hash, not by counting: who is added or deleted moves no other family. The shares hold on average.

    Raises:
        WriteRefused: the shares do not add up to 1.
    """
    if sum(shares.values()) != 1 or any(share < 0 for share in shares.values()):
        total = float(sum(shares.values()))
        raise WriteRefused(f"the shares of the splits add up to {total:g}, not 1. Write train=0.8,val=0.2.")
    # A session is an ancestor of all its episodes; with the blank its name comes before every digest, and names them.
    kin = [
        relative._replace(made_from=(*relative.made_from, f" session {entry.row['session']}"))
        if entry.row["session"]
        else relative
        for entry, relative in zip(entries, relatives, strict=True)
    ]
    drawn = divided_by_family(kin, {name: float(share) for name, share in shares.items()}, seed=seed)
    return [entry.told_that("split", drawn[entry.id]) for entry in entries]


def common_facts(mine: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two datasets say of themselves as a whole: what they disagree on is said by neither."""
    return {name: mine[name] if mine.get(name) == other.get(name) else None for name in mine}


def _must_be_known(entries: Sequence[Entry], ids: Sequence[str]) -> None:
    known = {entry.id for entry in entries}
    unknown = next((each for each in ids if each not in known), None)
    if unknown is not None:
        raise UnknownName("episode", unknown, known)
