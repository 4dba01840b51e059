"""Reading back what Robokata wrote as MCAP: the original's names, clocks, shapes and meanings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.open_log import OpenLog
from robokata.containers.mcap.file import McapFile
from robokata.core.episode import Episode, EpisodeRef
from robokata.core.errors import DamagedData
from robokata.core.source import EpisodeRow
from robokata.core.stream import Stream
from robokata.core.values import Index, Values
from robokata.formats._logs.episode import episode_of
from robokata.media.images import RawImages
from robokata.packing import carry

ATTACHMENT = "robokata/episode.npz"
"""Name of the attachment that carries what ROS has no field for."""
RECORD = "robokata/samples"
"""Name of the metadata record that says what the numbers were before they became ROS types."""

ABOUT = "robokata/episode"
"""Name of the metadata record that says in words what the episode is, for people with other tools."""


class Reformed:
    """Numbers in the shape and type that they had before they became a ROS type; both hold the same numbers."""

    def __init__(self, values: Values, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.values, self._sample, self.dtype = values, shape, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.values), *self._sample)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        found = np.asarray(self.values[index])
        shape = self._sample if isinstance(index, (int, np.integer)) else (len(found), *self._sample)
        return found.reshape(shape).astype(self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"Reformed({self.dtype}{list(self.shape)} from {self.values!r})"


def restored_episode(log: OpenLog, ref: EpisodeRef) -> Episode:
    """The episode that a log holds: the original where Robokata wrote the file, else what the messages say.

    Raises:
        DamagedData: its index, the first message of a topic, or what was carried beside cannot be read.
    """
    found = episode_of(log, ref)
    file = log.log
    if not isinstance(file, McapFile) or all(row["name"] != ATTACHMENT for row in file.contents.attachments):
        return found
    samples = _samples(found, str(file.path))
    for name, sample in samples.items():
        held = len(found.streams[name]) if name in found.streams else 0
        if held != sample.get("count", held):
            raise DamagedData(
                file.path,
                f"{name} has {held} messages, and was written with {sample['count']}.",
                next_move="The file was changed or cut after it was written: convert the source again.",
            )
    try:
        streams = {name: _reformed(stream, samples.get(name)) for name, stream in found.streams.items()}
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise DamagedData(file.path, f"the metadata record {RECORD!r} is broken: {error}.") from None
    where = f"{file.path}: attachment {ATTACHMENT}"
    return carry.unpack(replace(found, streams=streams), file.attachment(ATTACHMENT), where=where)


def told_row(row: EpisodeRow, extra: Mapping[str, Any]) -> EpisodeRow:
    """An index row with what the file's metadata says of the episode; a record that says nothing changes nothing."""
    about = _record(extra, ABOUT)
    try:
        said = json.loads(about.get("instructions", "[]"))
    except (ValueError, RecursionError):
        said = []
    texts = tuple(text for text in said if isinstance(text, str)) if isinstance(said, list) else ()
    return replace(
        row,
        instructions=tuple(dict.fromkeys(texts)),
        split=about.get("split"),
        robot=about.get("robot"),
        success={"true": True, "false": False}.get(about.get("success", "")),
        session=about.get("session"),
    )


def _record(extra: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """The metadata record of a name that only Robokata writes, and writes once; empty where there is none."""
    return next((record["values"] for record in extra.get("metadata", ()) if record["name"] == name), {})


def _samples(found: Episode, where: str) -> Mapping[str, Any]:
    try:
        samples = json.loads(_record(found.extra, RECORD).get("samples", "{}"))
    except (ValueError, RecursionError) as error:
        raise DamagedData(where, f"the metadata record {RECORD!r} is broken: {error}.") from None
    if not isinstance(samples, dict) or not all(isinstance(sample, dict) for sample in samples.values()):
        raise DamagedData(where, f"the metadata record {RECORD!r} is broken: no table of samples.")
    return samples


def _reformed(stream: Stream, sample: Mapping[str, Any] | None) -> Stream:
    """A stream with the shape and type that the record states; only the same number of numbers is believed."""
    if sample is None or "shape" not in sample:
        return stream
    shape, dtype = tuple(int(size) for size in sample["shape"]), np.dtype(sample["dtype"])
    if dtype.kind not in "fiub" or any(size < 0 for size in shape):
        raise ValueError(f"{stream.name} is no array of {sample['dtype']}")
    if stream.is_picture and not isinstance(stream.values, RawImages):
        raise ValueError(f"{stream.name} holds no raw numbers")
    raw = stream.values if isinstance(stream.values, RawImages) else None
    values = stream.values if raw is None else raw.values
    # Only a type whose every number the message's type holds: what was written went the same way.
    if not np.can_cast(dtype, values.dtype, "safe"):
        raise ValueError(f"{stream.name} cannot have been {dtype}")
    is_same = shape == tuple(values.shape[1:]) and dtype == values.dtype
    if not is_same and int(np.prod(shape, dtype=object)) != int(np.prod(values.shape[1:], dtype=object)):
        raise ValueError(f"{stream.name} cannot have the shape {shape}")
    kept: Values = values if is_same else Reformed(values, shape, dtype)
    if raw is not None:
        scale = float(sample.get("scale", raw.scale))
        return (
            stream
            if is_same and scale == raw.scale
            else replace(stream, values=RawImages(kept, where=raw.where, scale=scale))
        )
    return stream if is_same else replace(stream, values=kept)
