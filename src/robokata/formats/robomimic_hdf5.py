"""robomimic HDF5 and its relatives (LIBERO, robosuite, MimicGen, RoboCasa, Isaac Lab): data/demo_0, data/demo_1, ...

The rate is `control_freq` of the environment's arguments where the file has them: declared, never measured. The robot
comes from there too, the split from the masks, the sentence from `problem_info` (LIBERO) or `ep_meta` (RoboCasa).
`next_obs/*` repeats `obs/*` one step later and says so in its `extra`. Whatever is no stream goes to `Episode.extra`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.open_files import SUFFIXES, file_bytes, has_signature, hdf5_files
from robokata.containers.hdf5.values import Table
from robokata.core.episode import Embodiment, Episode, EpisodeRef, Origin, Outcome
from robokata.core.errors import DamagedData, MissingPart, UnknownName
from robokata.core.layout import Layout
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Stream
from robokata.formats._hdf5.write import BLOB, blob_in
from robokata.formats._robomimic.file import RobomimicFile, count_of, open_file
from robokata.formats._robomimic.streams import is_stream, robomimic_stream, steps_of
from robokata.formats._robomimic.write import plan, write_file
from robokata.formats._row_table import restored

IS_FOLDER_OF_FILES = True
LOOKS_FOR = "an HDF5 file, or a folder of them, with demonstrations in data/demo_0, data/demo_1, ..."
LOSES = (
    "real times: rows are one after the other (carried beside)",
    "streams at other rates, text, messages and lists (carried beside)",
    "pictures that stand in no row",
    "the encoded bytes of pictures: pixels lie raw",
    "all but one instruction per episode (carried beside)",
)

_DEMO = re.compile(r"demo_\d+")
_ALOHA_NAME = re.compile(r"episode_\d+\.")
_SNIFFED_FILES = 5
"""Files of a folder that are looked into: one damaged file must not hide the others."""
_MEASURED_DEMOS = 100
"""Demonstrations whose datasets are measured for sizes per stream; the rest is scaled up."""


def sniff(path: Path) -> float:
    """0.95 for the layout; 0.2 for what is only called HDF5 and cannot be opened."""
    is_folder = path.is_dir()
    files = hdf5_files(path)[:_SNIFFED_FILES] if is_folder else [path]
    if not is_folder and not (path.name.lower().endswith(SUFFIXES) or has_signature(path)):
        return 0.0
    scores = [_score(file) for file in files]
    return max(scores, default=0.0)


def _score(file: Path) -> float:
    unreadable = 0.0 if _ALOHA_NAME.match(file.name) else 0.2
    if not has_signature(file):
        return unreadable
    box = Container(file)
    try:
        if not box.has(b"data") or not box.is_group(b"data"):
            return 0.0
        children = box.children("data")
        if any(_DEMO.fullmatch(name) for name in children):
            return 0.95
        is_empty = not children and bool({"total", "env_args"} & set(box.attributes("data")))
        return 0.9 if is_empty else 0.0
    except (DamagedData, MissingPart):
        return unreadable


def read(path: Path) -> RobomimicSource:
    """Open one file, or all HDF5 files of a folder.

    Raises:
        DamagedData: the one file cannot be opened, or its `data` group cannot be read.
    """
    return RobomimicSource(path)


class _Place(NamedTuple):
    box: Container
    demo: bytes | None
    """Path of the demonstration in its file, None for a file of a folder that cannot be opened."""
    name: str


class RobomimicSource:
    """Demonstrations of one file or of a folder of files. A class, because it keeps what it has listed."""

    format = "robomimic_hdf5"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[Path, RobomimicFile] = {}
        self._places: dict[str, _Place] = {}
        self._paths = hdf5_files(path) if path.is_dir() else [path]
        if not path.is_dir():
            self._file(Container(path))
            self._places = {place.name: place for place in _demos(Container(path))}
            return
        stems = Counter(file.stem for file in self._paths)
        for file in self._paths:
            prefix = file.stem if stems[file.stem] == 1 else file.name
            try:
                found = {f"{prefix}/{place.name}": place for place in _demos(Container(file))}
            except DamagedData:
                # Listed as one episode, which tells the damage to whoever opens it.
                found = {prefix: _Place(Container(file), None, prefix)}
            self._places.update(found)

    def keys(self) -> Sequence[str]:
        return list(self._places)

    def episode(self, key: str) -> Episode:
        """One demonstration.

        Raises:
            UnknownName: no demonstration has this key.
            DamagedData: it, or its file, cannot be read.
        """
        place = self._places.get(key)
        if place is None:
            raise UnknownName("episode", key, self._places)
        if place.demo is None:
            list(_demos(place.box))
            raise DamagedData(place.box.path, "has become readable since the dataset was opened.")
        return self._episode(key, place, place.demo)

    def facts(self) -> Facts:
        """Rows from the groups' attributes and the lengths of `actions`; no value is read."""
        rows: list[EpisodeRow] = []
        declarations: list[Declaration] = []
        unreadable: dict[str, str] = {}
        by_file: dict[Path, list[tuple[str, EpisodeRow]]] = {path: [] for path in self._paths}
        for key, place in self._places.items():
            try:
                row, declared = self._row(key, place)
            except DamagedData as damage:
                row, declared = EpisodeRow(key, file=place.box.path.name), None
                unreadable[key] = str(damage)
            rows.append(row)
            by_file[place.box.path].append((place.name, row))
            declarations += [declared] if declared else []
        files = {path: self._files[path] for path in self._paths if path in self._files}
        for path, file in files.items():
            declarations += _declarations(path, file, by_file[path])
        rates = {file.rate_hz for file in files.values()}
        return Facts(
            format=self.format,
            version=None,
            rows=rows,
            robots=tuple(sorted({file.robot for file in files.values() if file.robot})),
            declared_rate_hz=next(iter(rates)) if len(rates) == 1 else None,
            splits=dict(Counter(row.split for row in rows if row.split)),
            declarations=tuple(declarations),
            sizes=self._sizes(),
            total_size=Size(file_bytes(self._paths)),
            extra={
                "data": {path.name: dict(file.attributes) for path, file in files.items()},
                "masks": {path.name: dict(file.masks) for path, file in files.items() if file.masks},
                "beside_data": {path.name: dict(file.others) for path, file in files.items() if file.others},
                **({"unreadable": unreadable} if unreadable else {}),
            },
        )

    def _file(self, box: Container) -> RobomimicFile:
        if box.path not in self._files:
            self._files[box.path] = open_file(box)
        return self._files[box.path]

    def _episode(self, key: str, place: _Place, demo: bytes) -> Episode:
        file, box = self._file(place.box), place.box
        attributes, listing = box.attributes(demo), box.listing(demo)
        declared = count_of(attributes.get("num_samples"))
        steps = steps_of(listing.tables, declared)
        extra: dict[str, Any] = {"group_attributes": listing.group_attributes} if listing.group_attributes else {}
        streams: dict[str, Stream] = {}
        for table in listing.tables:
            if table.name == BLOB:
                continue
            if is_stream(table, steps):
                stream = robomimic_stream(box, table, file.rate_hz)
                size = file.camera_size(table.name) if stream.is_picture else {}
                streams[table.name] = replace(stream, declared=size) if size else stream
            else:
                extra[table.name] = box.whole(table)
        model, embodiment = attributes.get("model_file"), None
        if file.robot is not None:
            embodiment = Embodiment(file.robot, cameras=file.cameras, model=model if isinstance(model, str) else None)
        if embodiment is not None and embodiment.model is not None:
            del attributes["model_file"]
        about = {n: v for n, v in file.attributes.items() if n not in ("total", "num_demos")}
        episode = Episode(
            id=key,
            streams=streams,
            embodiment=embodiment,
            instructions=file.instructions_of(attributes),
            outcome=_outcome(attributes),
            origin=Origin(split=file.split(place.name)),
            declared_rate_hz=file.rate_hz,
            declared_steps=declared,
            extra={**extra, **attributes, **({"data": about} if about else {})},
            ref=EpisodeRef(self.format, str(self.path), key),
        )
        return _original(episode, box, listing.tables)

    def _row(self, key: str, place: _Place) -> tuple[EpisodeRow, Declaration | None]:
        if place.demo is None:
            list(_demos(place.box))
            raise DamagedData(place.box.path, "has become readable since the dataset was opened.")
        file, (attributes, found) = self._file(place.box), place.box.glimpse(place.demo, member=b"actions")
        declared = count_of(attributes.get("num_samples"))
        steps = declared if found is None else found
        row = EpisodeRow(
            key,
            steps=steps,
            duration_s=None if steps is None or file.rate_hz is None else float(steps / file.rate_hz),
            instructions=tuple(told.text for told in file.instructions_of(attributes)),
            split=file.split(place.name),
            robot=file.robot,
            success=_outcome(attributes).success,
            file=place.box.path.name,
        )
        if declared is None or found is None:
            return row, None
        where = f"{place.box.path.name}: data/{place.name}.num_samples"
        return row, Declaration(f"{key}.num_samples", declared, found, where, "found is the number of actions")

    def _sizes(self) -> dict[str, Size]:
        """Bytes per stream of the first demonstrations, scaled up to all."""
        measured: Counter[str] = Counter()
        places = [place for place in self._places.values() if place.demo is not None]
        for place in places[:_MEASURED_DEMOS]:
            try:
                tables = place.box.listing(place.demo or b"").tables
            except DamagedData:
                continue  # The row of this demonstration, or its episode, tells the damage.
            # Values of any length lie in a heap that all datasets share: HDF5 does not tell whose is what.
            for table in (table for table in tables if not table.dtype.hasobject):
                measured[table.name] += table.stored_bytes
        scale = max(1.0, len(places) / _MEASURED_DEMOS)
        return {name: Size(round(size * scale), is_estimate=scale > 1) for name, size in measured.items()}


