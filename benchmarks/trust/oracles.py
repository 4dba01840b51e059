"""What a written target holds by its own library: pyarrow and PyAV, mcap, h5py, zarr, protobuf. Nothing of ours."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow.parquet as pq
import zarr
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from numpy.typing import NDArray
from PIL import Image

from benchmarks.trust.truth import EpisodeTruth, Truth, unlike_numbers, unlike_pictures
from robokata.core.layout import LossReport, Way

Lookup = Callable[[Path, int, str], Any]
"""Numbers or pictures of one episode under a name of the target, None where this look does not cover them."""


def unlike_target(
    target: str, out: Path, truth: list[EpisodeTruth], report: LossReport, gone: frozenset[str]
) -> Iterator[str]:
    """What the target's own library reads otherwise than the truth, of all streams that stand in its own places."""
    look = LOOKS.get(target)
    if look is None:
        return
    for number, episode in enumerate(truth):
        for loss in report.losses:
            wanted = episode.streams.get(loss.stream)
            if wanted is None or loss.target is None or loss.stream in gone or loss.way not in _NATIVE:
                continue
            if loss.episodes != len(truth):
                continue
            found = look(out, number, loss.target)
            if found is not None:
                yield from (f"episode {number} {loss.target}: {what}" for what in _unlike(wanted, found))


_NATIVE = (Way.COPIED, Way.DECODED)
"""Ways after which a stream stands whole in the target's own place."""


def _unlike(wanted: Truth, found: Any) -> Iterator[str]:
    if wanted.numbers is not None and not isinstance(found, list):
        yield from unlike_numbers(wanted.numbers, np.asarray(found), by_type=False)
    if wanted.pictures is not None:
        yield from unlike_pictures(wanted.pictures, list(found), within_levels=wanted.within_levels)


def _lerobot(out: Path, number: int, name: str) -> Any:
    info = json.loads((out / "meta/info.json").read_text())
    if info["features"].get(name, {}).get("dtype") == "video":
        return _lerobot_video(out, info, number, name)
    tables = [pq.read_table(file) for file in sorted((out / "data").rglob("*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist() if row["episode_index"] == number]
    if not rows or name not in rows[0]:
        return None
    values = [row[name] for row in rows]
    if isinstance(values[0], dict) and "bytes" in values[0]:
        return [np.asarray(Image.open(io.BytesIO(value["bytes"]))) for value in values]
    return _array(values)


def _lerobot_video(out: Path, info: Mapping[str, Any], number: int, name: str) -> list[NDArray[Any]]:
    if info["codebase_version"].startswith("v2"):
        path = info["video_path"].format(
            episode_chunk=number // info["chunks_size"], video_key=name, episode_index=number
        )
        return decoded(out / path)
    tables = [pq.read_table(file) for file in sorted((out / "meta/episodes").rglob("*.parquet"))]
    row = next(row for table in tables for row in table.to_pylist() if row["episode_index"] == number)
    place = f"videos/{name}"
    path = info["video_path"].format(
        video_key=name, chunk_index=row[f"{place}/chunk_index"], file_index=row[f"{place}/file_index"]
    )
    return decoded(out / path, row[f"{place}/from_timestamp"], row["length"])


def decoded(path: Path, from_s: float = 0.0, count: int | None = None) -> list[NDArray[Any]]:
    """Pictures of a video file from a time on, as PyAV shows them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(frame.time, shown(frame)) for frame in container.decode(stream)]
    times = np.asarray([time for time, _ in frames])
    first = int(np.argmin(np.abs(times - from_s))) if from_s else 0
    return [picture for _, picture in frames[first : None if count is None else first + count]]


def shown(frame: Any) -> NDArray[Any]:
    """A decoded frame as pixels: grey keeps its levels, colours become 8 bits."""
    is_grey = frame.format.name.startswith("gray")
    return np.asarray(frame.to_ndarray() if is_grey else frame.to_ndarray(format="rgb24"))


def _mcap(out: Path, number: int, name: str) -> Any:
    topic, _, inner = name.partition(".")
    files = sorted(out.glob("*.mcap"), key=lambda file: (len(file.name), file.name))
    with files[number].open("rb") as opened:
        reader = make_reader(opened, decoder_factories=[DecoderFactory()])
        decodable = [c.topic for c in reader.get_summary().channels.values() if c.message_encoding == "cdr"]  # type: ignore[union-attr]
        if topic not in decodable:
            return None
        messages = [m.decoded_message for m in reader.iter_decoded_messages(topics=[topic])]
    if not messages:
        return None
    kind = type(messages[0]).__name__
    if "CompressedVideo" in kind or "CompressedImage" in kind or kind == "Image":
        return None if kind != "CompressedImage" else [_picture(bytes(m.data)) for m in messages]
    fields = inner.split(".") if inner else ["data"]
    values = []
    for value in messages:
        for part in fields:
            if not hasattr(value, part):
                return None
            value = getattr(value, part)
        values.append(value)
    return _array(values)


def _picture(data: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


def _robomimic(out: Path, number: int, name: str) -> Any:
    with h5py.File(out) as file:
        place = file.get(f"data/demo_{number}/{name}")
        return place[()] if isinstance(place, h5py.Dataset) else None


def _aloha(out: Path, number: int, name: str) -> Any:
    with h5py.File(out / f"episode_{number}.hdf5") as file:
        place = file.get(name)
        if not isinstance(place, h5py.Dataset):
            return None
        values = place[()]
    if name.startswith("observations/images/") and values.ndim == 2:
        return [_picture(row.tobytes()) for row in values]
    return values


def _zarr(out: Path, number: int, name: str) -> Any:
    group: Any = zarr.open_group(str(out), mode="r")
    if f"data/{name}" not in group:
        return None
    ends = [0, *group["meta/episode_ends"][:].tolist()]
    return group[f"data/{name}"][ends[number] : ends[number + 1]]


def _rlds(out: Path, number: int, name: str) -> Any:
    from benchmarks.trust.tfrecord import features

    (folder,) = {file.parent for file in out.rglob("dataset_info.json")}
    values = features(folder, number).get(f"steps/{name}")
    if values is None:
        return None
    if len(values) and isinstance(values[0], bytes):
        return [_picture(value) for value in values] if values[0][:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0") else None
    steps = len(features(folder, number)["steps/is_first"])
    return np.asarray(values).reshape(steps, -1)


def _array(values: list[Any]) -> Any:
    """Rows as one array, None where they are texts, or not of one shape."""
    if any(value is None or isinstance(value, (str, bytes, dict)) for value in values):
        return None
    try:
        return np.asarray(values)
    except ValueError:
        return None


LOOKS: Mapping[str, Lookup] = {
    "lerobot_v2": _lerobot,
    "lerobot_v3": _lerobot,
    "mcap": _mcap,
    "robomimic_hdf5": _robomimic,
    "aloha_hdf5": _aloha,
    "zarr_replay": _zarr,
    "rlds": _rlds,
}
