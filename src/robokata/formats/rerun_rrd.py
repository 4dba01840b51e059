"""Rerun recordings (`.rrd`), for viewing: written, and not read.

One recording per episode: a path that ends in `.rrd` is the file of one episode, any other a folder with a file per
episode (`rerun OUT/*.rrd` opens them side by side). Every stream stands on its own clock: the timeline `time` holds the
nanoseconds of the source, further clocks are timelines of their own (`time header`), and what has no times stands on
`step`. Encoded pictures and video packets are copied; video whose packets come in another order than its pictures is a
cut of the file with a reference per frame. A number per channel is a curve; poses of a declared convention are
transforms besides, under `/poses`; instructions and annotations are text.

Keep the dataset: Rerun has no place for units, conventions and everything else that training asks for, and Robokata
does not read recordings back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.contracts import WrittenEpisode
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Layout, Place, Way
from robokata.core.require import require
from robokata.core.stream import Kind, Stream
from robokata.formats._rerun.pictures import place_of_pictures, put_pictures
from robokata.formats._rerun.poses import poses_of, transform_columns
from robokata.formats._rerun.readback import differences, read_entities
from robokata.formats._rerun.recording import STEPS, RerunRecording, timelines_of
from robokata.formats._row_table import distinct, legal_name
from robokata.runtime.atomic import appearing

LOOKS_FOR = "a Rerun recording (.rrd)"
IS_REPRODUCIBLE = False  # Its SDK gives every chunk a random id.
LOSES = (
    "the way back: recordings are for viewing, and Robokata does not read them",
    "the type of numbers: curves are float64, transforms float32",
    "ragged samples and messages",
    "units, frames and conventions, roles, clock qualities, the robot's model",
    "the encoding of pictures that Rerun does not show: their pixels are kept as PNG",
)

_CURVES = 64
"""Numbers of a sample that are still curves; a depth row or a tactile array of more is a tensor."""


def layout(episode: Episode) -> Layout:
    """Where each stream of an episode stands in a recording.

    Raises:
        DamagedData: its pictures cannot be read.
    """
    places: list[Place] = []
    for stream in episode.streams.values():
        taken = [place.target for place in places if place.target is not None]
        places.append(_place(stream, distinct(_entity(stream.name), taken)))
    poses = [pose.name for pose in poses_of(episode)]
    notes = [
        "A recording is for viewing: it holds no units, conventions and types, and Robokata does not read it back."
    ]
    notes += [f"Poses stand besides as transforms under /poses: {', '.join(poses)}."] if poses else []
    return Layout(tuple(places), tuple(notes))


def write(path: Path, episodes: Iterable[Episode]) -> None:
    """Write one recording per episode: a file where `path` ends in `.rrd`, else a folder of files.

    Raises:
        WriteRefused: the target is occupied or cannot be written, or a file is asked for and there is not one episode.
        DamagedData: an episode cannot be read.
    """
    require("rerun", extra="rerun")
    is_file = path.suffix.lower() == ".rrd"
    given = iter(episodes)
    # Two are looked at before anything is written: a recording of ten gigabytes must not be refused behind the first.
    first = list(islice(given, 2 if is_file else 0))
    if is_file and len(first) != 1:
        raise WriteRefused(
            f"{path}: a Rerun recording holds one episode, and {'several were' if first else 'none was'} given. Name a "
            f"folder ({path.with_suffix('')}) for a file per episode, or choose one (--episode ID)."
        )
    with appearing(path, is_file=is_file) as place:
        names: list[str] = []
        for episode in chain(first, given):
            names.append(distinct(legal_name(episode.id), names))
            _write_episode(place if is_file else place / f"{names[-1]}.rrd", episode)
        if not names:
            raise WriteRefused(f"{path}: no episodes were given.")


def compare(path: Path, episodes: Iterable[Episode]) -> Iterator[WrittenEpisode]:
    """What was written of each episode, by the SDK's own reader: times of every stream, numbers of every curve.

    Raises:
        DamagedData: a recording is not there or cannot be read, or an episode cannot.
    """
    rr = require("rerun", extra="rerun")
    names: list[str] = []
    for episode in episodes:
        names.append(distinct(legal_name(episode.id), names))
        file = path if path.suffix.lower() == ".rrd" else path / f"{names[-1]}.rrd"
        found = read_entities(file)
        wrong, rows = [], 0
        for place in layout(episode).places:
            if place.target is None:
                continue
            stream = episode.streams[place.stream]
            entity = str(rr.new_entity_path([level for level in place.target.split("/") if level]))
            is_curves = stream.is_numeric and _is_curves(stream)
            wrong += [(stream.name, what) for what in differences(stream, found.get(entity), is_curves=is_curves)]
            rows += len(stream)
        yield WrittenEpisode(episode.id, rows, tuple(wrong))


def _write_episode(path: Path, episode: Episode) -> None:
    # Named by where it lies: episodes 0 of two datasets are two recordings, and the same one again is the same.
    home = episode.ref.path if episode.ref is not None else ""
    recording = RerunRecording(path, name=f"episode {episode.id}", identity=f"{home}|{episode.id}")
    for place in layout(episode).places:
        if place.target is not None:
            _put(recording, recording.entity(place.target), episode.streams[place.stream])
    rr = recording.rr
    for pose in poses_of(episode):
        entity = recording.entity("poses", pose.name)
        recording.put(entity, timelines_of(pose.rotation), transform_columns(rr, pose))
    _put_texts(recording, episode)
    recording.put_property("episode", dict(_facts(episode)))
    recording.close()


def _entity(name: str) -> str:
    return "/" + "/".join(level for level in name.split("/") if level)


def _place(stream: Stream, entity: str) -> Place:
    if stream.is_picture:
        return place_of_pictures(stream, entity)
    if not len(stream):
        return Place(stream.name, None, Way.DROPPED, "holds no sample")
    if stream.kind is Kind.TEXT:
        return Place(stream.name, entity, Way.COPIED, "as text")
    if stream.is_numeric:
        what = "curves" if _is_curves(stream) else "a tensor"
        note = f"as {what}; float64" if stream.values.dtype != np.float64 and _is_curves(stream) else f"as {what}"
        return Place(stream.name, entity, Way.COPIED, note)
    return Place(stream.name, None, Way.DROPPED, f"Rerun has no view of {stream.kind} samples")


def _is_curves(stream: Stream) -> bool:
    return int(np.prod(stream.shape, dtype=np.int64)) <= _CURVES


def _put(recording: RerunRecording, entity: str, stream: Stream) -> None:
    rr, times = recording.rr, timelines_of(stream)
    if stream.is_picture:
        put_pictures(recording, entity, stream)
    elif stream.kind is Kind.TEXT:
        # One text per sample: some formats keep several.
        texts = [str(text) if np.ndim(text) == 0 else "\n".join(map(str, np.ravel(text))) for text in stream.values[:]]
        recording.put(entity, times, rr.TextLog.columns(text=texts))
    elif _is_curves(stream):
        table = stream.table.astype(np.float64)
        names = [stream.channel_name(channel) for channel in range(table.shape[1])]
        recording.put_static(entity, rr.SeriesLines.columns(names=names).partition([len(names)]))
        columns = rr.Scalars.columns(scalars=table.ravel()).partition([table.shape[1]] * len(table))
        recording.put(entity, times, columns)
    else:
        recording.put(entity, times, rr.Tensor.columns(data=_tensors(rr, stream)))


def _tensors(rr: Any, stream: Stream) -> Any:
    """The samples as one Arrow array: the SDK turns tensors into Arrow one by one, and joins none."""
    pa = require("pyarrow", extra="tables")
    data = rr.components.TensorDataBatch
    return pa.concat_arrays([data(_shown(sample), strict=True).pa_array for sample in np.asarray(stream.values[:])])


def _shown(sample: Any) -> Any:
    return sample.astype(np.uint8) if sample.dtype == np.bool_ else sample


def _put_texts(recording: RerunRecording, episode: Episode) -> None:
    rr = recording.rr
    spans: list[tuple[float | None, float | None, str, str]] = [
        (i.start_s, None, i.text, "instruction") for i in episode.instructions if i.text
    ]
    spans += [(a.start_s, a.end_s, a.label, "annotation") for a in episode.annotations]
    has_times = any(STEPS not in timelines_of(stream) for stream in episode.streams.values())
    for kind in dict.fromkeys(kind for *_, kind in spans):
        rows: list[tuple[float, str]] = []
        for start_s, end_s, text, own in spans:
            if own == kind:
                rows += [(start_s or 0.0, text)] + ([(end_s, f"end of: {text}")] if end_s is not None else [])
        at = np.asarray([episode.start_ns + round(second * NS_PER_S) for second, _ in rows], np.int64)
        # Without times there are no seconds: what begins somewhere begins at a step.
        times = {"time": at} if has_times else {STEPS: np.asarray([round(second) for second, _ in rows], np.int64)}
        recording.put(recording.entity(kind), times, rr.TextLog.columns(text=[text for _, text in rows]))


def _facts(episode: Episode) -> Iterator[tuple[str, Any]]:
    """What a viewer's properties show; nothing is said of what is not known."""
    yield "id", episode.id
    if episode.embodiment is not None:
        yield "robot", episode.embodiment.name
    if episode.outcome.success is not None:
        yield "success", episode.outcome.success
    for name in ("split", "session", "operator", "recorded_at"):
        if (value := getattr(episode.origin, name)) is not None:
            yield name, value
    if episode.declared_rate_hz is not None:
        yield "declared_rate_hz", float(episode.declared_rate_hz)
