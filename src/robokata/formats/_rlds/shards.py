"""Which TFRecord files make up which split of an RLDS dataset, those that are not there included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robokata.containers.tfrecord import Shard, index_shard
from robokata.core.errors import DamagedData, MediaMissing, Unsupported
from robokata.core.source import Declaration

INFO = "dataset_info.json"
SHARD_NAME = re.compile(
    r"(?P<dataset>.+)-(?P<split>\w+)\.tfrecord(?:-(?P<number>\d{5})-of-(?P<count>\d{5}))?", re.ASCII
)
_MAX_LOST_EPISODES = 200_000
"""Keys for episodes that only dataset_info.json knows of: twice the episodes of DROID, so that a wild count
cannot fill the memory with keys."""


class ShardFile(NamedTuple):
    """One shard of a split, on disk or only named."""

    path: Path
    declared: int | None
    """Episodes that dataset_info.json promises in it."""
    shard: Shard
    problem: DamagedData | None
    """Why the file cannot be read at all."""

    @property
    def episodes(self) -> int:
        """Episodes that have a key: those found, and those that damage hides."""
        found = len(self.shard.offsets)
        # A file that ends cleanly is believed over a count; a file that is cut has lost what was promised.
        is_cut = self.problem is not None or self.shard.is_damaged or found == 0
        return max(found, self.declared or 0) if is_cut else found

    @property
    def readable(self) -> int:
        """Whole records."""
        return int((self.shard.lengths >= 0).sum())

    @property
    def payload(self) -> int:
        """Bytes of data in whole records: what TFDS counts as numBytes."""
        return int(self.shard.lengths[self.shard.lengths >= 0].sum())


def declared_splits(info: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What dataset_info.json says about each split, in its order."""
    splits = info.get("splits")
    named = splits if isinstance(splits, list) else []
    return {str(split["name"]): split for split in named if isinstance(split, dict) and "name" in split}


def splits_of(path: Path, info: Mapping[str, Any]) -> dict[str, list[ShardFile]]:
    """Shards per split: those of a folder, declared or found, or the one file that `path` is.

    Raises:
        DamagedData: the folder cannot be listed.
        Unsupported: the folder holds TFRecord files, and none is named as TFDS names them.
    """
    found = _alone(path, info) if path.is_file() else _in_folder(path, info)
    lost = sum(file.episodes - len(file.shard.offsets) for shards in found.values() for file in shards)
    if lost > _MAX_LOST_EPISODES:
        found = {split: [file._replace(declared=None) for file in shards] for split, shards in found.items()}
    return found


def _alone(path: Path, info: Mapping[str, Any]) -> dict[str, list[ShardFile]]:
    match = SHARD_NAME.fullmatch(path.name)
    split, number = (match["split"], int(match["number"] or 0)) if match else ("data", -1)
    lengths = _counts(declared_splits(info).get(split, {}).get("shardLengths"))
    return {split: [_open(path, lengths[number] if 0 <= number < len(lengths) else None)]}


def _in_folder(path: Path, info: Mapping[str, Any]) -> dict[str, list[ShardFile]]:
    declared = declared_splits(info)
    try:
        present = sorted(child for child in path.iterdir() if ".tfrecord" in child.name)
    except OSError as error:
        raise DamagedData(path, f"cannot be listed: {error.strerror}.") from None
    files: dict[str, list[Path]] = {split: [] for split in declared}
    for child in present:
        if match := SHARD_NAME.fullmatch(child.name):
            files.setdefault(match["split"], []).append(child)
    if present and not any(files.values()) and not declared:
        raise Unsupported(
            f"{path}: {present[0].name} is not named as TFDS names its files (<name>-<split>.tfrecord-00000-of-00001)."
        )
    return {split: list(_shards(path, split, paths, info)) for split, paths in files.items()}


def declarations(splits: Mapping[str, list[ShardFile]], info: Mapping[str, Any]) -> Iterator[Declaration]:
    """Counts and sizes that dataset_info.json promises, beside what the files hold."""
    for split, about in declared_splits(info).items():
        files, lengths = splits.get(split, []), _counts(about.get("shardLengths"))
        where = f"{INFO} splits.{split}"
        if None not in lengths:
            hint = "Loaders that go by the declared count skip or misread episodes."
            promised, readable = sum(n or 0 for n in lengths), sum(file.readable for file in files)
            yield Declaration(f"splits.{split}", promised, readable, f"{where}.shardLengths", hint)
        for size in _counts([about["numBytes"]]) if "numBytes" in about else ():
            found = sum(file.payload for file in files)
            if size is not None:
                yield Declaration(f"splits.{split}.numBytes", size, found, f"{where}.numBytes")
    for file in (file for files in splits.values() for file in files):
        found_here: int | str = "no file" if isinstance(file.problem, MediaMissing) else file.readable
        promise: int | str = "a file" if file.declared is None else file.declared
        is_whole = file.problem is None and not file.shard.is_damaged
        if not is_whole or (file.declared is not None and file.declared != found_here):
            hint = "" if is_whole else "Fetch this file again."
            yield Declaration(f"shard {file.path.name}", promise, found_here, INFO, hint)


def _shards(folder: Path, split: str, paths: list[Path], info: Mapping[str, Any]) -> Iterator[ShardFile]:
    lengths = _counts(declared_splits(info).get(split, {}).get("shardLengths"))
    sharded = [match for path in paths if (match := SHARD_NAME.fullmatch(path.name)) and match["number"]]
    if paths and not sharded:
        yield _open(paths[0], lengths[0] if len(lengths) == 1 else None)
        return
    # Two downloads in one folder name two counts: the declared one, else the one with more files, is read.
    totals = Counter(int(match["count"]) for match in sharded)
    total = max(totals, key=lambda n: (n == len(lengths), totals[n]), default=min(len(lengths), 99_999))
    prefix = next((match["dataset"] for match in sharded), str(info.get("name") or "dataset"))
    for number in range(total):
        name = f"{prefix}-{split}.tfrecord-{number:05d}-of-{total:05d}"
        yield _open(folder / name.replace("/", "_"), lengths[number] if len(lengths) == total else None)


def _open(path: Path, declared: int | None) -> ShardFile:
    try:
        return ShardFile(path, declared, index_shard(path), None)
    except DamagedData as problem:
        none = np.empty(0, np.int64)
        return ShardFile(path, declared, Shard(none, none), problem)


def _counts(values: Any) -> list[int | None]:
    """Numbers that JSON holds as texts; None for what is no count that a disk could hold."""
    counts: list[int | None] = []
    for value in values if isinstance(values, list) else ():
        text = str(value) if isinstance(value, (str, int)) else ""
        counts.append(int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None)
    return counts
