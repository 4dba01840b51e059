"""A store: parts named by their content, snapshots made of parts, and a history that only grows."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData, NotADataset, TooLarge, UnknownName, WriteRefused
from robokata.core.require import require
from robokata.store.backend import Folder, Place, object_name
from robokata.store.entry import ROW_FIELDS, Entry, digest_of, entry_of
from robokata.store.remote import Remote

MARK = "robokata_store.json"
MAX_PART_BYTES = 2 * 2**30
"""Largest part that is read into memory; pages of episodes and archives of numbers are megabytes."""
_MAX_PAGE = 2048
"""Episodes of one page: a change of one episode rewrites one page, about 1 MB."""
_PAGE_CUT = 512
"""A page ends after an episode whose digest this divides: the same episodes make the same pages, whatever stands
before them."""
_ATTEMPTS = 100
"""Times that a writer starts over because another was first; each of them has succeeded meanwhile."""


class Manifest(NamedTuple):
    """The content of one snapshot."""

    id: str
    entries: tuple[Entry, ...]
    facts: Mapping[str, Any]
    """`licence` and `declared_rate_hz`, where all of its sources agree."""


@dataclass(frozen=True)
class Record:
    """One line of the history: a snapshot, and what made it."""

    number: int
    id: str
    parents: tuple[str, ...]
    episodes: int
    message: str
    made_at: str
    made: Mapping[str, Any]
    """The receipt: who, from what (path, format, state), with which words, by which versions."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


