"""Ids of episodes as names of files: RLDS ids hold slashes, and a snapshot may call an episode anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable

_LONGEST_NAME = 200
"""Characters of a file's name: file systems hold 255 bytes, and writing needs some beside."""


def file_name(episode_id: str, *, taken: Collection[str] = ()) -> str:
    """The id as a name that every file system takes; `taken` are names in lower case that it must differ from."""
    legal = re.sub(r"[^\w.,=+@ -]", "_", episode_id, flags=re.ASCII)[:_LONGEST_NAME].strip(" .") or "episode"
    name, again = legal, 2
    while name.lower() in taken:
        name, again = f"{legal}_{again}", again + 1
    return name


def lone_file_name(episode_id: str) -> str:
    """The id as a file's name where nobody knows the others: `a/b` and `a_b` must not meet in one file."""
    name = file_name(episode_id)
    return name if name == episode_id else f"{name}-{hashlib.sha256(episode_id.encode()).hexdigest()[:8]}"


def file_names(episode_ids: Iterable[str]) -> dict[str, str]:
    """The name of each id in a folder that holds them all, in the order in which they are written."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for episode_id in episode_ids:
        names[episode_id] = file_name(episode_id, taken=taken)
        taken.add(names[episode_id].lower())
    return names
