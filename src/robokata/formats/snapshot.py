"""Snapshots that `kata snapshot` keeps: the newest of a store, or the one whose list is named."""

from __future__ import annotations

from pathlib import Path

from robokata.core.errors import NotADataset
from robokata.core.source import Source
from robokata.store.resolve import is_snapshot, open_snapshot

LOOKS_FOR = "a folder with robokata_store.json, or snapshots/<id>.json in one"


def sniff(path: Path) -> float:
    """1 for a store and for the list of a snapshot in it, else 0."""
    return 1.0 if "@" not in path.name and is_snapshot(str(path)) else 0.0


def read(path: Path) -> Source:
    """Open the snapshot at a path; episodes are opened when they are asked for.

    Raises:
        NotADataset: there is no store, or it is empty.
        DamagedData: the snapshot's list cannot be read.
    """
    if not is_snapshot(str(path)):
        raise NotADataset(f"{path}: holds no snapshot. Looked for {LOOKS_FOR}.")
    return open_snapshot(str(path))
