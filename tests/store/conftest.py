"""A small dataset in files, and a store to keep it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from makers import aloha_hdf5
from robokata.core.detection import open_source
from robokata.core.source import Source
from robokata.store.commit import Wish, make_snapshot
from robokata.store.resolve import SnapshotSource, open_snapshot
from robokata.store.store import open_store

WHOLE = Wish()
Keep = Callable[..., SnapshotSource]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Four episodes of a bimanual robot, one HDF5 file each."""
    return aloha_hdf5.make(tmp_path / "recorded", episodes=4, steps=12)


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Make a snapshot in the store of this test and open it."""

    def keep(source: Source | Path, wish: Wish = WHOLE, *, store: str = str(tmp_path / "store")) -> SnapshotSource:
        opened = open_source(source) if isinstance(source, Path) else source
        record = make_snapshot(open_store(store, is_new=True), opened, wish)
        return open_snapshot(f"{store}@{record.id}")

    return keep
