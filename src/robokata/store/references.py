"""The bytes that a referenced episode lies in, and whether they are still what they were."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, MediaMissing
from robokata.core.extent import Extent, Located
from robokata.core.selected_values import PickedPictures
from robokata.core.source import EpisodeRow, Source
from robokata.media.video import VideoFrames
from robokata.runtime.cache import Arrays, cached_index
from robokata.store.backend import file_digest, span_digest
from robokata.store.entry import Reference, canonical
from robokata.store.store import Store

_SMALL_BYTES = 16 * 2**20
"""A smaller file is hashed in some 10 ms: as fast as asking the cache."""
_CONTAINERS = (".hdf5", ".h5", ".mcap", ".bag", ".db3")
"""Files that hold an episode with its pictures; whatever else an index names may have pictures in other files."""
_LISTED_INLINE = 16
"""Places that an entry lists itself: the table of an episode and its cameras."""
_NEXT_MOVE = "Restore it, or make a new snapshot; --materialise keeps copies."
Bytes = tuple[Path, int | None, int | None]
"""File, start and end of an extent."""
Digest = Callable[[Extent], tuple[int, str]]
"""Size and SHA-256 of a file or range."""


class Pinned(NamedTuple):
    """One file, or bytes of one, as they were when the snapshot was made."""

    name: str
    """Relative to the dataset; empty where the dataset is this one file."""
    size: int
    """Bytes of the file, or of the range."""
    sha256: str
    """Of these bytes alone: `tail -c +START | head -c SIZE | sha256sum` gives it too. Empty: there was no such file."""
    start: int | None = None
    """First byte of a range, where it was then; None: the file as a whole."""
    said: str = ""
    """SHA-256 of what else decides how the range is read (`Extent.said`)."""

    @property
    def content(self) -> tuple[str, str, str]:
        """What must not change. Where in the file a range lies may: a packed file is written anew when it grows."""
        return self.name, self.sha256, self.said

    def at(self, path: Path) -> Path:
        """The file, in a dataset at `path`."""
        return path / self.name if self.name else path


class Pinning:
    """Hashes each range and file once, on all cores, while the reader goes on. A class, because it keeps the threads.

    SHA-256 lets go of the interpreter's lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        self._coming: dict[Bytes, Future[tuple[int, str]]] = {}
        self._known: dict[Bytes, tuple[int, str]] = {}

    def __enter__(self) -> Pinning:
        return self

    def __exit__(self, *raised: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, extents: Sequence[Extent]) -> list[tuple[Extent, str]]:
        """Begin to hash; what is said of the ranges becomes its digest at once, so that it does not pile up."""
        for extent in extents:
            if extent[:3] not in self._coming and extent[:3] not in self._known:
                self._coming[extent[:3]] = self._pool.submit(_hashed, extent)
        return [(extent._replace(said=b""), digest_of_said(extent.said)) for extent in extents]

    def finish(self, begun: Iterable[tuple[Extent, str]]) -> list[Pinned]:
        """The ranges with their hashes.

        Raises:
            MediaMissing: a file cannot be read.
        """
        return [pinned(self.path, extent, *self._digest(extent[:3]), said=said) for extent, said in begun]

    def _digest(self, place: Bytes) -> tuple[int, str]:
        if place in self._coming:  # A future holds a lock and a queue: thirty thousand of them would be 50 MB.
            self._known[place] = self._coming.pop(place).result()
        return self._known[place]


def pinned(path: Path, extent: Extent, size: int, sha256: str, *, said: str) -> Pinned:
    """An extent with its hash, named as the dataset at `path` names it.

    Raises:
        MediaMissing: the file lies outside of the dataset.
    """
    if extent.file != path and not extent.file.is_relative_to(path):
        raise MediaMissing(extent.file, f"the file lies outside of the dataset {path}.")
    name = "" if extent.file == path else str(extent.file.relative_to(path))
    return Pinned(name, size, sha256, extent.start, said)


def digest_of_said(said: bytes) -> str:
    """SHA-256 of what is said of a range, empty where nothing is."""
    return hashlib.sha256(said).hexdigest() if said else ""


