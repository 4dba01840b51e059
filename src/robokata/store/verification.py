"""Whether a store still holds what it says, and whether what it refers to is still there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import reopen
from robokata.core.errors import DamagedData, RobokataError
from robokata.core.extent import Extent
from robokata.store.backend import object_name
from robokata.store.entry import Entry, Reference, row_of_index
from robokata.store.references import Pinned, changed_ranges, files_referred_to, hashed_now
from robokata.store.store import Store
from robokata.store.writer import episode_of, parts_of


class Problem(NamedTuple):
    """One thing that is not what it was."""

    snapshot: str
    place: str
    """File, part or episode."""
    problem: str


@dataclass(frozen=True)
class Verification:
    """What was hashed and opened again, and what was wrong."""

    store: str
    snapshots: int
    episodes: int
    parts: int
    files: int
    """Files outside of the store that snapshots refer to."""
    problems: tuple[Problem, ...]

    @property
    def is_sound(self) -> bool:
        """True where everything is what it was."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self) | {"is_sound": self.is_sound, "problems": [each._asdict() for each in self.problems]}


class _Pass:
    """One pass over a store. A class, because snapshots share parts and files, and each is hashed once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.parts: dict[str, bool] = {}
        self.places: dict[tuple[Path, int | None, int | None], str | None] = {}
        self.opened: set[str] = set()
        self._said: set[tuple[str, str]] = set()
        self._rows: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}

    def problems(self, snapshot: str, advance: Callable[[int], None]) -> Iterator[Problem]:
        try:
            entries = self.store.manifest(snapshot).entries
        except RobokataError as error:
            yield Problem(snapshot, f"snapshots/{snapshot}.json", str(error))
            return
        for entry in entries:
            for place, problem in self._of_entry(entry):
                if (place, problem) not in self._said:
                    self._said.add((place, problem))
                    yield Problem(snapshot, place, problem)
            advance(1)

    def _of_entry(self, entry: Entry) -> Iterator[tuple[str, str]]:
        if entry.digest in self.opened:
            return
        self.opened.add(entry.digest)
        broken = [*self._parts(entry), *self._files(entry)]
        yield from broken
        if not broken:
            yield from self._derived(entry)

    def _parts(self, entry: Entry) -> Iterator[tuple[str, str]]:
        for part in parts_of(entry):
            if part not in self.parts:
                found = self.store.place.digest(object_name(part))
                self.parts[part] = found == part
                if found != part:
                    problem = "is lost." if found is None else "holds other bytes than its name says."
                    yield object_name(part), problem

    def _files(self, entry: Entry) -> Iterator[tuple[str, str]]:
        if not isinstance(entry.data, Reference) or not all(self.parts[part] for part in parts_of(entry)):
            return
        path, places = Path(entry.data.path), files_referred_to(self.store, entry.data)
        for each in places:
            place = each.at(path)
            if not each.sha256 and not place.exists():
                continue
            if each.start is None and (found := self._digest(Extent(place))) != each.sha256:
                yield str(place), "is gone." if found is None else "has changed since the snapshot was made."
        if any(each.start is not None for each in places):
            yield from self._ranges(path, entry.data, places)

    def _ranges(self, path: Path, data: Reference, places: Sequence[Pinned]) -> Iterator[tuple[str, str]]:
        try:
            source = reopen(data.path, data.format)
            for each, problem in changed_ranges(source, data.key, places, digest=self._hashed):
                yield str(each.at(path)), f"held {problem}"
        except RobokataError as error:
            yield f"episode {data.key} of {path}", str(error)

    def _hashed(self, extent: Extent) -> tuple[int, str]:
        return (extent.end or 0) - (extent.start or 0), self._digest(extent) or ""

    def _digest(self, extent: Extent) -> str | None:
        """Hashed in this pass, whatever is remembered of earlier ones."""
        if extent[:3] not in self.places:
            try:
                self.places[extent[:3]] = hashed_now(extent)[1]
            except DamagedData:
                self.places[extent[:3]] = None
        return self.places[extent[:3]]

    def _derived(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """Open the episode again, and compare what the source's index says now with what was kept."""
        try:
            episode_of(self.store, entry)
            if isinstance(entry.data, Reference):
                yield from self._row(entry, entry.data)
        except RobokataError as error:
            yield f"episode {entry.id}", str(error)

    def _row(self, entry: Entry, data: Reference) -> Iterator[tuple[str, str]]:
        rows = self._rows.setdefault((data.path, data.format, *data.rates), {})
        if not rows:
            source = with_rates(reopen(data.path, data.format), rates_from(data.rates))
            rows |= {row.id: row_of_index(row) for row in source.facts().rows}
        now = rows.get(data.key)
        names = [n for n, kept in entry.row.items() if n not in entry.told and now is not None and now[n] != kept]
        for name in names:
            yield f"episode {entry.id}", f"the index of {data.path} says another {name} than it did."


def verify(
    store: Store, *, snapshots: Sequence[str] | None = None, advance: Callable[[int], None] = lambda episodes: None
) -> Verification:
    """Hash every part and every file referred to, open every episode, and compare.

    Raises:
        DamagedData: the history itself cannot be read.
    """
    # Read again from the disk: what this process has read of a footer or an index may be of an older state.
    reopen.cache_clear()
    wanted = list(dict.fromkeys(record.id for record in store.history())) if snapshots is None else list(snapshots)
    one = _Pass(store)
    problems = [problem for snapshot in wanted for problem in one.problems(snapshot, advance)]
    return Verification(
        store.url,
        len(wanted),
        len(one.opened),
        len(one.parts),
        len({place[0] for place in one.places}),
        tuple(problems),
    )
