"""Families of episodes: what descends from one demonstration belongs together, and never into two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from robokata.core.errors import SelectionRefused

DIGITS = 12
"""Hexadecimal digits of a name's digest: two of a million recordings share 48 bits with a chance of 1 in 500."""


def digest_in(name: str) -> str | None:
    """The digest that a name `id@digest` carries, None where it is a plain id."""
    _, is_named, digest = name.rpartition("@")
    is_digest = len(digest) == DIGITS and all(each in "0123456789abcdef" for each in digest)
    return digest if is_named and is_digest else None


def identity_of(name: str) -> str:
    """What is the same wherever a recording lies: its digest; its id where there is none."""
    return digest_in(name) or name


class Relative(NamedTuple):
    """What must be known of an episode to tell its family."""

    episode: str
    """Its id in its dataset."""
    name: str
    """Its name for its descendants, the same in every dataset: `geometry.ancestry.name_of`."""
    made_from: tuple[str, ...]
    """Names of all its ancestors; plain ids where a source only knows those."""
    split: str | None = None


def families_of(relatives: Sequence[Relative]) -> dict[str, str]:
    """Episode -> its family's name: episodes that share an ancestor, or are one's ancestor, directly or by others.

    An ancestor counts whether it is in the dataset or not. The name is the least of the family's, so that it does not
    depend on the order.
    """
    chief: dict[str, str] = {}

    def found(name: str) -> str:
        chief.setdefault(name, name)
        while chief[name] != name:
            chief[name] = chief[chief[name]]
            name = chief[name]
        return name

    # A name `id@digest` is one recording wherever it lies; a plain id means the episode of this dataset.
    by_id = {relative.episode: identity_of(relative.name) for relative in relatives}
    for relative in relatives:
        for ancestor in relative.made_from:
            first = found(identity_of(relative.name))
            second = found(by_id.get(ancestor, ancestor) if digest_in(ancestor) is None else identity_of(ancestor))
            chief[max(first, second)] = min(first, second)
    return {relative.episode: found(identity_of(relative.name)) for relative in relatives}


def torn_families(relatives: Sequence[Relative]) -> dict[str, list[Relative]]:
    """Families that are in more than one split, with those of their members that are in any."""
    families = families_of(relatives)
    members: dict[str, list[Relative]] = {}
    for relative in relatives:
        if relative.split is not None:
            members.setdefault(families[relative.episode], []).append(relative)
    return {name: kin for name, kin in members.items() if len({each.split for each in kin}) > 1}


def refuse_torn(relatives: Sequence[Relative]) -> None:
    """Do nothing where every family lies in one split.

    Raises:
        SelectionRefused: one does not; the message names it and two of its members.
    """
    torn = torn_families(relatives)
    if not torn:
        return
    kin = torn[min(torn)]
    one = kin[0]
    other = next(each for each in kin if each.split != one.split)
    raise SelectionRefused(
        f"{len(torn)} famil{'y' if len(torn) == 1 else 'ies'} would lie in several splits: episodes {one.episode} "
        f"({one.split}) and {other.episode} ({other.split}) descend from one demonstration. A score on one would "
        f'measure memory of the other. Say families = "move" (--families move) to move each family as a whole.'
    )


def moves_that_mend(relatives: Sequence[Relative]) -> Mapping[str, str]:
    """Episode -> the split that it must move to, so that every torn family is whole: where most of it is.

    Of equally large parts the one whose split is largest in the whole dataset takes the family: its score is not read.
    """
    sizes: dict[str, int] = {}
    for relative in relatives:
        if relative.split is not None:
            sizes[relative.split] = sizes.get(relative.split, 0) + 1
    moves: dict[str, str] = {}
    for kin in torn_families(relatives).values():
        splits = sorted({str(each.split) for each in kin})
        home = max(splits, key=lambda split: (sum(each.split == split for each in kin), sizes[split]))
        moves |= {each.episode: home for each in kin if each.split != home}
    return moves


def divided_by_family(relatives: Sequence[Relative], shares: Mapping[str, float], *, seed: int = 0) -> dict[str, str]:
    """Episode -> split, every family whole, drawn by the hash of its name.

    By hash, not by counting: a family stays in its split when others come or go; the shares hold on average.
    """
    out = {}
    for episode, family in families_of(relatives).items():
        left = int(hashlib.sha256(f"{seed}|{family}".encode()).hexdigest()[:13], 16) / 16**13
        for name, share in shares.items():
            out[episode] = name
            if left < share:
                break
            left -= share
    return out
