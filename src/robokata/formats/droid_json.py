"""DROID as one JSON per episode, beside the mp4 files of its cameras.

Layout: `annotation/<split>/<number>.json` and `videos/<split>/<number>/<camera>.mp4`. The JSON holds states, actions,
instruction and success. Two rates meet in one episode: `raw_length` rows as the robot was controlled, and
`state_length` rows of `states`, as many as the videos have frames (`video_length`). No file says what the rates of the
rows are (15 Hz and 5 Hz in publications), so their clocks are unknown; a video's rate is the one that its container
declares. Files under `latent_videos` are made by a model and not read; `facts` tells how many of them are there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.clock import ClockQuality, paced_clock, step_clock
from robokata.core.episode import Episode, EpisodeRef, Instruction, Origin, Outcome
from robokata.core.errors import DamagedData, TooLarge, UnknownName, Unsupported
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats._droid.fields import declared_count, json_object, listed_paths, number_table
from robokata.formats._roles import is_flag
from robokata.media.packet_index import packet_index
from robokata.media.video import VideoFrames

LOOKS_FOR = "a folder with annotation/<split>/<number>.json and videos/ (DROID as JSON and mp4)"

MAX_JSON_BYTES = 64 << 20
"""A minute of DROID is 600 kB of JSON; 64 MiB is more than an hour and a half of it."""
MAX_FRAMES = 10**7
"""Frames that `video_length` may claim: three weeks at 5 Hz."""
_HEAD_BYTES = 16384
"""The counts, texts and paths are the first 1 kB of the file, before the numbers."""
_NUMBERS_START = re.compile(rb',\s*"(states|observation\.|action\.)')
_HEAD_KEYS = ("texts", "success", "videos")
_FRAME, _ROW = "picture", "control step"
"""Counters: rows of `states` and pictures of videos, and rows of everything else."""


def sniff(path: Path) -> float:
    """0.95 where the first annotation starts as DROID's do, 0.5 where only the folders are named so."""
    try:
        first = next(iter(_annotations(path)), None) if (path / "videos").is_dir() else None
        if first is None:
            return 0.0
        with (path / first.file).open("rb") as file:
            head = file.read(2048)
        return 0.95 if b'"texts"' in head and b'"video_length"' in head else 0.5
    except OSError:
        return 0.0


def read(path: Path) -> DroidJson:
    """Open the dataset: the list of its annotation files."""
    return DroidJson(path)


class _Entry(NamedTuple):
    split: str
    file: str


