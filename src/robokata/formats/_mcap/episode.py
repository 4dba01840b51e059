"""One episode as one MCAP file: its channels merged by time, its facts as metadata, the rest carried beside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.bag_folder import BagFolder
from robokata.containers.mcap.file import McapFile
from robokata.containers.mcap.write import McapWriter
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.layout import Layout
from robokata.core.rows import refuse_untimed
from robokata.formats._mcap.carried import ABOUT, ATTACHMENT, RECORD
from robokata.formats._mcap.tracks import Planner, Track
from robokata.packing import carry

_CALIBRATION = re.compile(r"calib|intrinsic|extrinsic|camera_info", re.IGNORECASE)


def layout_of(episode: Episode) -> Layout:
    """Where each stream goes.

    Raises:
        DamagedData: a stream cannot be read.
        WriteRefused: a stream has no times.
    """
    planner, late = _planned(episode)
    return _layout(planner, late, _shift_ns(planner.tracks))


def write_episode(path: Path, episode: Episode) -> None:
    """Write one episode as one file.

    Raises:
        DamagedData: a stream cannot be read.
        WriteRefused: a stream has no times.
    """
    planner, late = _planned(episode)
    shift_ns = _shift_ns(planner.tracks)
    layout = _layout(planner, late, shift_ns)
    with McapWriter(path, profile=_profile(planner.tracks)) as writer:
        numbers = [writer.channel(t.topic, t.encoding, t.schema, t.metadata) for t in planner.tracks]
        for owner, row, data in _merged(planner.tracks):
            track = planner.tracks[owner]
            log_ns, publish_ns = int(track.log_ns[row]) + shift_ns, int(track.publish_ns[row]) + shift_ns
            writer.message(numbers[owner], data, log_ns=log_ns, publish_ns=max(publish_ns, 0))
        _add_metadata(writer, episode, planner)
        _add_attachments(writer, episode, planner)
        # Behind the messages: a file that is cut short then reads as any log does, up to the break.
        writer.attachment(ATTACHMENT, "application/x-npz", carry.pack(episode, layout))
        writer.finish()


class _Plan(NamedTuple):
    """The channels of an episode."""

    planner: Planner
    late: Mapping[str, int]
    """Topic -> messages whose receive time was before that of the message ahead of them."""


def _planned(episode: Episode) -> _Plan:
    refuse_untimed(episode, target="an MCAP file")
    planner = Planner(episode)
    planner.plan()
    late: dict[str, int] = {}
    for number, track in enumerate(planner.tracks):
        # A clock that runs backwards must not turn samples around: each message waits for those before it.
        rising = np.maximum.accumulate(track.log_ns) if len(track.log_ns) else track.log_ns
        moved = int(np.sum(rising != track.log_ns))
        if moved:
            late[track.topic] = moved
            planner.tracks[number] = replace(track, log_ns=rising)
    return _Plan(planner, late)


def _layout(planner: Planner, late: Mapping[str, int], shift_ns: int) -> Layout:
    found = {place.stream: place for track in planner.tracks for place in track.places}
    found |= {place.stream: place for place in planner.carried}
    notes = [
        "every stream keeps its own clock: log_time, publish_time and header.stamp are its times to the nanosecond"
    ]
    if shift_ns:
        notes.append(f"MCAP has no times before zero: log_time is {shift_ns} ns later; the original times are carried")
    if late:
        notes.append(
            f"the clock of {', '.join(late)} runs backwards, and readers of MCAP sort by log_time: "
            f"{sum(late.values())} messages have that of the message before, so that samples keep their order; the "
            f"original times are carried"
        )
    return Layout(tuple(found[name] for name in planner.episode.streams), tuple(notes))


def _shift_ns(tracks: list[Track]) -> int:
    firsts = [int(track.log_ns.min()) for track in tracks if len(track.log_ns)]
    return max(0, -min(firsts, default=0))


def _profile(tracks: list[Track]) -> str:
    """`ros1` or `ros2` where all messages are of one of them; the specification has no word for both."""
    encodings = {track.encoding for track in tracks} & {"ros1", "cdr"}
    return "" if len(encodings) > 1 else "ros1" if encodings == {"ros1"} else "ros2"


def _merged(tracks: list[Track]) -> Iterator[tuple[int, int, bytes]]:
    """Channel, number in the channel and bytes of every message by receive time; a channel keeps its own order.

    16 bytes per message are held to find the order; the messages themselves are read block by block.
    """
    keys = [track.log_ns for track in tracks]
    order: NDArray[np.int64] = np.argsort(np.concatenate(keys or [np.empty(0, np.int64)]), kind="stable")
    starts = np.cumsum([0, *(len(key) for key in keys)])
    owners = np.searchsorted(starts, order, side="right") - 1
    coming = [track.messages() for track in tracks]
    for at, owner in zip(order.tolist(), owners.tolist(), strict=True):
        data = next(coming[owner], None)
        row = at - int(starts[owner])
        if data is None:
            track = tracks[owner]
            raise DamagedData(f"topic {track.topic}", f"holds {row} of its {len(track.log_ns)} samples.")
        yield owner, row, data


def _add_metadata(writer: McapWriter, episode: Episode, planner: Planner) -> None:
    for file in _logs(planner):
        for record in file.extra.get("metadata", ()):
            if record["name"] not in (ABOUT, RECORD):
                writer.metadata(record["name"], record["values"])
    writer.metadata(ABOUT, _about(episode))
    samples = {
        place.target: {"count": count, **track.sample}
        for track in planner.tracks
        for place, count in zip(track.places, track.counts or repeat(len(track.log_ns)), strict=False)
        if place.target is not None
    }
    writer.metadata(RECORD, {"samples": json.dumps(samples)})


def _about(episode: Episode) -> dict[str, str]:
    origin, outcome = episode.origin, episode.outcome
    said = {
        "id": episode.id,
        "robot": episode.embodiment.name if episode.embodiment else None,
        "instructions": json.dumps([i.text for i in episode.instructions]) if episode.instructions else None,
        "success": None if outcome.success is None else str(outcome.success).lower(),
        "outcome_reason": outcome.reason,
        "split": origin.split,
        "session": origin.session,
        "operator": origin.operator,
        "recorded_at": origin.recorded_at,
        "declared_rate_hz": None if episode.declared_rate_hz is None else str(episode.declared_rate_hz),
    }
    return {name: value for name, value in said.items() if value is not None}


def _add_attachments(writer: McapWriter, episode: Episode, planner: Planner) -> None:
    """The attachments of the log that messages come from, the robot's model, and its calibration."""
    for file in _logs(planner):
        for row, data in file.attachments():
            if row["name"] != ATTACHMENT:
                times = {name: row[name] for name in ("log_time_ns", "create_time_ns")}
                writer.attachment(row["name"], row["media_type"], data, **times)
    model = episode.embodiment.model if episode.embodiment else None
    if model and not any(track.topic.endswith("robot_description") for track in planner.tracks):
        name = "robot_model.urdf" if "<robot" in model else "robot_model.xml"
        writer.attachment(name, "application/xml", model.encode())
    calibration = _calibration(episode)
    if calibration:
        data = json.dumps(calibration, indent=2, default=_plain).encode()
        writer.attachment("calibration.json", "application/json", data)


def _logs(planner: Planner) -> list[McapFile]:
    """MCAP files that messages are copied from; their metadata and attachments go along."""
    logs = {id(said.log.log): said.log.log for said in planner.logs}.values()
    files = [file for log in logs for file in (log.files if isinstance(log, BagFolder) else [log])]
    return [file for file in files if isinstance(file, McapFile)]


def _calibration(episode: Episode) -> dict[str, Any]:
    whole = {name: value for name, value in episode.extra.items() if _CALIBRATION.search(name)}
    cameras = {
        stream.name: {name: value for name, value in stream.extra.items() if _CALIBRATION.search(name)}
        for stream in episode.pictures()
    }
    return whole | {name: found for name, found in cameras.items() if found}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)
