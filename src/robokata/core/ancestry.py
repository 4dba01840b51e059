"""What an episode is called by its descendants."""

from __future__ import annotations

from robokata.core.episode import Episode
from robokata.core.fingerprint import fingerprint_of
from robokata.core.lineage import DIGITS


def name_of(episode: Episode) -> str:
    """The episode's name in every dataset: its id, and a digest of what state, action (or pictures) hold.

    An id alone is not one: file names and numbers begin anew in each dataset, and `episode-000005` of a generated set
    is another recording than the one of the set that it was generated from.

    Raises:
        DamagedData: its numbers cannot be read.
    """
    digest = fingerprint_of(episode).digest
    return episode.id if digest is None else f"{episode.id}@{digest.hex()[:DIGITS]}"


def ancestry_of(*parents: Episode) -> tuple[str, ...]:
    """What `origin.made_from` of an episode made from these must say: them and all that they were made from.

    Raises:
        DamagedData: the numbers of one cannot be read.
    """
    names = [name for parent in parents for name in (name_of(parent), *parent.origin.made_from)]
    return tuple(dict.fromkeys(names))
