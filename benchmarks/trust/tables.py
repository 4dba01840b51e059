"""Tables of steps: HDF5, Zarr, Parquet and TFRecord, with every type, shape, kind of text and kind of gap."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr

from benchmarks.trust import arrays, lerobot_set, rlds_set
from benchmarks.trust.arrays import BIG_ENDIAN, DTYPES, STEPS, Columns
from benchmarks.trust.lerobot_set import LeRobotSet
from benchmarks.trust.truth import EpisodeTruth, Truth, Variant

SHAPES = {"scalar": (), "one": (1,), "vector": (3,), "matrix": (2, 3)}


def variants() -> Iterator[Variant]:
    """Types and shapes in every format, then what each format has of its own."""
    for form, (make, read) in FORMATS.items():
        for dtype in (*DTYPES, *(BIG_ENDIAN if form in ("robomimic", "aloha", "zarr_v2", "zarr_v3") else ())):
            shape = tuple(SHAPES)[len(dtype) % len(SHAPES)]
            name = f"tables/{form}/{dtype.replace('>', 'big_endian_')}_{shape}"
            yield Variant(name, partial(_make, make, dtype, SHAPES[shape], (STEPS, STEPS)), read)
        for shape, sizes in SHAPES.items():
            yield Variant(f"tables/{form}/shape_{shape}", partial(_make, make, "float32", sizes, (STEPS, 9)), read)
        yield Variant(f"tables/{form}/one_step", partial(_make, make, "float64", (3,), (1, STEPS)), read)
        yield Variant(f"tables/{form}/two_steps", partial(_make, make, "float64", (), (2,)), read)


Write = Callable[[Path, Sequence[Columns]], Path]


def _make(write: Write, dtype: str, shape: tuple[int, ...], lengths: Sequence[int], root: Path) -> Path:
    root.mkdir(parents=True)
    return write(root, [arrays.columns(dtype, shape, n, steps=steps) for n, steps in enumerate(lengths)])


def write_robomimic(root: Path, episodes: Sequence[Columns]) -> Path:
    """One file of demonstrations at 20 Hz."""
    root.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / "demo.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(len(e.state) for e in episodes)
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}})
        for number, episode in enumerate(episodes):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = len(episode.state)
            demo["actions"], demo["obs/robot0_joint_pos"] = episode.action, episode.state
            demo["obs/agentview_image"], demo["obs/extra"] = episode.pictures, episode.extra
            demo["rewards"] = np.zeros(len(episode.state))
            demo["dones"] = (np.arange(len(episode.state)) == len(episode.state) - 1).astype(np.int64)
    return root / "demo.hdf5"


def _read_robomimic(path: Path) -> list[EpisodeTruth]:
    found = []
    with h5py.File(path) as file:
        for number in range(len(file["data"])):
            demo = file[f"data/demo_{number}"]
            names = ("actions", "obs/robot0_joint_pos", "obs/extra", "rewards", "dones")
            streams = {name: Truth(numbers=demo[name][()]) for name in names}
            streams["obs/agentview_image"] = Truth(pictures=list(demo["obs/agentview_image"][()]))
            found.append(EpisodeTruth(streams))
    return found


def _aloha(root: Path, episodes: Sequence[Columns]) -> Path:
    folder = root / "aloha"
    folder.mkdir()
    for number, episode in enumerate(episodes):
        with h5py.File(folder / f"episode_{number}.hdf5", "w") as file:
            file.attrs["sim"] = False
            file["observations/qpos"], file["action"] = episode.state, episode.action
            file["observations/images/cam_high"] = episode.pictures
            file["observations/extra"] = episode.extra
    return folder


def _read_aloha(path: Path) -> list[EpisodeTruth]:
    found = []
    for number in range(len(list(path.glob("*.hdf5")))):
        with h5py.File(path / f"episode_{number}.hdf5") as file:
            names = ("observations/qpos", "action", "observations/extra")
            streams = {name: Truth(numbers=file[name][()]) for name in names}
            pictures = list(file["observations/images/cam_high"][()])
            found.append(EpisodeTruth({**streams, "observations/images/cam_high": Truth(pictures=pictures)}))
    return found


def write_zarr(version: int, root: Path, episodes: Sequence[Columns], **settings: Any) -> Path:
    """A replay buffer; shards that are asked for hold two chunks."""
    path = root / "replay.zarr"
    is_sharded = settings.pop("shards", None) is not None
    group: Any = zarr.open_group(str(path), mode="w", zarr_format=version)
    data, meta = group.create_group("data"), group.create_group("meta")
    for name, place in (("img", "pictures"), ("state", "state"), ("action", "action"), ("extra", "extra")):
        values = np.concatenate([getattr(episode, place) for episode in episodes])
        chunks = (7, *values.shape[1:])  # seven rows: chunks cross the ends of episodes
        shards = (14, *values.shape[1:]) if is_sharded else None
        array = data.create_array(
            name, shape=values.shape, chunks=chunks, shards=shards, dtype=values.dtype, **settings
        )
        array[:] = values
    ends = np.cumsum([len(episode.state) for episode in episodes])
    array = meta.create_array("episode_ends", shape=ends.shape, chunks=ends.shape, dtype=ends.dtype)
    array[:] = ends
    return path


def read_zarr(path: Path) -> list[EpisodeTruth]:
    """A replay buffer, by zarr."""
    group: Any = zarr.open_group(str(path), mode="r")
    ends = [0, *group["meta/episode_ends"][:].tolist()]
    found = []
    for first, end in pairwise(ends):
        streams = {name: Truth(numbers=group[f"data/{name}"][first:end]) for name in ("state", "action", "extra")}
        pictures = list(group["data/img"][first:end])
        found.append(EpisodeTruth({**streams, "img": Truth(pictures=pictures)}))
    return found


def _lerobot(version: str, root: Path, episodes: Sequence[Columns]) -> Path:
    tables = [{"observation.state": e.state, "action": e.action, "observation.extra": e.extra} for e in episodes]
    return lerobot_set.write(root, LeRobotSet(version, tables))


Read = Callable[[Path], list[EpisodeTruth]]
FORMATS: Mapping[str, tuple[Write, Read]] = {
    "robomimic": (write_robomimic, _read_robomimic),
    "aloha": (_aloha, _read_aloha),
    "zarr_v2": (partial(write_zarr, 2), read_zarr),
    "zarr_v3": (partial(write_zarr, 3), read_zarr),
    "lerobot_v2": (partial(_lerobot, "v2"), lerobot_set.read),
    "lerobot_v3": (partial(_lerobot, "v3"), lerobot_set.read),
    "rlds": (rlds_set.write, rlds_set.read),
}
