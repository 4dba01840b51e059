"""Writing an RLDS version folder: one TFRecord record per episode, described as TFDS describes it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.tf_example_write import ExampleTooLarge, ExampleWriter
from robokata.containers.tfrecord import MAX_RECORD_BYTES, masked_crc32c
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Layout
from robokata.core.stream import Kind
from robokata.formats._picture_write import encode_jpeg, encode_png
from robokata.formats._rlds.layout import Column, Declared, Pictures, Plan
from robokata.formats._rlds.record import FLAGS, STEPS
from robokata.formats._rlds.unstepped import PICTURES, SAMPLES, places_of
from robokata.media.images import probe
from robokata.packing.carry import pack

METADATA = "episode_metadata/"
CARRIED = METADATA + "robokata"
"""Feature of a record that holds what steps cannot. features.json does not declare it, on purpose: the loaders
of Octo and OpenVLA repeat all declared metadata once per step, and a tool that rewrites the steps through TFDS leaves
out what is not declared, so that what is carried never outlives the steps it belongs to."""
_BLOCK = 32
"""Pictures decoded at a time: 30 MB of 480 x 640."""
_PIECE_BYTES = 2**20
_NOT_A_WORD = re.compile(r"\W", re.ASCII)
_NAME = re.compile(r"[a-zA-Z]\w*", re.ASCII)  # what TFDS takes for the name of a dataset
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_CLASS = "tensorflow_datasets.core.features."


class Title(NamedTuple):
    """Name and version of a TFDS dataset."""

    name: str
    version: str


def title_of(path: Path, *, name: str | None, version: str | None) -> Title:
    """What a dataset is called: as said, else by its folder, `<name>/<version>` or `<name>`.

    Raises:
        WriteRefused: TFDS takes no such name or version.
    """
    is_versioned = _VERSION.fullmatch(path.name) is not None
    folder = path.parent.name if is_versioned else path.name
    chosen = name if name is not None else _NOT_A_WORD.sub("_", folder)
    if name is None and not _NAME.fullmatch(chosen):
        chosen = f"dataset_{chosen}"
    number = version if version is not None else path.name if is_versioned else "1.0.0"
    if not _NAME.fullmatch(chosen):
        raise WriteRefused(
            f"name={chosen!r}: TFDS takes names of letters, digits and underscores that start with a letter."
        )
    if not _VERSION.fullmatch(number):
        raise WriteRefused(f"version={number!r}: TFDS takes three numbers, like 1.0.0.")
    return Title(chosen, number)


def split_of(episode: Episode) -> str:
    """The split that an episode goes to: its own, with what no file name of TFDS holds replaced; else `train`."""
    return _NOT_A_WORD.sub("_", episode.origin.split or "") or "train"


@dataclass
class _Split:
    """Shards of one split: the numbered files so far, and how far the last one is filled."""

    counts: list[int] = field(default_factory=list)
    size: int = 0
    last: int = 0


class Written(NamedTuple):
    """One episode as a record of a shard, whatever stands before it: made in any process."""

    episode: str
    split: str
    file: Path
    """The record as TFRecord frames it. A file, because an episode of pictures is too much to hand around."""
    payload_bytes: int
    declared: Mapping[str, Declared]


def record_of(episode: Episode, plan: Plan, layout: Layout, *, pictures: Pictures, scratch: Path) -> Written:
    """The record of one episode, in a new file in `scratch`.

    Raises:
        WriteRefused: it does not fit into one record.
        DamagedData: it cannot be read.
    """
    writer = ExampleWriter(limit_bytes=MAX_RECORD_BYTES - 16)
    declared: dict[str, Declared] = {}
    try:
        for column in plan.columns:
            declared[STEPS + column.target] = _write_column(writer, column, pictures)
        for name, (spec, values) in _added(episode, plan):
            if name not in declared:
                declared[name] = spec
                _write_values(writer, name, spec, values)
        writer.add_bytes(CARRIED, [pack(plan.carried, layout)])
    except ExampleTooLarge:
        raise WriteRefused(
            f"episode {episode.id} takes more than 2 GiB, and RLDS holds an episode in one record of at most that. "
            "Write smaller pictures with pictures='jpeg' (lossy), or cut the episode."
        ) from None
    data = writer.join()
    length = struct.pack("<Q", len(data))
    handle, name = tempfile.mkstemp(suffix=".record", dir=scratch)
    with os.fdopen(handle, "wb") as file:
        file.writelines(
            (length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data)))
        )
    return Written(episode.id, split_of(episode), Path(name), len(data), declared)


class VersionFolder:
    """A version folder that fills up episode by episode. A class, because the number of shards is known at the end."""

    def __init__(self, place: Path, title: Title, *, shard_bytes: int) -> None:
        self.place, self.title, self.shard_bytes = place, title, shard_bytes
        self.features: dict[str, Declared] = {}
        self.splits: dict[str, _Split] = {}
        self._first: str | None = None

    def add(self, record: Written) -> None:
        """Append one episode.

        Raises:
            WriteRefused: its steps differ from those of the episodes before.
        """
        self._merge(record)
        state = self.splits.setdefault(record.split, _Split())
        if not state.counts or (state.last and state.last + record.payload_bytes > self.shard_bytes):
            state.counts.append(0)
            state.last = 0
        shard = _open_shard(self.place, record.split, len(state.counts) - 1)
        if shard.exists():
            # Opened anew for each episode: a dataset of a thousand splits would run out of open files.
            with record.file.open("rb") as file, shard.open("ab") as out:
                shutil.copyfileobj(file, out, _PIECE_BYTES)
            record.file.unlink()
        else:
            record.file.rename(shard)
        state.counts[-1] += 1
        state.last += record.payload_bytes
        state.size += record.payload_bytes

    def close(self) -> None:
        """Give the shards their names, and describe them."""
        for split, state in self.splits.items():
            for number in range(len(state.counts)):
                name = f"{self.title.name}-{split}.tfrecord-{number:05d}-of-{len(state.counts):05d}"
                _open_shard(self.place, split, number).rename(self.place / name)
        info = {
            "fileFormat": "tfrecord",
            "name": self.title.name,
            "splits": [
                {
                    "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                    "name": split,
                    "numBytes": str(state.size),
                    "shardLengths": [str(count) for count in state.counts],
                }
                for split, state in self.splits.items()
            ],
            "version": self.title.version,
        }
        # Indents and sorted keys are those of TFDS 4.9.
        (self.place / "dataset_info.json").write_text(json.dumps(info, indent=2, sort_keys=True))
        features = self.features or {STEPS + flag: Declared("tensor", "bool", "none", ()) for flag in FLAGS}
        (self.place / "features.json").write_text(json.dumps(_tree(features, is_top=True), indent=4, sort_keys=True))

    def _merge(self, record: Written) -> None:
        """All episodes of a TFDS dataset have the same features; only the sizes of pictures may differ."""
        declared = record.declared
        if self._first is None:
            self._first = record.episode
            self.features = dict(declared)
            return
        for name in sorted({*self.features, *declared}):
            before, now = self.features.get(name), declared.get(name)
            if before is None or now is None or not _agree(before, now):
                raise WriteRefused(
                    f"episode {record.episode} {_shown(now, 'has', name)}, and episode {self._first} "
                    f"{_shown(before, 'had', name)}. RLDS holds one set of features per dataset: write the episodes to "
                    "two datasets."
                )
            if before.form == "image":
                self.features[name] = _joined(before, now)


def _write_column(writer: ExampleWriter, column: Column, pictures: Pictures) -> Declared:
    name, declared, stream = STEPS + column.target, column.declared, column.stream
    if stream.is_picture:
        sizes: set[tuple[int, int]] = set()
        writer.add_bytes(name, _pictures(column, sizes, pictures.quality))
        _write_left_out(writer, column, pictures.quality)
        if len(sizes) > 1:
            return declared._replace(shape=(None, None, *declared.shape[2:]))
        return declared
    values = np.asarray(stream.values[:])
    if stream.kind in (Kind.TEXT, Kind.MESSAGE):
        values = np.asarray(values, object)
    _write_values(writer, name, declared, values[column.picked])
    return declared


def _write_left_out(writer: ExampleWriter, column: Column, quality: int) -> None:
    places = places_of(column.picked, len(column.stream))
    samples = np.flatnonzero(places < 0)
    if len(samples) and column.declared.form == "image":
        encoded = _copied(column, samples, set()) if column.is_copied else _encoded(column, samples, quality)
        writer.add_bytes(PICTURES + column.target, encoded)
        writer.add_integers(SAMPLES + column.target, places)


def _pictures(column: Column, sizes: set[tuple[int, int]], quality: int) -> Iterator[bytes]:
    """The picture of each step as bytes; a picture that stands in several steps is encoded once."""
    samples = np.unique(column.picked)
    encoded = _copied(column, samples, sizes) if column.is_copied else _encoded(column, samples, quality)
    if (np.diff(column.picked) < 0).any():  # steps whose clock runs backwards
        found = dict(zip(samples.tolist(), encoded, strict=True))
        yield from (found[sample] for sample in column.picked.tolist())
        return
    for data, steps in zip(encoded, np.unique(column.picked, return_counts=True)[1].tolist(), strict=True):
        yield from itertools.repeat(data, steps)


def _copied(column: Column, samples: NDArray[np.int64], sizes: set[tuple[int, int]]) -> Iterator[bytes]:
    pictures, name = column.stream.pictures, column.stream.name
    for sample in samples.tolist():
        picture = pictures.encoded(sample)
        if picture is None:
            raise WriteRefused(f"{name}: picture {sample} has no bytes of its own, and the first one had.")
        facts = probe(picture.data, where=f"{name}, picture {sample}")
        sizes.add((facts.height, facts.width))
        yield picture.data


def _encoded(column: Column, samples: NDArray[np.int64], quality: int) -> Iterator[bytes]:
    encode = _encoder(column.declared, quality)
    for at in range(0, len(samples), _BLOCK):
        yield from map(encode, column.stream.values[samples[at : at + _BLOCK]])


def _open_shard(place: Path, split: str, number: int) -> Path:
    return place / f"{split}-{number}.open"


def _encoder(declared: Declared, quality: int) -> Callable[[NDArray[Any]], bytes]:
    if declared.form == "tensor":
        dtype = np.dtype(declared.dtype).newbyteorder("<")
        return lambda picture: zlib.compress(np.ascontiguousarray(picture, dtype).data, 1)
    if declared.encoding == "jpeg":
        return lambda picture: encode_jpeg(picture, quality=quality)
    return encode_png


def _write_values(writer: ExampleWriter, name: str, declared: Declared, values: NDArray[Any]) -> None:
    """Values of all steps, (R, ...), as one list."""
    if declared.dtype == "string":
        writer.add_bytes(name, (v.encode() if isinstance(v, str) else bytes(v) for v in values.reshape(-1)))
    elif declared.encoding == "bytes":
        little = np.ascontiguousarray(values, np.dtype(declared.dtype).newbyteorder("<"))
        writer.add_bytes(name, (sample.tobytes() for sample in little))
    elif values.dtype.kind == "f":
        writer.add_floats(name, values)
    else:
        writer.add_integers(name, values)


def _added(episode: Episode, plan: Plan) -> Iterator[tuple[str, tuple[Declared, NDArray[Any]]]]:
    """What RLDS's loaders expect beside the streams; an episode of RLDS has what it has."""
    count = len(plan.rows)
    if not plan.is_rlds:
        is_last = np.arange(count) == count - 1
        success = episode.outcome.success is True
        for name, values in {
            "is_first": np.arange(count) == 0,
            "is_last": is_last,
            "is_terminal": is_last & success,  # an episode that was cut off ends in no terminal state
            "reward": (is_last & success).astype(np.float32),
            "discount": np.ones(count, np.float32),
        }.items():
            yield STEPS + name, (Declared("tensor", values.dtype.name, "none", ()), values)
        yield STEPS + "language_instruction", (Declared("text", "string", "", ()), _instructions(episode, plan))
    metadata = episode.extra.get("episode_metadata")
    if not isinstance(metadata, Mapping) or not plan.is_rlds:
        metadata = {"file_path": _file_path(episode), "episode_id": episode.id} if not plan.is_rlds else {}
    for name, value in metadata.items():
        found = _metadata(value)
        if found is not None and METADATA + name != CARRIED:
            yield METADATA + name, found


