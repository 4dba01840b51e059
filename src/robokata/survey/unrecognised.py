"""Files of a folder of recordings that are no recording of the format that it was opened as."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from robokata.core.source import EpisodeRow

_DESCRIPTIONS = (
    "readme",
    "license",
    "licence",
    "notice",
    "citation",
    "manifest",
    "metadata.yaml",  # rosbag2
    "dataset_info.json",  # TFDS
    "features.json",
    "dataset_statistics",
)
"""Beginnings of names, in small letters, of files that describe a folder and hold no data."""


def unrecognised_files(path: Path, rows: Sequence[EpisodeRow]) -> tuple[str, ...]:
    """Names of files that lie beside the files of the episodes and belong to none of them.

    Only for formats whose datasets are folders of recordings (`IS_FOLDER_OF_FILES`): a dataset with a layout of its
    own has files besides those that its episodes name.
    """
    own = {row.file for row in rows}
    if not path.is_dir() or not own or not all(name and (path / name).is_file() and "/" not in name for name in own):
        return ()
    with os.scandir(path) as entries:
        others = sorted(entry.name for entry in entries if entry.is_file() and entry.name not in own)
    return tuple(name for name in others if not name.startswith(".") and not _describes(name))


def _describes(name: str) -> bool:
    return name.lower().startswith(_DESCRIPTIONS) or name.lower().endswith((".md", ".receipt.json"))
