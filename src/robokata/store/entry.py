"""One episode of a snapshot: what it is called, what its index says, and where its data lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from robokata.core.source import EpisodeRow

ROW_FIELDS = ("steps", "duration_s", "instructions", "split", "robot", "success", "session")


@dataclass(frozen=True)
class Reference:
    """An episode that stays where it was recorded."""

    format: str
    path: str
    key: str
    files: str | Sequence[Sequence[Any]]
    """Files that hold it, each with name, size and SHA-256; a long list is a part, and this its SHA-256."""
    rates: Sequence[str] = ()
    """Rates that the user declared for its streams without times."""


@dataclass(frozen=True)
class Stored:
    """An episode that was copied into the store."""

    numbers: str
    """SHA-256 of the archive that holds everything but pictures."""
    pictures: Mapping[str, Mapping[str, Any]]
    """Stream -> where its pictures lie."""


@dataclass(frozen=True)
class Entry:
    """One episode of a snapshot."""

    id: str
    row: Mapping[str, Any]
    """What the index says: `steps`, `duration_s`, `instructions`, `split`, `robot`, `success`, `session`."""
    data: Reference | Stored
    told: tuple[str, ...] = ()
    """Fields of `row` that were set in the store and win over the data: `instructions`, `split`."""

    @property
    def text(self) -> str:
        """Canonical JSON: the same entry is the same text."""
        kind = "reference" if isinstance(self.data, Reference) else "stored"
        data = {name: value for name, value in asdict(self.data).items() if name != "rates" or value}
        return canonical({"id": self.id, "row": self.row, "told": self.told, kind: data})

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def episode_row(self) -> EpisodeRow:
        """The row as `facts` lists it."""
        return EpisodeRow(id=self.id, **{**self.row, "instructions": tuple(self.row["instructions"])})

    def told_that(self, field: str, value: Any) -> Entry:
        """The same episode with one field of its row set by the user."""
        return replace(self, row={**self.row, field: value}, told=tuple(sorted({*self.told, field})))


def row_of_index(row: EpisodeRow) -> dict[str, Any]:
    """What is kept of an index's row; its file and row numbers are the source's own."""
    return {name: getattr(row, name) for name in ROW_FIELDS} | {"instructions": list(row.instructions)}


def entry_of(text: str) -> Entry:
    """The entry of a canonical text.

    Raises:
        TypeError: it is none; KeyError and ValueError likewise. The store says which page holds it.
    """
    found = json.loads(text)
    data = Reference(**found["reference"]) if "reference" in found else Stored(**found["stored"])
    row = {name: found["row"][name] for name in ROW_FIELDS}
    if not isinstance(found["id"], str) or not isinstance(row["instructions"], list):
        raise TypeError("an entry without an id or instructions")
    return Entry(found["id"], row, data, tuple(found["told"]))


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(entries: Sequence[Entry], facts: Mapping[str, Any]) -> str:
    """Id of a snapshot: a function of its content alone, so that the same content has the same id everywhere."""
    content = canonical({"episodes": [entry.digest for entry in entries], "facts": facts, "version": 1})
    return hashlib.sha256(content.encode()).hexdigest()