def _instructions(episode: Episode, plan: Plan) -> NDArray[Any]:
    """The instruction of each step: the one of its time, else the one of the whole episode, else none."""
    whole = next((i.text for i in episode.instructions if i.start_s is None), None)
    first = episode.instructions[0].text if episode.instructions else ""
    texts = np.full(len(plan.rows), first if whole is None else whole, dtype=object)
    clock = plan.rows.clock
    times_s = (clock.times_ns - episode.start_ns) / 1e9 if clock.has_times else np.empty(0)
    for instruction in episode.instructions:
        if instruction.start_s is not None and len(times_s):
            texts[(times_s >= instruction.start_s) & (times_s < (instruction.end_s or np.inf))] = instruction.text
    return texts


def _file_path(episode: Episode) -> str:
    """Folder and key that the episode was read from: a whole path would publish the user's home folder."""
    return f"{Path(episode.ref.path).name}/{episode.ref.key}" if episode.ref is not None else ""


def _metadata(value: Any) -> tuple[Declared, NDArray[Any]] | None:
    """A field of an RLDS episode as a feature, None for what comes back from the carried part only."""
    if isinstance(value, (str, bytes)):
        cell = np.empty(1, object)
        cell[0] = value
        return Declared("text" if isinstance(value, str) else "tensor", "string", "none", ()), cell
    if isinstance(value, (bool, int)) and -(2**63) <= value < 2**63:
        return Declared("tensor", "bool" if isinstance(value, bool) else "int64", "none", ()), np.asarray([value])
    if isinstance(value, float):
        return Declared("tensor", "float32", "none", ()), np.asarray([value], np.float32)
    if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) and value.dtype.name in ("float32", "int64"):
        return Declared("tensor", value.dtype.name, "none", value.shape), value
    return None


