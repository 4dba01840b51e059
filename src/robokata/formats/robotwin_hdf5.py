"""RoboTwin 2.0 raw HDF5: one file per attempt, with observation/<camera>/rgb, joint_action/* and endpose/*.

Pictures are JPEGs in fixed-length byte strings. The file keeps neither times nor a rate, so clocks are unknown.
`joint_action/vector` repeats the arms and grippers side by side. Sentences are read from `instructions/episode<n>.json`
beside the folder of the episodes, where it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.open_files import SUFFIXES, file_bytes, has_signature, hdf5_files
from robokata.containers.hdf5.values import Table
from robokata.core.clock import step_clock
from robokata.core.episode import Episode, EpisodeRef, Instruction
from robokata.core.errors import DamagedData, MissingPart, UnknownName
from robokata.core.source import EpisodeRow, Facts, Size
from robokata.core.stream import Role, Stream
from robokata.formats._hdf5.streams import kind_of_numbers, stream_of
from robokata.formats._lerobot.facts import read_json
from robokata.formats._roles import column_role

LOOKS_FOR = "episode0.hdf5, episode1.hdf5, ... (or one such file) with observation/<camera>/rgb and joint_action"
_NAME = re.compile(r"episode_?\d+\.(hdf5|h5)", re.IGNORECASE)
_SNIFFED_FILES = 5
"""Files of a folder that are looked into: one damaged file must not hide the others."""
_TEXTS = ("seen", "unseen")
"""RoboTwin's sentences to train on and to test on."""


def sniff(path: Path) -> float:
    """0.95 for the layout; damaged files are left to ALOHA, whose name they share."""
    if path.is_dir():
        return max((_score(file) for file in _episode_files(path)[:_SNIFFED_FILES]), default=0.0)
    return _score(path) if path.name.lower().endswith(SUFFIXES) or has_signature(path) else 0.0


def _score(file: Path) -> float:
    if not has_signature(file):
        return 0.0
    box = Container(file)
    try:
        return 0.95 if box.has(b"joint_action") and box.has(b"observation") and box.is_group(b"observation") else 0.0
    except (DamagedData, MissingPart):
        return 0.0


def _episode_files(folder: Path) -> list[Path]:
    return [file for file in hdf5_files(folder) if _NAME.fullmatch(file.name)]


def read(path: Path) -> RoboTwinSource:
    """Open one file, or the episodes of a folder; nothing is read."""
    return RoboTwinSource(path)


class RoboTwinSource:
    """Episodes that are a file each. A class, because it keeps the list of files."""

    format = "robotwin_hdf5"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = {file.stem: file for file in (_episode_files(path) if path.is_dir() else [path])}

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
        tables = box.listing(b"").tables
        steps = _steps(box, tables)
        streams: dict[str, Stream] = {}
        extra: dict[str, Any] = box.attributes("/")
        for table in tables:
            if table.shape and table.shape[0] == steps and table.content != "references":
                streams[table.name] = _stream(box, table)
            else:
                extra[table.name] = box.whole(table)
        return Episode(
            id=key,
            streams=streams,
            instructions=tuple(self._instructions(key)),
            extra=extra,
            ref=EpisodeRef(self.format, str(self.path), key),
        )

    def facts(self) -> Facts:
        """Rows from the headers of the files; no value is read."""
        rows: list[EpisodeRow] = []
        unreadable: dict[str, str] = {}
        for key, file in self._files.items():
            steps = None
            try:
                box = Container(file)
                steps = _steps(box, box.listing(b"").tables)
            except DamagedData as damage:
                unreadable[key] = str(damage)
            texts = tuple(said.text for said in self._instructions(key))
            rows.append(EpisodeRow(key, steps=steps, instructions=texts, file=file.name))
        return Facts(
            format=self.format,
            version=None,
            rows=rows,
            total_size=Size(file_bytes(self._files.values())),
            extra={"unreadable": unreadable} if unreadable else {},
        )

    def _instructions(self, key: str) -> Iterator[Instruction]:
        folder = self.path if self.path.is_dir() else self.path.parent
        file = folder.parent / "instructions" / f"{key}.json"
        try:
            said = read_json(file) if file.is_file() else {}
        except DamagedData:
            return  # The sentences stand beside the data; the episode is whole without them.
        for name in _TEXTS:
            texts = said.get(name) if isinstance(said, dict) else None
            for text in texts if isinstance(texts, list) else ():
                yield Instruction(str(text), source=f"instructions/{key}.json: {name}")


def _steps(box: Container, tables: Sequence[Table]) -> int:
    """Rows of the joint action, which every episode has."""
    for table in tables:
        if table.name.startswith("joint_action/") and table.shape:
            return table.shape[0]
    raise DamagedData(box.path, "holds no rows in 'joint_action': not a RoboTwin episode.")


def _stream(box: Container, table: Table) -> Stream:
    is_camera = table.name.startswith("observation/") and table.name.endswith(("/rgb", "/depth"))
    otherwise = Role.SENSOR if table.name.startswith("observation/") else Role.UNKNOWN
    named = column_role(table.name, kind_of_numbers(table), table.dtype, otherwise=otherwise)
    role = Role.CAMERA if is_camera else Role.SENSOR if table.name.startswith("observation/") else named
    return stream_of(box, table, name=table.name, role=role, clock=step_clock(table.shape[0]), extra={})
