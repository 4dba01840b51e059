"""What changed from one snapshot to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from robokata.store.entry import ROW_FIELDS, Entry, Reference
from robokata.store.store import Manifest


class Change(NamedTuple):
    """One field of one episode."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Difference:
    """Episodes that are only in one of two snapshots, and what differs in the others."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[Change, ...]]
    same: int
    facts: tuple[Change, ...] = ()
    """What the dataset as a whole says differently."""

    @property
    def is_empty(self) -> bool:
        """True where both hold the same."""
        return not (self.added or self.removed or self.changed or self.facts)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        changed = {key: [change._asdict() for change in changes] for key, changes in self.changed.items()}
        return asdict(self) | {"changed": changed, "facts": [change._asdict() for change in self.facts]}


def difference(before: Manifest, after: Manifest) -> Difference:
    """Compare two lists of episodes by their digests; nothing is opened."""
    old = {entry.id: entry for entry in before.entries}
    new = {entry.id: entry for entry in after.entries}
    both = [key for key in new if key in old]
    changed = {key: _changes(old[key], new[key]) for key in both if old[key].text != new[key].text}
    return Difference(
        before=before.id,
        after=after.id,
        added=tuple(key for key in new if key not in old),
        removed=tuple(key for key in old if key not in new),
        changed=changed,
        same=len(both) - len(changed),
        facts=_unequal(before.facts, after.facts, sorted({*before.facts, *after.facts})),
    )


def _changes(old: Entry, new: Entry) -> tuple[Change, ...]:
    return _unequal(old.row, new.row, ROW_FIELDS) + _unequal(_data(old), _data(new), sorted({*_data(old), *_data(new)}))


def _data(entry: Entry) -> dict[str, Any]:
    """Where an episode's data lie, one field per thing that can change by itself."""
    if isinstance(entry.data, Reference):
        return {"refers to": f"{entry.data.path}: {entry.data.key}", **_files(entry.data)}
    pictures = {f"pictures {name}": str(said.get("part"))[:12] for name, said in entry.data.pictures.items()}
    return {"numbers": entry.data.numbers[:12], **pictures}


def _files(data: Reference) -> dict[str, Any]:
    if isinstance(data.files, str):
        return {"bytes of its files": data.files[:12]}
    return {f"bytes of {file[0] or data.path}": str(file[2])[:12] for file in data.files}


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any], names: Any) -> tuple[Change, ...]:
    return tuple(Change(n, old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n))