def files_of(path: Path) -> list[Path]:
    """Every file of a dataset, in order."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def listed(store: Store, pinned: Iterable[Pinned]) -> str | list[list[object]]:
    """A list of files and ranges as an entry holds it."""
    lists: Iterator[list[object]] = (
        list(each[:3] if each.start is None and not each.said else each) for each in pinned
    )
    places: list[list[object]] = sorted(lists, key=canonical)
    # A folder of ten thousand chunks, named by each of a thousand episodes, is kept once.
    return places if len(places) <= _LISTED_INLINE else store.put(canonical(places).encode())


def files_referred_to(store: Store, reference: Reference) -> list[Pinned]:
    """The files and ranges that an episode refers to.

    Raises:
        DamagedData: it is no list of files.
    """
    try:
        is_part = isinstance(reference.files, str)
        found = json.loads(store.get(str(reference.files))) if is_part else reference.files
        places = [Pinned(*each) for each in found]
        texts = [text for each in places for text in each.content]
        numbers = [number for each in places for number in (each.size, each.start or 0)]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise TypeError("a file without name, size or digest")
        return places
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedData(store.url, f"the list of an episode's files cannot be read: {error}.") from None


def extents_of(source: Source, row: EpisodeRow, everything: Mapping[Path, Extent]) -> Sequence[Extent]:
    """What an episode lies in: ranges where the reader can tell them, else whole files, at worst all of the dataset.

    A file that is named and not there is one of them: the episode is kept as it is, without it.

    Raises:
        DamagedData: what leads to the episode's bytes is damaged.
    """
    extents = source.extents(row.id) if isinstance(source, Located) else _own_files(source, row, everything)
    if extents is None:
        return list(everything.values())
    return sorted(dict.fromkeys(extents), key=lambda extent: (str(extent.file), extent.start or 0))


def refuse_changed(path: Path, places: Iterable[Pinned]) -> None:
    """Compare whole files with what they were; hashing is done once per state (size and time of change) of a file.

    Raises:
        MediaMissing: a file is gone.
        DamagedData: a file is not what it was.
    """
    for each in places:
        place = each.at(path)
        if not each.sha256 and not place.exists():
            continue
        try:
            stat = place.stat()
        except (OSError, ValueError):
            raise MediaMissing(place, "the snapshot refers to this file, and it is gone.") from None
        if each.start is not None:
            continue
        if stat.st_size != each.size or _known_digest(str(place), stat.st_size, stat.st_mtime_ns) != each.sha256:
            raise DamagedData(
                place, "the snapshot refers to this file, and it has changed since.", next_move=_NEXT_MOVE
            )


def refuse_changed_ranges(source: Source, key: str, places: Sequence[Pinned]) -> None:
    """Compare the bytes that the reader would read now with those that were kept.

    Not the bytes at the old places: those may still be there, and the index may lead the reader to others.

    Raises:
        DamagedData: the reader would read something else.
    """
    if any(each.start is not None for each in places):
        for each, problem in changed_ranges(source, key, places, digest=_remembered):
            raise DamagedData(
                each.at(Path(source.path)), f"the snapshot refers to {problem}", offset=each.start, next_move=_NEXT_MOVE
            )


def changed_ranges(
    source: Source, key: str, places: Sequence[Pinned], *, digest: Digest
) -> Iterator[tuple[Pinned, str]]:
    """The ranges that the reader does not find any more, each with what to say of it.

    Raises:
        DamagedData: what leads to the episode's bytes is damaged.
    """
    path = Path(source.path)
    extents = (source.extents(key) if isinstance(source, Located) else None) or ()
    ranged = [extent for extent in extents if extent.start is not None]
    now = {pinned(path, e, *digest(e), said=digest_of_said(e.said)).content for e in ranged}
    for each in places:
        if each.start is not None and each.content not in now:
            yield each, f"{each.size} bytes of this file as episode {key}; they have changed, or are no longer its."


def hashed_now(extent: Extent) -> tuple[int, str]:
    """Size and SHA-256 of a file or range, read now.

    Raises:
        MediaMissing: it is gone or cannot be read.
        DamagedData: the file ends before the range does.
    """
    if extent.start is None or extent.end is None:
        digest = file_digest(extent.file)
        if digest is None:
            raise MediaMissing(extent.file, "the file cannot be read.")
        return extent.file.stat().st_size, digest
    digest = span_digest(extent.file, extent.start, extent.end)
    if digest is None:
        raise DamagedData(extent.file, f"ends before byte {extent.end}, or cannot be read.", offset=extent.start)
    return extent.end - extent.start, digest


def _hashed(extent: Extent) -> tuple[int, str]:
    """As `hashed_now`; the hash of a large file is remembered for this state of the file."""
    if not extent.file.exists():
        return 0, ""
    size, digest = hashed_now(extent)
    if extent.start is None and size > _SMALL_BYTES:
        cached_index(extent.file, "sha256-1", lambda: {"sha256": np.frombuffer(bytes.fromhex(digest), np.uint8)})
    return size, digest


def _remembered(extent: Extent) -> tuple[int, str]:
    stat = extent.file.stat()
    return _of_range(extent._replace(said=b""), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _of_range(extent: Extent, size: int, changed_ns: int) -> tuple[int, str]:
    """Remembered in this process for a state of the file: a row group is shared by hundreds of episodes."""
    return hashed_now(extent)


@lru_cache(maxsize=65536)
def _known_digest(place: str, size: int, changed_ns: int) -> str:
    def build() -> Arrays:
        return {"sha256": np.frombuffer(bytes.fromhex(file_digest(Path(place)) or ""), np.uint8)}

    arrays = cached_index(Path(place), "sha256-1", build) if size > _SMALL_BYTES else build()
    return arrays["sha256"].tobytes().hex()


def _own_files(source: Source, row: EpisodeRow, everything: Mapping[Path, object]) -> Sequence[Extent] | None:
    """The files of an episode, of a reader that does not tell them; None where they cannot be found out."""
    path = Path(source.path)
    numbers = path if path.is_file() else path / (row.file or ".")
    if numbers not in everything:
        return None
    if numbers.suffix in _CONTAINERS or path.is_file():
        return [Extent(numbers)]
    videos = _videos(source.episode(row.id))
    return None if videos is None else [Extent(file) for file in (numbers, *videos)]


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
