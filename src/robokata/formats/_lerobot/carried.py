"""What LeRobot has no place for, beside each episode in meta/robokata: read and written by all versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, TooLarge
from robokata.formats._lerobot.streams import hint_of
from robokata.packing.carry import MAX_BYTES, unpack

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
    return replace(original, declared_statistics=renamed_statistics(declared, features))


def renamed_statistics(
    statistics: Mapping[str, Mapping[str, Any]], features: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """Statistics of features as those of the streams they come from; nothing is read before it is asked for.

    Those of resampled streams are left out: they describe the rows, and the stream gives its own samples.
    """
    hints = {name: hint_of(feature) for name, feature in features.items()}
    left_out = {name for name, hint in hints.items() if hint.get("is_resampled")}
    streams = {name: str(hint["stream"]) for name, hint in hints.items() if "stream" in hint}
    return _Renamed(statistics, streams, left_out)


class _Renamed(Mapping[str, Mapping[str, Any]]):
    """A mapping under other names. A class, because what lies behind is read at first use."""

    def __init__(
        self, statistics: Mapping[str, Mapping[str, Any]], streams: Mapping[str, str], left_out: Set[str]
    ) -> None:
        self._statistics, self._streams, self._left_out = statistics, streams, left_out
        self._features = {stream: name for name, stream in streams.items()}

    def __getitem__(self, stream: str) -> Mapping[str, Any]:
        feature = self._features.get(stream, stream)
        if feature in self._left_out or self._streams.get(feature, feature) != stream:
            raise KeyError(stream)
        return self._statistics[feature]

    def __iter__(self) -> Iterator[str]:
        return (self._streams.get(name, name) for name in self._statistics if name not in self._left_out)

    def __len__(self) -> int:
        return sum(1 for _ in self)