class DroidJson:
    """One dataset. A class, because it keeps the list of annotations and the last of them parsed."""

    format = "droid_json"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = {f"{e.split}/{Path(e.file).stem}": e for e in _annotations(path)}
        # Four: an episode is opened, looked at and pickled in turn; each is some megabytes of Python floats.
        self._whole = functools.lru_cache(maxsize=4)(self._parse)

    def keys(self) -> Sequence[str]:
        return list(self.entries)

    def episode(self, key: str) -> Episode:
        """Open one episode.

        Raises:
            UnknownName: no annotation has this name.
            DamagedData: the annotation is not JSON, or holds no numbers where they are due.
        """
        if key not in self.entries:
            raise UnknownName("episode", key, self.entries)
        entry = self.entries[key]
        where, values = self.path / entry.file, self._whole(entry.file)
        streams = [*self._numbers(where, values), *self._videos(where, values)]
        names = {stream.name for stream in streams}
        return Episode(
            id=key,
            streams={stream.name: stream for stream in streams},
            instructions=_instructions(values),
            outcome=_outcome(values),
            origin=Origin(split=entry.split),
            declared_steps=declared_count(values, "raw_length"),
            extra={name: value for name, value in values.items() if name not in names},
            ref=EpisodeRef(self.format, str(self.path), key),
        )

    def _parse(self, file: str) -> Mapping[str, Any]:
        where = self.path / file
        try:
            size = where.stat().st_size
            if size > MAX_JSON_BYTES:
                raise TooLarge(where, f"an annotation of {size} bytes; at most {MAX_JSON_BYTES} are read.")
            return json_object(where.read_bytes(), where)
        except OSError as error:
            raise DamagedData(where, f"cannot be read: {error.strerror}.") from None

    def _numbers(self, where: Path, values: Mapping[str, Any]) -> Iterator[Stream]:
        for name, value in values.items():
            is_due = name == "states" or name.startswith(("observation.", "action."))
            if not is_due and not (isinstance(value, list) and value and isinstance(value[0], (list, float))):
                continue
            array = number_table(where, name, value)
            named = Role.ACTION if name.startswith("action.") else Role.STATE if is_due else Role.SENSOR
            role = Role.SENSOR if is_flag(name, array.dtype) else named
            # `states` has a row per picture of the videos; the other tables have one per control step.
            clock = step_clock(len(array), counter=_FRAME if name == "states" else _ROW)
            field = "state_length" if name == "states" else "raw_length" if is_due else None
            promised = None if field is None else declared_count(values, field)
            said = {} if promised is None else {"samples": promised, "where": f"{where.name}: {field}"}
            yield Stream(name, Kind.TENSOR, role, clock, ArrayValues(array), encoding="json", declared=said)

    def _videos(self, where: Path, values: Mapping[str, Any]) -> Iterator[Stream]:
        for number, relative in enumerate(listed_paths(values, "videos", "video_path")):
            file = self._inside(where, relative)
            promised = declared_count(values, "video_length")
            frames, codec, rate = promised, None, None
            try:
                index = packet_index(file)
                codec, rate = index.codec, index.average_rate_hz
                # More frames than promised are there all the same; fewer are missed by whoever asks for them.
                frames = max(promised or 0, len(index.pts))
            except (DamagedData, Unsupported):
                # The stream says so itself, in `media()` and when a frame is asked for.
                pass
            count = min(frames or 0, MAX_FRAMES)
            clock = step_clock(count, counter=_FRAME)
            if rate is not None:
                clock = paced_clock(clock, rate, quality=ClockQuality.DECLARED)
            # The list names no cameras; its order does, and the file's own name where it differs.
            name = f"videos/{file.stem if file.stem.isdigit() else f'{number}_{file.stem}'}"
            said = {} if promised is None else {"frames": promised}
            yield Stream(name, Kind.VIDEO, Role.CAMERA, clock, VideoFrames(file, count), encoding=codec, declared=said)

    def _inside(self, where: Path, relative: str) -> Path:
        file = self.path / relative
        if "\0" in relative or Path(relative).is_absolute() or ".." in Path(relative).parts:
            raise DamagedData(where, f"names the video {relative[:80]!r}, which lies outside the dataset.")
        return file

    def facts(self) -> Facts:
        """Rows and declarations from the first lines of each annotation; no number and no video is read."""
        rows: list[EpisodeRow] = []
        declarations: list[Declaration] = []
        there = {"videos": 0, "latent_videos": 0}
        due: dict[str, list[str]] = {"videos": [], "latent_videos": []}
        absent: dict[str, str] = {}
        for key, entry in self.entries.items():
            try:
                head = self._head(entry.file)
            except DamagedData as error:
                rows.append(EpisodeRow(key, split=entry.split, file=entry.file))
                declarations.append(Declaration(f"annotation of {key}", "JSON", "damaged", entry.file, str(error)))
                continue
            rows.append(_row(key, entry, head))
            declared = str(head.get("episode_id", Path(entry.file).stem))
            declarations.append(Declaration(f"episode_id of {key}", declared, Path(entry.file).stem, entry.file))
            for field, part in (("videos", "video_path"), ("latent_videos", "latent_video_path")):
                for relative in listed_paths(head, field, part):
                    is_there = "\0" not in relative and (self.path / relative).is_file()
                    due[field].append(relative)
                    there[field] += is_there
                    if not is_there:
                        absent.setdefault(field, relative)
        for field, paths in due.items():
            hint = f"{absent[field]} is the first that is not there." if field in absent else ""
            declarations.append(Declaration(f"files of {field}", len(paths), there[field], "annotation/*/*.json", hint))
        return Facts(
            format=self.format,
            version=None,
            rows=rows,
            splits={split: sum(e.split == split for e in self.entries.values()) for split in self._splits()},
            declarations=tuple(declarations),
            total_size=self._size(),
        )

    def _splits(self) -> list[str]:
        return list(dict.fromkeys(entry.split for entry in self.entries.values()))

    def _head(self, file: str) -> Mapping[str, Any]:
        try:
            with (self.path / file).open("rb") as opened:
                head = opened.read(_HEAD_BYTES)
        except OSError as error:
            raise DamagedData(self.path / file, f"cannot be read: {error.strerror}.") from None
        cut = _NUMBERS_START.search(head)
        if cut is not None and all(f'"{name}"'.encode() in head[: cut.start()] for name in _HEAD_KEYS):
            return json_object(head[: cut.start()] + b"}", self.path / file)
        return self._whole(file)

    def _size(self) -> Size:
        files = [self.path / entry.file for entry in self.entries.values()]
        # 200 episodes tell the size to a few percent; a stat of every file of DROID would take minutes.
        step = max(len(files) // 200, 1)
        total = 0
        for file in files[::step]:
            videos = self.path / "videos" / file.parent.name / file.stem
            found = [file, *(videos.iterdir() if videos.is_dir() else ())]
            total += sum(f.stat().st_size for f in found if f.is_file())
        return Size(total * len(files) // max(len(files[::step]), 1), step > 1)


def _annotations(path: Path) -> Iterator[_Entry]:
    """Annotation files, split by split, in the order of their numbers."""
    folder = path / "annotation"
    for split in sorted(folder.iterdir()) if folder.is_dir() else ():
        if split.is_dir():
            numbered = [f for f in split.iterdir() if f.suffix == ".json" and re.fullmatch(r"\d{1,18}", f.stem)]
            for file in sorted(numbered, key=lambda f: (int(f.stem), f.stem)):
                yield _Entry(split.name, f"annotation/{split.name}/{file.name}")


def _instructions(values: Mapping[str, Any]) -> tuple[Instruction, ...]:
    texts = values.get("texts")
    texts = [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
    return tuple(Instruction(text, source="texts") for text in texts or [""])


def _outcome(values: Mapping[str, Any]) -> Outcome:
    success = values.get("success")
    if isinstance(success, int) and success in (0, 1):
        return Outcome(bool(success), "the field success")
    return Outcome(None, "the field success is absent or neither 0 nor 1")


def _row(key: str, entry: _Entry, head: Mapping[str, Any]) -> EpisodeRow:
    return EpisodeRow(
        key,
        steps=declared_count(head, "raw_length"),
        instructions=tuple(dict.fromkeys(i.text for i in _instructions(head))),
        split=entry.split,
        success=_outcome(head).success,
        file=entry.file,
    )
