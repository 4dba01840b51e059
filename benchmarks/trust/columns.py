"""What tables hold beside numbers of one shape: texts, bytes, lists, gaps, streams of other lengths, absent streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import zarr

from benchmarks.trust import lerobot_set, rlds_set, tables
from benchmarks.trust.arrays import STEPS, Columns, columns
from benchmarks.trust.lerobot_set import LeRobotSet
from benchmarks.trust.truth import EpisodeTruth, Truth, Variant

LONG = "pick up the red block and put it into the bowl; " * 400
TEXTS: Mapping[str, list[Any]] = {
    "empty": [""] * STEPS,
    "some_empty": ["", "grasp"] * (STEPS // 2),
    "non_ascii": ["Würfel ☃ 红色积木", "\U0001f916", "e\u0301", "'\"\\\n\t"] * (STEPS // 4),
    "long": [LONG, "short"] * (STEPS // 2),
    "looks_like_json": ['{"a": [1, 2]}', "[]", "null", "NaN"] * (STEPS // 4),
    "spaces": [" ", "  grasp  "] * (STEPS // 2),
}


def variants() -> Iterator[Variant]:
    """Columns of Parquet, datasets of HDF5, arrays of Zarr, features of RLDS."""
    for version in ("v2", "v3"):
        for name, column in _parquet_columns():
            make = partial(_lerobot, version, column)
            yield Variant(f"columns/lerobot_{version}/{name}", make, lerobot_set.read)
    for name, texts in TEXTS.items():
        yield Variant(f"columns/robomimic/text_{name}", partial(_robomimic_texts, texts), _read_robomimic_texts)
        yield Variant(f"columns/rlds/text_{name}", partial(_rlds_texts, texts), rlds_set.read)
    for name, change in HDF5.items():
        yield Variant(f"columns/robomimic/{name}", partial(_robomimic, change), _read_robomimic)
    for name, (version, settings) in _packings().items():
        make_zarr = partial(_zarr, version, settings)
        yield Variant(f"columns/zarr/{name}", make_zarr, tables.read_zarr)


# -- Parquet -----------------------------------------------------------------------------------------------------


def _parquet_columns() -> Iterator[tuple[str, pa.Array]]:
    rng = np.random.default_rng(3)
    for name, texts in TEXTS.items():
        yield f"text_{name}", pa.array(texts)
    yield "text_large", pa.array(TEXTS["non_ascii"], pa.large_string())
    yield "text_dictionary", pa.array(TEXTS["some_empty"]).dictionary_encode()
    yield "text_null", pa.array(["grasp", None, ""] * (STEPS // 3))
    yield "numbers_dictionary", pa.array([3, 4, 3] * (STEPS // 3)).dictionary_encode()
    yield "numbers_null", pa.array([0.5, None] * (STEPS // 2))
    yield "bytes", pa.array([bytes([n, 0, 255]) for n in range(STEPS)], pa.binary())
    ragged = [rng.normal(0, 1, n % 4).astype(np.float32).tolist() for n in range(STEPS)]
    yield "ragged_numbers", pa.array(ragged, pa.list_(pa.float32()))
    yield "ragged_whole", pa.array([list(range(n % 3)) for n in range(STEPS)], pa.list_(pa.int64()))
    yield "ragged_texts", pa.array([["a", "ö"][: n % 3] for n in range(STEPS)], pa.list_(pa.string()))
    yield "list_of_bool", pa.array([[n % 2 == 0, True] for n in range(STEPS)], pa.list_(pa.bool_(), 2))
    nested = [[[float(n), 0.5], [1.0]] for n in range(STEPS)]
    yield "ragged_nested", pa.array(nested, pa.list_(pa.list_(pa.float64())))
    structs = [{"role": "user", "content": f"step {n}"} for n in range(STEPS)]
    yield "struct", pa.array(structs)
    yield "list_of_structs", pa.array([structs[: n % 3] for n in range(STEPS)], pa.list_(pa.array(structs).type))
    yield "all_null_list", pa.array([[]] * STEPS, pa.list_(pa.float32()))


def _lerobot(version: str, column: pa.Array, root: Path) -> Path:
    root.mkdir(parents=True)
    episodes = []
    for number in range(2):
        known = columns("float32", (), number)
        table: dict[str, Any] = {"observation.state": known.state, "action": known.action, "observation.note": column}
        episodes.append(table)
    kind = "string" if pa.types.is_dictionary(column.type) else str(column.type)
    return lerobot_set.write(root, LeRobotSet(version, episodes, dtypes={"observation.note": kind}))


# -- HDF5 --------------------------------------------------------------------------------------------------------


def _robomimic_texts(texts: list[str], root: Path) -> Path:
    path = tables.write_robomimic(root, [columns("float32", (), n) for n in range(2)])
    with h5py.File(path, "a") as file:
        for number in range(2):
            file[f"data/demo_{number}"].create_dataset("obs/note", data=texts, dtype=h5py.string_dtype())
    return path


def _read_robomimic_texts(path: Path) -> list[EpisodeTruth]:
    found = _read_robomimic(path)
    with h5py.File(path) as file:
        notes = [list(file[f"data/demo_{n}/obs/note"].asstr()[:]) for n in range(len(found))]
    return [EpisodeTruth({**e.streams, "obs/note": Truth(texts=n)}) for e, n in zip(found, notes, strict=True)]


def _one_more(file: h5py.File) -> None:
    """T + 1 observations: what was seen after the last action too."""
    for demo in file["data"].values():
        state = demo["obs/robot0_joint_pos"][()]
        del demo["obs/robot0_joint_pos"]
        demo["obs/robot0_joint_pos"] = np.concatenate([state, state[-1:] + 1])


def _faster(file: h5py.File) -> None:
    """Three samples for every action; nothing says how they belong together."""
    for demo in file["data"].values():
        values = demo["obs/extra"][()]
        del demo["obs/extra"]
        demo["obs/extra"] = np.repeat(values, 3, axis=0)


def _no_camera(file: h5py.File) -> None:
    del file["data/demo_1/obs/agentview_image"]


def _no_extra(file: h5py.File) -> None:
    del file["data/demo_0/obs/extra"]


def _no_rate(file: h5py.File) -> None:
    file["data"].attrs["env_args"] = '{"env_name": "Lift", "type": 1, "env_kwargs": {}}'


def _packed(file: h5py.File) -> None:
    for demo in file["data"].values():
        state = demo["obs/robot0_joint_pos"][()]
        del demo["obs/robot0_joint_pos"]
        settings: dict[str, Any] = {"chunks": (5, 7), "compression": "gzip", "shuffle": True, "fletcher32": True}
        demo.create_dataset("obs/robot0_joint_pos", data=state, **settings)


def _lzf(file: h5py.File) -> None:
    for demo in file["data"].values():
        pictures = demo["obs/agentview_image"][()]
        del demo["obs/agentview_image"]
        demo.create_dataset("obs/agentview_image", data=pictures, chunks=(1, 32, 48, 3), compression="lzf")


def _grey(file: h5py.File) -> None:
    for demo in file["data"].values():
        demo["obs/wrist_image"] = demo["obs/agentview_image"][()][..., :1]


def _depth(file: h5py.File) -> None:
    for demo in file["data"].values():
        demo["obs/agentview_depth"] = demo["obs/agentview_image"][()][..., :1].astype(np.float32) / 100


HDF5: Mapping[str, Callable[[h5py.File], None]] = {
    "one_observation_more": _one_more,
    "camera_absent_in_one": _no_camera,
    "stream_absent_in_one": _no_extra,
    "no_rate": _no_rate,
    "three_samples_per_step": _faster,
    "gzip_checksums": _packed,
    "lzf_pictures": _lzf,
    "grey_pictures": _grey,
    "depth_in_metres": _depth,
}


def _robomimic(change: Callable[[h5py.File], None], root: Path) -> Path:
    path = tables.write_robomimic(root, [columns("float32", (3,), n) for n in range(2)])
    with h5py.File(path, "a") as file:
        change(file)
    return path


def _read_robomimic(path: Path) -> list[EpisodeTruth]:
    found = []
    with h5py.File(path) as file:
        for number in range(len(file["data"])):
            demo = file[f"data/demo_{number}"]
            streams = {"actions": Truth(numbers=demo["actions"][()])}
            for name, values in demo["obs"].items():
                if values.dtype.kind != "O":
                    is_picture = name.endswith("image")
                    array = values[()]
                    streams[f"obs/{name}"] = Truth(pictures=list(array)) if is_picture else Truth(numbers=array)
            found.append(EpisodeTruth(streams))
    return found


# -- Zarr and RLDS -----------------------------------------------------------------------------------------------


def _packings() -> dict[str, tuple[int, dict[str, Any]]]:
    from numcodecs import LZ4, Blosc, GZip, Zlib
    from numcodecs import Zstd as Zstd2
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    found: dict[str, tuple[int, dict[str, Any]]] = {
        "v2_plain": (2, {"compressors": None}),
        "v2_column_order": (2, {"order": "F"}),
        "v3_plain": (3, {"compressors": None}),
        "v3_sharded": (3, {"shards": "two"}),
        "v3_sharded_plain": (3, {"shards": "two", "compressors": None}),
    }
    blosc = {f"v2_blosc_{name}": Blosc(cname=name) for name in ("lz4", "zstd", "zlib", "blosclz", "lz4hc")}
    for name, codec in {**blosc, "v2_zstd": Zstd2(), "v2_gzip": GZip(), "v2_zlib": Zlib(), "v2_lz4": LZ4()}.items():
        found[name] = (2, {"compressors": codec})
    for name, packed in {"v3_blosc": BloscCodec(), "v3_gzip": GzipCodec(), "v3_zstd": ZstdCodec(checksum=True)}.items():
        found[name] = (3, {"compressors": packed})
    return found


def _zarr(version: int, settings: dict[str, Any], root: Path) -> Path:
    root.mkdir(parents=True)
    with zarr.config.set({"array.write_empty_chunks": True}):
        return tables.write_zarr(version, root, [columns("float64", (3,), n) for n in range(2)], **settings)


def _rlds_texts(texts: list[str], root: Path) -> Path:
    episodes: list[Columns] = [columns("float32", (3,), n) for n in range(2)]
    return rlds_set.write(root, episodes, texts=texts)