class Store:
    """A place with parts, snapshots and a history. A class, because it remembers what it has read."""

    def __init__(self, place: Place) -> None:
        self.place, self.url = place, place.url

    def put(self, data: bytes) -> str:
        """Keep bytes; what is there is not written again."""
        digest = hashlib.sha256(data).hexdigest()
        # By size too: a power cut may have left a name whose bytes never reached the disk.
        if self.place.size(object_name(digest)) != len(data):
            self.place.write(object_name(digest), data)
        return digest

    def put_file(self, file: Path) -> str:
        """Keep a copy of a file, such as a video."""
        return self.place.write_file(file)

    def get(self, digest: str) -> bytes:
        """The bytes of a part.

        Raises:
            DamagedData: they are lost or are not what they were.
            TooLarge: they are more than a page or an archive has.
        """
        name = object_name(_plain_digest(digest, self.url))
        size = self.place.size(name)
        if size is not None and size > MAX_PART_BYTES:
            raise TooLarge(f"{self.url}/{name}", f"the part has {size / 2**30:.1f} GiB.")
        data = self.place.read(name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise DamagedData(f"{self.url}/{name}", "holds other bytes than its name says.")
        return data

    def file(self, digest: str) -> Path:
        """A file with the bytes of a part; they are hashed by `kata verify`, not at each opening."""
        return self.place.local(object_name(_plain_digest(digest, self.url)))

    def history(self) -> list[Record]:
        """All snapshots in the order in which they were made.

        Raises:
            DamagedData: a record cannot be read.
        """
        names = (name for name in self.place.names("history") if name.removesuffix(".json").isdecimal())
        return [self._record(f"history/{name}") for name in names]

    def latest(self) -> Record | None:
        """The newest snapshot, None in an empty store."""
        names = [name for name in self.place.names("history") if name.removesuffix(".json").isdecimal()]
        return self._record(f"history/{names[-1]}") if names else None

    def resolve(self, wanted: str) -> str:
        """Id of the snapshot that a beginning of an id, a number of the history or `latest` means.

        Raises:
            UnknownName: no snapshot, or more than one, is called so.
        """
        records = self.history()
        if wanted == "latest" and records:
            return records[-1].id
        ids = list(dict.fromkeys(record.id for record in records))
        found = [each for each in ids if len(wanted) >= 4 and each.startswith(wanted)]
        found = found or [record.id for record in records if str(record.number) == wanted]
        if len(found) != 1:
            raise UnknownName("snapshot", wanted, [each[:12] for each in ids])
        return found[0]

    def manifest(self, snapshot: str) -> Manifest:
        """The content of a snapshot.

        Raises:
            DamagedData: a part of it is lost or damaged.
        """
        name = f"snapshots/{_plain_digest(snapshot, self.url)}.json"
        try:
            found = json.loads(self.place.read(name))
            entries = tuple(entry for page in found["pages"] for entry in _entries(self.get(page), self.url))
            if digest_of(entries, found["facts"]) != snapshot:
                raise ValueError("its content is not what its name says")
            return Manifest(snapshot, entries, found["facts"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise DamagedData(f"{self.url}/{name}", f"the snapshot's list cannot be read: {error}.") from None

    def write_manifest(self, entries: Sequence[Entry], facts: Mapping[str, Any]) -> str:
        """Keep a list of episodes; the same list gives the same id and is not written again."""
        snapshot = digest_of(entries, facts)
        name = f"snapshots/{snapshot}.json"
        if not self.place.size(name):
            pages = [self.put(_page(page)) for page in _cut(entries)]
            content = {"version": 1, "episodes": len(entries), "facts": dict(facts), "pages": pages}
            self.place.write(name, json.dumps(content, indent=1).encode())
        return snapshot

    def commit(self, build: Callable[[Record | None], Record]) -> Record:
        """Append to the history what `build` makes of the newest snapshot; done again where another was first.

        Raises:
            WriteRefused: a hundred others were first.
        """
        for _ in range(_ATTEMPTS):
            base = self.latest()
            record = build(base)
            if base is not None and record.id == base.id:
                return base
            if self.place.create(f"history/{record.number:08d}.json", json.dumps(record.to_json(), indent=1).encode()):
                return record
        raise WriteRefused(f"{self.url}: others wrote all the time. Try again.")

    def _record(self, name: str) -> Record:
        try:
            found = json.loads(self.place.read(name))
            record = Record(**{**found, "parents": tuple(found["parents"])})
            _plain_digest(record.id, self.url)
            return record
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise DamagedData(f"{self.url}/{name}", f"the record of a snapshot cannot be read: {error}.") from None


def open_store(url: str, *, is_new: bool = False) -> Store:
    """The store at a folder or URL; `is_new` makes one where there is none.

    Raises:
        NotADataset: no store lies there.
        WriteRefused: something else lies there.
    """
    place: Place = Remote(url) if "://" in url else Folder(Path(os.path.abspath(url)))
    if place.size(MARK) is None:
        if not is_new:
            raise NotADataset(
                f"{url}: no store of snapshots ({MARK} is not there). Make one: kata snapshot DATASET --store."
            )
        if isinstance(place, Folder) and place.path.exists() and not _is_free(place.path):
            raise WriteRefused(f"{url} exists and is no store. Choose another; nothing is ever overwritten.")
        place.write(MARK, b'{"robokata_store": 1}\n')
    if is_new and isinstance(place, Folder):
        place.clear()
    return Store(place)


def _is_free(path: Path) -> bool:
    # `objects` alone is what a writer leaves that was killed before it marked the store.
    return path.is_dir() and all(child.name in ("objects", MARK) for child in path.iterdir())


def _plain_digest(digest: Any, where: str) -> str:
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise DamagedData(where, f"a part is called {str(digest)[:80]!r}, which is no SHA-256.")
    return digest


def _cut(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    start = 0
    for at, entry in enumerate(entries, 1):
        if int(entry.digest[:8], 16) % _PAGE_CUT == 0 or at - start == _MAX_PAGE:
            yield entries[start:at]
            start = at
    if start < len(entries):
        yield entries[start:]


def _page(entries: Sequence[Entry]) -> bytes:
    """Entries as a Parquet table, one row each: DuckDB reads the index's fields, we read `entry`."""
    pa, pq = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
    types = {
        "steps": pa.int64(),
        "duration_s": pa.float64(),
        "success": pa.bool_(),
        "instructions": pa.list_(pa.string()),
    }
    columns = {"id": pa.array([entry.id for entry in entries], pa.string())}
    columns |= {n: pa.array([e.row[n] for e in entries], types.get(n, pa.string())) for n in ROW_FIELDS}
    columns["entry"] = pa.array([entry.text for entry in entries], pa.string())
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


def _entries(page: bytes, where: str) -> Iterator[Entry]:
    pa, pq = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
    try:
        file = pq.ParquetFile(io.BytesIO(page))
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > MAX_PART_BYTES:
            raise TooLarge(where, "a page of episodes claims to unpack to more than 2 GiB.")
        texts = file.read(columns=["entry"]).column("entry").to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DamagedData(where, f"a page of episodes cannot be read: {error}.") from None
    return map(entry_of, texts)
