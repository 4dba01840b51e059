"""ACT / ALOHA HDF5: one file per attempt, with observations/qpos, observations/images/<camera> and action.

Layout: `episode_<n>.hdf5` with `observations/qpos`, `qvel`, `effort`, `observations/images/<camera>` and `action`. The
file keeps neither times nor a rate (ACT's own code assumes 50 Hz), so clocks are unknown. Language and success are read
where descendants of the format write them as attributes. Padded JPEG rows pass through as they lie; whether their red
and blue are swapped no file says. Datasets without a time axis go to `Episode.extra`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.open_files import SUFFIXES, file_bytes, has_signature, hdf5_files
from robokata.containers.hdf5.values import Table
from robokata.core.clock import step_clock
from robokata.core.episode import Episode, EpisodeRef, Instruction, Outcome
from robokata.core.errors import DamagedData, MissingPart, UnknownName
from robokata.core.layout import Layout
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Role, Stream
from robokata.formats._aloha.write import Options, Packing, plan, write_folder
from robokata.formats._hdf5.streams import kind_of_numbers, stream_of
from robokata.formats._hdf5.write import BLOB, blob_in
from robokata.formats._roles import column_role, is_flag
from robokata.formats._row_table import restored

IS_FOLDER_OF_FILES = True
LOOKS_FOR = "episode_0.hdf5, episode_1.hdf5, ... (or one such file) with observations/qpos and action"
LOSES = (
    "times and rate: rows are one after the other (carried beside)",
    "streams at other rates, text, messages and lists (carried beside)",
    "pictures that stand in no row",
    "video: frames are decoded to raw pixels",
    "instructions of parts of an episode (carried beside)",
)

_NAME = re.compile(r"episode_?\d+\.(hdf5|h5|hdf)", re.IGNORECASE)
_SNIFFED_FILES = 5
"""Files of a folder that are looked into: one damaged file must not hide the others."""
_MEASURED_FILES = 100
"""Files whose datasets are measured for sizes per stream; the rest is scaled up."""
_IMAGES = "observations/images/"
_ROLES = {
    "action": Role.ACTION,
    "base_action": Role.ACTION,
    "observations/qpos": Role.STATE,
    "observations/qvel": Role.STATE,
    "observations/effort": Role.SENSOR,
}
_LANGUAGE = ("language_instruction", "language_raw", "instruction", "task")
"""Fields in which descendants of the format keep the sentence; the format itself has no place for language."""
_CLOCK = "the file keeps neither times nor a rate; ACT's own code assumes 50 Hz (DT = 0.02), which no file says"
_COLOUR = (
    "unknown: encoders that are handed RGB where they expect BGR write JPEGs whose red and blue are swapped, "
    "and the file does not say whether that happened"
)


def sniff(path: Path) -> float:
    """0.95 for the layout; 0.5 for a file that is called episode_<n>.hdf5 and cannot be opened."""
    if path.is_dir():
        return max((_score(file) for file in _episode_files(path)[:_SNIFFED_FILES]), default=0.0)
    if not (path.name.lower().endswith(SUFFIXES) or has_signature(path)):
        return 0.0
    return _score(path)


def _score(file: Path) -> float:
    unreadable = 0.5 if _NAME.fullmatch(file.name) else 0.0
    if not has_signature(file):
        return unreadable
    box = Container(file)
    try:
        has_observations = box.has(b"observations/qpos") or box.has(b"observations/images")
        has_action = box.has(b"action") or box.has(b"base_action")
        # What our writer put there is ALOHA, also where the episode has no action to write.
        return 0.95 if (has_observations and has_action) or box.has(BLOB.encode()) else 0.0
    except (DamagedData, MissingPart):
        return unreadable


def _episode_files(folder: Path) -> list[Path]:
    """The files called episode_<n>, or all where none is: statistics may lie beside the episodes."""
    files = hdf5_files(folder)
    return [file for file in files if _NAME.fullmatch(file.name)] or files


def read(path: Path) -> AlohaSource:
    """Open one file, or the episodes of a folder.

    Raises:
        DamagedData: the path is one file, and cannot be opened.
    """
    return AlohaSource(path)


class _Parts(NamedTuple):
    """One file, listed and not read."""

    tables: list[Table]
    attributes: dict[str, Any]
    group_attributes: dict[str, dict[str, Any]]
    steps: int | None


class AlohaSource:
    """Episodes that are a file each. A class, because it keeps the list of files."""

    format = "aloha_hdf5"

    def __init__(self, path: Path) -> None:
        self.path = path
        files = _episode_files(path) if path.is_dir() else [path]
        stems = Counter(file.stem for file in files)
        self._files = {file.stem if stems[file.stem] == 1 else file.name: file for file in files}
        if not path.is_dir():
            _parts(Container(path))

    def keys(self) -> Sequence[str]:
        return list(self._files)

    def episode(self, key: str) -> Episode:
        """One file.

        Raises:
            UnknownName: no file has this name.
            DamagedData: it cannot be read.
        """
        if key not in self._files:
            raise UnknownName("episode", key, self._files)
        box = Container(self._files[key])
        parts = _parts(box)
        extra: dict[str, Any] = dict(parts.attributes)
        if parts.group_attributes:
            extra["group_attributes"] = parts.group_attributes
        streams: dict[str, Stream] = {}
        for table in parts.tables:
            if table.name == BLOB:
                continue
            if _is_stream(table, parts.steps):
                streams[table.name] = _stream(box, table)
            else:
                extra[table.name] = box.whole(table)
        episode = Episode(
            id=key,
            streams=streams,
            instructions=_instructions(extra),
            outcome=_outcome(extra),
            extra=extra,
            ref=EpisodeRef(self.format, str(self.path), key),
        )
        blob = blob_in(box, parts.tables)
        return episode if blob is None else restored(episode, blob.data, where=blob.where)

    def facts(self) -> Facts:
        """Rows from the headers of the files; no value is read."""
        rows: list[EpisodeRow] = []
        declarations: list[Declaration] = []
        unreadable: dict[str, str] = {}
        sims: set[bool | None] = set()
        measured: Counter[str] = Counter()
        measured_files = 0
        for key, file in self._files.items():
            try:
                parts = _parts(Container(file))
            except DamagedData as damage:
                rows.append(EpisodeRow(key, file=file.name))
                unreadable[key] = str(damage)
                continue
            texts = tuple(told.text for told in _instructions(parts.attributes))
            success = _outcome(parts.attributes).success
            rows.append(EpisodeRow(key, steps=parts.steps, instructions=texts, success=success, file=file.name))
            sims.add(parts.attributes.get("sim") if isinstance(parts.attributes.get("sim"), bool) else None)
            declarations += _declarations(key, file, parts)
            if measured_files < _MEASURED_FILES:
                measured_files += 1
                measured.update({table.name: table.stored_bytes for table in parts.tables if not table.dtype.hasobject})
        scale = max(1.0, len(rows) / max(measured_files, 1))
        return Facts(
            format=self.format,
            version=None,
            rows=rows,
            declarations=tuple(declarations),
            sizes={name: Size(round(size * scale), is_estimate=scale > 1) for name, size in measured.items()},
            total_size=Size(file_bytes(self._files.values())),
            extra={
                "clock": _CLOCK,
                **({"sim": sims.pop()} if len(sims) == 1 else {}),
                **({"unreadable": unreadable} if unreadable else {}),
            },
        )


def _parts(box: Container) -> _Parts:
    listing = box.listing(b"")
    lengths = {table.name: table.shape[0] for table in listing.tables if table.shape}
    if not any(name.startswith("observations/") or name in (*_ROLES, BLOB) for name in lengths):
        raise DamagedData(box.path, "holds neither 'observations' nor 'action': not an ACT or ALOHA episode.")
    known = (lengths[name] for name in ("action", "observations/qpos", *lengths) if name in lengths and name != BLOB)
    return _Parts(listing.tables, box.attributes("/"), listing.group_attributes, next(known, None))


def _is_stream(table: Table, steps: int | None) -> bool:
    if not table.shape or table.content == "references" or table.name == "compress_len":
        return False
    if table.name in _ROLES or table.name.startswith(_IMAGES):
        return True
    # T + 1: some recorders keep the observation after the last action.
    is_long = steps is not None and table.shape[0] in (steps, steps + 1)
    return is_long and not (table.content == "text" and len(table.shape) > 1)


def _stream(box: Container, table: Table) -> Stream:
    is_camera = table.name.startswith(_IMAGES) and not is_flag(table.name, table.dtype)
    others = Role.SENSOR if table.name.startswith("observations/") else Role.UNKNOWN
    kind = kind_of_numbers(table)
    named = _ROLES.get(table.name) or column_role(table.name, kind, table.dtype, otherwise=others)
    role = Role.CAMERA if is_camera else named
    clock = step_clock(table.shape[0])
    is_encoded = is_camera and len(table.shape) < 3
    extra = {"colour_order": _COLOUR} if is_encoded else {}
    return stream_of(box, table, name=table.name, role=role, clock=clock, extra=extra)


def _declarations(key: str, file: Path, parts: _Parts) -> Iterator[Declaration]:
    cameras = [table for table in parts.tables if table.name.startswith(_IMAGES) and table.shape]
    compress = parts.attributes.get("compress")
    if isinstance(compress, bool) and cameras:
        found = all(len(table.shape) < 3 for table in cameras)
        yield Declaration(f"{key}.compress", compress, found, f"{file.name}: compress", "are the pictures encoded?")
    for table in parts.tables:
        if table.name == "compress_len" and len(table.shape) == 2:
            found_shape = (len(cameras), max((camera.shape[0] for camera in cameras), default=0))
            where = f"{file.name}: compress_len"
            yield Declaration(f"{key}.compress_len", table.shape, found_shape, where, "cameras, pictures per camera")


def _instructions(fields: Mapping[str, Any]) -> tuple[Instruction, ...]:
    for name in _LANGUAGE:
        told = fields.get(name)
        if isinstance(told, list) and told and all(isinstance(one, str) for one in told):
            return tuple(Instruction(one, source=name) for one in told)
        if isinstance(told, str):
            return (Instruction(told, source=name),)
    return ()


def _outcome(fields: Mapping[str, Any]) -> Outcome:
    success = fields.get("success")
    return Outcome(success, reason="attribute success") if isinstance(success, bool) else Outcome()


def layout(
    episode: Episode,
    *,
    anchor: str | None = None,
    state: str | None = None,
    action: str | None = None,
    pictures: Packing = "copy",
    jpeg_quality: int = 95,
) -> Layout:
    """Where the streams of an episode go; the options are those of `write`.

    Raises:
        UnknownName: the episode has no stream of a name in the options.
        WriteRefused: nothing in it can be rows, or its pictures cannot be JPEG.
    """
    return plan(episode, Options(anchor, state, action, pictures, jpeg_quality)).table.layout


def write(
    path: Path,
    episodes: Iterable[Episode],
    *,
    anchor: str | None = None,
    state: str | None = None,
    action: str | None = None,
    pictures: Packing = "copy",
    jpeg_quality: int = 95,
) -> None:
    """Write a folder of episode_0.hdf5, episode_1.hdf5, ...

    `anchor` is the stream whose samples become rows (else the first camera), `state` and `action` the streams that ACT
    is to find as `observations/qpos` and `action` (else those of that role). Numbers keep their type: ACT converts what
    it reads to float32. Quality 95: libjpeg's own advice for the highest that is worth its bytes.

    Raises:
        UnknownName: an episode has no stream of a name in the options.
        WriteRefused: the target exists or cannot be written, or an episode does not fit, or there is none.
        DamagedData: an episode cannot be read.
    """
    write_folder(path, episodes, Options(anchor, state, action, pictures, jpeg_quality))
