"""Episodes into entries of a store, and entries back into episodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from robokata.core.ancestry import name_of
from robokata.core.clock import rate_fraction
from robokata.core.declared_rate import rates_from, rates_in, with_rates
from robokata.core.detection import reopen
from robokata.core.episode import Episode, EpisodeRef, Instruction
from robokata.core.errors import DamagedData, UnknownName, WriteRefused
from robokata.core.extent import Extent
from robokata.core.layout import Layout, Place, Way
from robokata.core.lineage import Relative
from robokata.core.source import EpisodeRow, Facts, Source, row_of
from robokata.packing.carry import pack, unpack
from robokata.store.entry import Entry, Reference, Stored, row_of_index
from robokata.store.pictures import store_pictures, stored_stream
from robokata.store.references import (
    Pinned,
    Pinning,
    extents_of,
    files_of,
    files_referred_to,
    listed,
    refuse_changed,
    refuse_changed_ranges,
)
from robokata.store.store import Manifest, Store

_STATISTICS = "robokata.declared_statistics"
"""Where an archive keeps the statistics that a source declares per episode."""
_AHEAD = 256
"""Episodes that are opened before the hashes of the first are waited for: enough for all cores to have work."""
T = TypeVar("T")
_QUIET: Callable[[int], None] = lambda episodes: None  # noqa: E731 - the default of an argument, as everywhere


class SnapshotSource:
    """A snapshot as a dataset like any other. Its path is that of its list, so that workers open the same one."""

    format = "snapshot"

    def __init__(self, store: Store, snapshot: str) -> None:
        self.store, self.id = store, snapshot
        name = f"snapshots/{snapshot}.json"
        self.is_local = "://" not in store.url
        self.path = Path(store.url) / name
        self.manifest: Manifest = store.manifest(snapshot)
        self._entries = {entry.id: entry for entry in self.manifest.entries}
        if len(self._entries) != len(self.manifest.entries):
            raise DamagedData(f"{store.url}/{name}", "two episodes have the same id.")

    def keys(self) -> Sequence[str]:
        return list(self._entries)

    def episode(self, key: str) -> Episode:
        """Open one episode.

        Raises:
            UnknownName: no episode has this id.
            DamagedData: its bytes, here or where it refers to, are not what they were.
        """
        if key not in self._entries:
            raise UnknownName("episode", key, self._entries)
        ref = EpisodeRef(self.format, str(self.path), key) if self.is_local else None
        return replace(episode_of(self.store, self._entries[key]), ref=ref)

    def facts(self) -> Facts:
        rows = [entry.episode_row for entry in self.manifest.entries]
        robots = tuple(sorted({str(row.robot) for row in rows if row.robot is not None}))
        names = [row.split for row in rows if row.split is not None]
        rate_hz, licence = self.manifest.facts.get("declared_rate_hz"), self.manifest.facts.get("licence")
        return Facts(
            format=self.format,
            version="1",
            rows=rows,
            robots=robots,
            licence=None if licence is None else str(licence),
            declared_rate_hz=None if rate_hz is None else rate_fraction(str(rate_hz)),
            splits={name: names.count(name) for name in dict.fromkeys(names)},
        )


def kept_facts(facts: Facts) -> dict[str, Any]:
    """What a snapshot keeps of a dataset as a whole."""
    rate_hz = facts.declared_rate_hz
    return {"licence": facts.licence, "declared_rate_hz": None if rate_hz is None else str(rate_hz)}


def taken(
    store: Store,
    source: Source,
    index: Sequence[EpisodeRow],
    *,
    keys: Sequence[str] | None = None,
    is_materialised: bool = False,
    advance: Callable[[int], None] = _QUIET,
) -> list[Entry]:
    """Entries for episodes of a dataset, whose `index` is asked once: references with the hashes of what they refer
    to, or copies.

    Raises:
        WriteRefused: the dataset changed while it was read.
        DamagedData: an episode cannot be read.
    """
    wanted = list(source.keys() if keys is None else keys)
    if isinstance(source, SnapshotSource):
        found = [entry for entry in source.manifest.entries if entry.id in set(wanted)]
        return [_moved(store, source, entry, is_materialised, advance) for entry in found]
    path = Path(source.path).resolve()
    before = _stamps(path)
    rows = {row.id: row for row in index}
    entries = list((_copied if is_materialised else _referenced)(store, source, wanted, rows, advance))
    if _stamps(path) != before:
        raise WriteRefused(
            f"{source.path}: changed while it was read. No snapshot was made; try again when it is at rest."
        )
    return entries


def episode_of(store: Store, entry: Entry) -> Episode:
    """The episode of an entry, with what was told in the store.

    Raises:
        DamagedData: its bytes are lost or changed.
    """
    if isinstance(entry.data, Reference):
        places = files_referred_to(store, entry.data)
        refuse_changed(Path(entry.data.path), places)
        source = reopen(entry.data.path, entry.data.format)
        refuse_changed_ranges(source, entry.data.key, places)
        episode = with_rates(source, rates_from(entry.data.rates)).episode(entry.data.key)
    else:
        where = f"{store.url}: episode {entry.id}"
        pictures = {n: stored_stream(store, n, said, where=where) for n, said in entry.data.pictures.items()}
        episode = unpack(Episode(id=entry.id, streams=pictures), store.get(entry.data.numbers), where=where)
        extra = dict(episode.extra)
        episode = replace(episode, declared_statistics=extra.pop(_STATISTICS, {}), extra=extra)
    return _told(replace(episode, id=entry.id), entry)


def relatives_of(
    store: Store, entries: Sequence[Entry], *, advance: Callable[[int], None] = lambda episodes: None
) -> list[Relative]:
    """What each episode was made from; its numbers are read, because they are its name for its descendants.

    Raises:
        DamagedData: one cannot be read.
    """
    out = []
    for entry in entries:
        episode = episode_of(store, entry)
        out.append(Relative(entry.id, name_of(episode), episode.origin.made_from))
        advance(1)
    return out


def _told(episode: Episode, entry: Entry) -> Episode:
    if "instructions" in entry.told:
        texts = tuple(Instruction(text, source="kata snapshot --relabel") for text in entry.row["instructions"])
        episode = replace(episode, instructions=texts)
    if "split" in entry.told:
        episode = replace(episode, origin=replace(episode.origin, split=entry.row["split"]))
    return episode


def stored_entry(store: Store, episode: Episode, row: Mapping[str, Any]) -> Entry:
    """Copy one episode into the store.

    Raises:
        DamagedData: some of it cannot be read.
    """
    pictures = {stream.name: store_pictures(store, stream) for stream in episode.pictures()}
    places = [
        Place(name, name if stream.is_picture else None, Way.COPIED, is_native=stream.is_picture)
        for name, stream in episode.streams.items()
    ]
    whole = episode
    if episode.declared_statistics:
        whole = replace(episode, extra={**episode.extra, _STATISTICS: dict(episode.declared_statistics)})
    # Counters of ours would not be made anew: with a target of None they are carried as they are.
    return Entry(episode.id, row, Stored(store.put(pack(whole, Layout(tuple(places)))), pictures))


def _copied(
    store: Store, source: Source, keys: Sequence[str], rows: Mapping[str, EpisodeRow], advance: Callable[[int], None]
) -> Iterator[Entry]:
    for key in keys:
        episode = source.episode(key)
        yield stored_entry(store, episode, row_of_index(rows.get(key) or row_of(episode)))
        advance(1)


def _referenced(
    store: Store, source: Source, keys: Sequence[str], rows: Mapping[str, EpisodeRow], advance: Callable[[int], None]
) -> Iterator[Entry]:
    path = Path(source.path).resolve()
    rates = [str(rate) for rate in rates_in(source)]
    # Absolute: a snapshot is read from other folders than the one it was made in.
    source = reopen(str(path), source.format)
    files = {file: Extent(file) for file in files_of(path)}
    if not files:
        raise WriteRefused(f"{path}: has no files to refer to; --materialise copies it.")
    lists: dict[tuple[Pinned, ...], str | list[list[object]]] = {}
    with Pinning(path) as pinning:
        for row, begun in _ahead(
            (row, pinning.start(extents_of(source, row, files))) for row in _rows(source, keys, rows)
        ):
            own = tuple(pinning.finish(begun))
            if own not in lists:
                lists[own] = listed(store, own)
            yield Entry(row.id, row_of_index(row), Reference(source.format, str(path), row.id, lists[own], rates))
            advance(1)


def _rows(source: Source, keys: Sequence[str], rows: Mapping[str, EpisodeRow]) -> Iterator[EpisodeRow]:
    return (rows.get(key) or row_of(source.episode(key)) for key in keys)


def _ahead(begun: Iterable[T]) -> Iterator[T]:
    """The same, some steps behind: what was begun is hashed by other threads while the next episodes are opened."""
    waiting: deque[T] = deque()
    for each in begun:
        waiting.append(each)
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _moved(
    store: Store, source: SnapshotSource, entry: Entry, is_materialised: bool, advance: Callable[[int], None]
) -> Entry:
    """An entry of another snapshot: as it is, with its parts where the store differs, or copied."""
    advance(1)
    if is_materialised and isinstance(entry.data, Reference):
        return replace(stored_entry(store, source.episode(entry.id), entry.row), told=entry.told)
    if store.url != source.store.url:
        for part in parts_of(entry):
            store.put_file(source.store.file(part))
    return entry


def parts_of(entry: Entry) -> list[str]:
    """Digests of every part of the store that an entry needs.

    Raises:
        DamagedData: the entry names none.
    """
    if isinstance(entry.data, Reference):
        return [entry.data.files] if isinstance(entry.data.files, str) else []
    try:
        media = [said["part"] for said in entry.data.pictures.values()]
        return [entry.data.numbers, *media, *(s["picked"] for s in entry.data.pictures.values() if "picked" in s)]
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedData(entry.id, f"what is said of its pictures is broken: {error!r}.") from None


def _stamps(path: Path) -> list[tuple[str, int, int]]:
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files_of(path)]
