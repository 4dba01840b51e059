"""Snapshots as people name them: a store, `STORE@ID`, or the list of a snapshot."""

from __future__ import annotations

from pathlib import Path

from robokata.core.errors import NotADataset
from robokata.store.store import MARK, open_store
from robokata.store.writer import SnapshotSource


def is_snapshot(name: str) -> bool:
    """True for a URL, a store, `STORE@ID`, and the list of a snapshot in a store."""
    return "://" in name or _parts(name) is not None


def open_snapshot(name: str) -> SnapshotSource:
    """The snapshot that a name means; a store alone means its newest.

    Raises:
        NotADataset: there is no store, or no snapshot in it.
        UnknownName: the store has no such snapshot.
        DamagedData: it cannot be read.
    """
    where, wanted = _parts(name) or (name, "latest")
    store = open_store(where)
    if wanted == "latest" and store.latest() is None:
        raise NotADataset(f"{name}: the store holds no snapshot yet. Make one: kata snapshot DATASET --store {where}")
    return SnapshotSource(store, store.resolve(wanted) if len(wanted) != 64 else wanted)


def _parts(name: str) -> tuple[str, str] | None:
    """Store and snapshot, None where the name means neither."""
    if "://" in name:
        where, at, wanted = name.rpartition("@")
        return (where, wanted) if at and "/" not in wanted else (name, "latest")
    path = Path(name)
    if path.suffix == ".json" and path.parent.name == "snapshots" and _is_store(path.parent.parent):
        return str(path.parent.parent), path.stem
    if _is_store(path):
        return name, "latest"
    where, at, wanted = name.rpartition("@")
    return (where, wanted) if at and _is_store(Path(where)) else None


def _is_store(path: Path) -> bool:
    try:
        return (path / MARK).is_file()
    except (OSError, ValueError):
        return False
