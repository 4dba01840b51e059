"""A store of one materialised snapshot, made of a LeRobot dataset with a barcode camera."""

from __future__ import annotations

from pathlib import Path

from makers import lerobot_v3
from robokata.core.detection import open_source
from robokata.store.commit import Wish, make_snapshot
from robokata.store.store import open_store

FILES = "**/*"


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """The store; copied, so that it can be moved and damaged alone."""
    source = open_source(lerobot_v3.make(root / "source", episodes=episodes, steps=steps, seed=seed))
    make_snapshot(open_store(str(root / "store"), is_new=True), source, Wish(is_materialised=True))
    return root / "store"
