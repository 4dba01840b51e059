"""A new snapshot: what its list is made of, and the receipt that says so."""

from __future__ import annotations

import datetime
import getpass
import hashlib
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robokata.core.errors import WriteRefused
from robokata.core.source import Source
from robokata.core.version import __version__
from robokata.store.edit import common_facts
from robokata.store.entry import Entry
from robokata.store.store import Record, Store
from robokata.store.writer import SnapshotSource, kept_facts, taken

Edit = Callable[[Sequence[Entry]], Sequence[Entry]]


@dataclass(frozen=True)
class Wish:
    """What the next snapshot shall be."""

    keys: Sequence[str] | None = None
    """Episodes to take from the source, None for all."""
    is_materialised: bool = False
    join: Callable[[Sequence[Entry], Sequence[Entry]], Sequence[Entry]] | None = None
    """How the source's episodes join those of the newest snapshot; None: they replace them."""
    edits: Sequence[Edit] = ()
    message: str = ""
    words: Mapping[str, Any] = field(default_factory=dict)
    """The arguments as the user gave them, for the receipt."""


def make_snapshot(
    store: Store, source: Source, wish: Wish, *, advance: Callable[[int], None] = lambda episodes: None
) -> Record:
    """Keep a version of a dataset; where it equals the newest one, that one is returned and nothing is written.

    Raises:
        WriteRefused: ids clash, the dataset changed meanwhile, the disk is full, or another writer was first with a
            change of the snapshot that this one changes.
        DamagedData: an episode cannot be read.
    """
    facts = source.facts()
    added = taken(store, source, facts.rows, keys=wish.keys, is_materialised=wish.is_materialised, advance=advance)
    said = dict(source.manifest.facts) if isinstance(source, SnapshotSource) else kept_facts(facts)
    edited = source.id if isinstance(source, SnapshotSource) and source.store.url == store.url else None
    at_start = store.latest()
    was_latest = wish.join is None and at_start is not None and edited == at_start.id

    def build(base: Record | None) -> Record:
        if was_latest and base is not None and base.id != edited:
            raise WriteRefused(
                f"{store.url}: another writer made snapshot {base.id[:12]} meanwhile. Nothing is lost; do it again."
            )
        entries: Sequence[Entry] = added
        common = said
        if wish.join is not None:
            old = store.manifest(base.id) if base is not None else None
            # Also to nothing: the ids that --prefix gives must not depend on what was kept before.
            entries = wish.join(old.entries if old else (), added)
            common = common_facts(old.facts, said) if old else said
        for edit in wish.edits:
            entries = edit(entries)
        snapshot = store.write_manifest(entries, common)
        parents = dict.fromkeys([*([base.id] if base else []), *([edited] if edited else [])])
        return Record(
            number=base.number + 1 if base else 1,
            id=snapshot,
            parents=tuple(parents),
            episodes=len(entries),
            message=wish.message,
            made_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            made=receipt(source, added, wish.words),
        )

    return store.commit(build)


def receipt(source: Source, entries: Sequence[Entry], words: Mapping[str, Any]) -> dict[str, Any]:
    """Who made a snapshot, from what, with which words."""
    if isinstance(source, SnapshotSource):
        state, place = source.id, source.store.url
    else:
        digests = "\n".join(entry.digest for entry in entries)
        state, place = hashlib.sha256(digests.encode()).hexdigest(), str(source.path)
    return {
        "source": place,
        "source_format": source.format,
        "source_state": state,
        "words": {name: value for name, value in words.items() if value},
        "by": f"{_user()}@{socket.gethostname()}",
        "versions": {"robokata": __version__, "python": platform.python_version()},
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # a container without an entry for this user
