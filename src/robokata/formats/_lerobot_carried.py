"""What LeRobot has no place for, beside each episode in meta/robokata: read and written by all versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from robokata.core.carry import MAX_BYTES, unpack
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, TooLarge
from robokata.formats._lerobot import hint_of
from robokata.formats._lerobot_facts import Later

FOLDER = "meta/robokata"


def carried_file(root: Path, number: int) -> Path:
    """Where the archive of one episode lies."""
    return root / FOLDER / f"episode_{number:06d}.npz"


def restored(root: Path, episode: Episode, features: Mapping[str, Mapping[str, Any]]) -> Episode:
    """The original of an episode that we wrote; an episode of another writer as it is.

    Raises:
        DamagedData: its archive is broken, or names a stream that the dataset lacks.
        TooLarge: its archive is beyond what we write.
    """
    file = carried_file(root, int(episode.id))
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise TooLarge(file, f"the archive is {size / 2**30:.1f} GiB.")
        data = file.read_bytes()
    except FileNotFoundError:
        return episode
    except OSError as error:
        raise DamagedData(file, f"cannot be read: {error.strerror}.") from None
    declared = episode.declared_statistics
    original = unpack(episode, data, where=str(file))
    return replace(original, declared_statistics=Later(lambda: renamed_statistics(declared, features)))


def renamed_statistics(
    statistics: Mapping[str, Mapping[str, Any]], features: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """Statistics of features as those of the streams they come from.

    Those of resampled streams are left out: they describe the rows, and the stream gives its own samples.
    """
    out = {}
    for name, quantities in statistics.items():
        hint = hint_of(features.get(name, {}))
        if not hint.get("is_resampled"):
            out[str(hint.get("stream", name))] = quantities
    return out
