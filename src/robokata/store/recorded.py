"""The files that a referenced episode lies in, and whether they are still what they were."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robokata.core.cache import Arrays, cached_index
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, MediaMissing
from robokata.core.picked import PickedPictures
from robokata.core.source import EpisodeRow, Source
from robokata.media.video import VideoFrames
from robokata.store.entry import Reference, canonical
from robokata.store.place import file_digest
from robokata.store.store import Store

_SMALL_BYTES = 16 * 2**20
"""A smaller file is hashed in some 10 ms: as fast as asking the cache."""
_CONTAINERS = (".hdf5", ".h5", ".mcap", ".bag", ".db3")
"""Files that hold an episode with its pictures; whatever else an index names may have pictures in other files."""


_LISTED_INLINE = 16
"""Files that an entry lists itself: the table of an episode and its cameras."""


class Pinned(NamedTuple):
    """One file as it was when the snapshot was made."""

    name: str
    """Relative to the dataset; empty where the dataset is this one file."""
    size: int
    sha256: str


def files_of(path: Path) -> list[Path]:
    """Every file of a dataset, in order."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def pin(path: Path, files: Iterable[Path]) -> dict[Path, Pinned]:
    """Hash files, on all cores: SHA-256 lets go of the interpreter's lock.

    Raises:
        MediaMissing: one cannot be read.
    """
    wanted = list(files)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        digests = list(pool.map(digest_now, wanted))
    return {
        file: Pinned("" if file == path else str(file.relative_to(path)), file.stat().st_size, digest)
        for file, digest in zip(wanted, digests, strict=True)
    }


def listed(store: Store, pinned: Iterable[Pinned]) -> str | list[list[object]]:
    """A list of files as an entry holds it."""
    files = sorted(list(each) for each in pinned)
    # A folder of ten thousand chunks, named by each of a thousand episodes, is kept once.
    return files if len(files) <= _LISTED_INLINE else store.put(canonical(files).encode())


def files_referred_to(store: Store, reference: Reference) -> list[Pinned]:
    """The files that an episode refers to.

    Raises:
        DamagedData: it is no list of files.
    """
    try:
        is_part = isinstance(reference.files, str)
        found = json.loads(store.get(str(reference.files))) if is_part else reference.files
        pinned = [Pinned(*each) for each in found]
        if not all(isinstance(f.name, str) and isinstance(f.size, int) and isinstance(f.sha256, str) for f in pinned):
            raise TypeError("a file without name, size or digest")
        return pinned
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedData(store.url, f"the list of an episode's files cannot be read: {error}.") from None


def own_files(source: Source, row: EpisodeRow, everything: Mapping[Path, object]) -> Sequence[Path]:
    """The files that an episode lies in as far as that can be told, else all of the dataset.

    Raises:
        MediaMissing: a video is not there.
    """
    path = Path(source.path)
    numbers = path if path.is_file() else path / (row.file or ".")
    if numbers not in everything:
        return list(everything)
    if numbers.suffix in _CONTAINERS or path.is_file():
        return [numbers]
    videos = _videos(source.episode(row.id))
    if videos is None:
        return list(everything)
    if missing := next((video for video in videos if video not in everything), None):
        raise MediaMissing(missing, f"the video of episode {row.id} is not there, or lies outside of the dataset.")
    return sorted({numbers, *videos})


def refuse_changed(path: Path, pinned: Iterable[Pinned]) -> None:
    """Compare files with what they were; hashing is done once per state (size and time of change) of a file.

    Raises:
        MediaMissing: a file is gone.
        DamagedData: a file is not what it was.
    """
    for file in pinned:
        place = path / file.name if file.name else path
        try:
            stat = place.stat()
        except (OSError, ValueError):
            raise MediaMissing(place, "the snapshot refers to this file, and it is gone.") from None
        if stat.st_size != file.size or _known_digest(str(place), stat.st_size, stat.st_mtime_ns) != file.sha256:
            raise DamagedData(
                place,
                "the snapshot refers to this file, and it has changed since.",
                next_move="Restore it, or make a new snapshot; --materialise keeps copies.",
            )


def digest_now(file: Path) -> str:
    """SHA-256 of a file, read now and remembered for this state of the file.

    Raises:
        MediaMissing: it is gone or cannot be read.
    """
    digest = file_digest(file)
    if digest is None:
        raise MediaMissing(file, "the file cannot be read.")
    if file.stat().st_size > _SMALL_BYTES:
        cached_index(file, "sha256-1", lambda: {"sha256": np.frombuffer(bytes.fromhex(digest), np.uint8)})
    return digest


@lru_cache(maxsize=65536)
def _known_digest(place: str, size: int, changed_ns: int) -> str:
    def build() -> Arrays:
        return {"sha256": np.frombuffer(bytes.fromhex(file_digest(Path(place)) or ""), np.uint8)}

    arrays = cached_index(Path(place), "sha256-1", build) if size > _SMALL_BYTES else build()
    return arrays["sha256"].tobytes().hex()


def _videos(episode: Episode) -> list[Path] | None:
    """Video files of an episode, None where some of its pictures are no video file."""
    found = []
    for stream in episode.pictures():
        pictures = stream.pictures
        while isinstance(pictures, PickedPictures):
            pictures = pictures.values
        if not isinstance(pictures, VideoFrames):
            return None
        found.append(pictures.path)
    return found