def _agree(before: Declared, now: Declared) -> bool:
    if before.form == now.form == "image":
        return before.dtype == now.dtype
    return before._replace(description="") == now._replace(description="")


def _joined(before: Declared, now: Declared) -> Declared:
    """Pictures of both episodes: sizes that differ are unknown, grey and colour are colour."""
    sides = [a if a == b else None for a, b in zip(before.shape[:2], now.shape[:2], strict=True)]
    channels = max(before.shape[2] or 3, now.shape[2] or 3)
    encoding = before.encoding if before.encoding == now.encoding else ""
    return before._replace(shape=(*sides, channels), encoding=encoding)


def _shown(declared: Declared | None, verb: str, name: str) -> str:
    if declared is None:
        return f"{verb} no {name}"
    return f"{verb} {name} as {declared.form} of {declared.dtype}{list(declared.shape)}"


def _tree(features: Mapping[str, Declared], *, is_top: bool = False) -> dict[str, Any]:
    """features.json: nested where names have slashes, and `steps` a sequence of what lies below."""
    folders: dict[str, dict[str, Declared]] = {}
    members: dict[str, Any] = {}
    for name, declared in features.items():
        head, slash, rest = name.partition("/")
        if slash:
            folders.setdefault(head, {})[rest] = declared
        else:
            members[head] = _leaf(declared)
    for head, below in folders.items():
        inside = _tree(below)
        if is_top and head == "steps":
            sequence = {"feature": inside, "length": "-1"}
            inside = {"pythonClassName": _CLASS + "dataset_feature.Dataset", "sequence": sequence}
        members[head] = inside
    return {"featuresDict": {"features": members}, "pythonClassName": _CLASS + "features_dict.FeaturesDict"}


def _leaf(declared: Declared) -> dict[str, Any]:
    sides = [str(-1 if side is None else side) for side in declared.shape]
    shape = {"dimensions": sides} if sides else {}
    node: dict[str, Any]
    if declared.form == "text":
        node = {"pythonClassName": _CLASS + "text_feature.Text", "text": {}}
    elif declared.form == "image":
        encoding = {"encodingFormat": declared.encoding} if declared.encoding else {}
        about = {"dtype": declared.dtype, **encoding, "shape": shape}
        node = {"image": about, "pythonClassName": _CLASS + "image_feature.Image"}
    else:
        is_scalar = not sides and declared.encoding == "none"
        kind = "scalar.Scalar" if is_scalar else "tensor_feature.Tensor"
        about = {"dtype": declared.dtype, "encoding": declared.encoding, "shape": shape}
        node = {"pythonClassName": _CLASS + kind, "tensor": about}
    return node | ({"description": declared.description} if declared.description else {})