def _demos(box: Container) -> Iterator[_Place]:
    for name, raw in box.children("data").items():
        yield _Place(box, b"data/" + raw, name)


def _declarations(path: Path, file: RobomimicFile, rows: Sequence[tuple[str, EpisodeRow]]) -> Iterator[Declaration]:
    where, demos = f"{path.name}: data", {name for name, _ in rows}
    total = count_of(file.attributes.get("total"))
    steps = [row.steps for _, row in rows]
    if total is not None and None not in steps:
        yield Declaration("total", total, sum(step or 0 for step in steps), f"{where}.total", "number of steps")
    count = count_of(file.attributes.get("num_demos"))
    if count is not None:
        yield Declaration("num_demos", count, len(demos), f"{where}.num_demos")
    for name, members in file.masks.items():
        absent = [member for member in members if member not in demos]
        hint = f"not in the file: {', '.join(absent[:5])}{', ...' if len(absent) > 5 else ''}" if absent else ""
        yield Declaration(f"mask/{name}", len(members), len(members) - len(absent), f"{path.name}: mask/{name}", hint)


def _outcome(attributes: Mapping[str, Any]) -> Outcome:
    success = attributes.get("success")
    if isinstance(success, bool) or success in (0, 1):
        return Outcome(bool(success), reason="attribute success")
    return Outcome()


def _original(found: Episode, box: Container, tables: Sequence[Table]) -> Episode:
    """What our writer put there, where it was our writer."""
    blob = blob_in(box, tables)
    return found if blob is None else restored(found, blob.data, where=blob.where)


def layout(episode: Episode, *, anchor: str | None = None, rate_hz: Fraction | None = None) -> Layout:
    """Where the streams of an episode go; `anchor` is the stream whose samples become rows (else the first camera).

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: nothing in it can be rows.
    """
    return plan(episode, anchor=anchor).layout


def write(
    path: Path, episodes: Iterable[Episode], *, anchor: str | None = None, rate_hz: Fraction | None = None
) -> None:
    """Write one HDF5 file (a folder that holds it, where the path has no HDF5 ending).

    `rate_hz` is declared as `control_freq`: by default what the source declares, or its measured rate.

    Raises:
        UnknownName: an episode has no stream called `anchor`.
        WriteRefused: the target exists or cannot be written, or an episode does not fit.
        DamagedData: an episode cannot be read.
    """
    write_file(path, episodes, anchor=anchor, rate_hz=rate_hz)
