"""RLDS as tensorflow-datasets lays it out, and read again by protobuf, Pillow and the features file."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.trust import tfrecord
from benchmarks.trust.arrays import Columns
from benchmarks.trust.truth import EpisodeTruth, Truth


def write(root: Path, episodes: Sequence[Columns], *, texts: Sequence[str] = ()) -> Path:
    """`<root>/tiny/1.0.0` with one shard of `train`."""
    extra = episodes[0].extra
    records = [_record(episode, number) for number, episode in enumerate(episodes)]
    for record in records if texts else ():
        record["steps/language_instruction"] = [text.encode() for text in texts]
    return write_version(root, records, {"extra": tensor(extra.dtype.name, *extra.shape[1:])})


def write_version(root: Path, records: list[dict[str, Any]], observations: Mapping[str, Any]) -> Path:
    """The folder of one version; `observations` are features beside state and image."""
    folder = root / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    tfrecord.write(folder / "tiny-train.tfrecord-00000-of-00001", records)
    split = {"name": "train", "numBytes": "1", "shardLengths": [str(len(records))]}
    info = {"name": "tiny", "version": "1.0.0", "fileFormat": "tfrecord", "splits": [split]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(_features(observations)))
    return folder


def _record(episode: Columns, number: int) -> dict[str, Any]:
    steps = len(episode.state)
    extra = episode.extra.reshape(-1)
    is_float = extra.dtype.kind == "f"
    return {
        "steps/observation/state": episode.state.reshape(-1).astype(float).tolist(),
        "steps/action": episode.action.reshape(-1).astype(float).tolist(),
        "steps/observation/image": [_png(picture) for picture in episode.pictures],
        "steps/observation/extra": [float(v) for v in extra] if is_float else [_signed(int(v)) for v in extra],
        "steps/is_first": [int(i == 0) for i in range(steps)],
        "steps/is_last": [int(i == steps - 1) for i in range(steps)],
        "steps/language_instruction": [f"pick up block {number}, größer als 3 cm".encode()] * steps,
    }


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "png")
    return out.getvalue()


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    """A tensor's entry of features.json."""
    return {"tensor": {"shape": {"dimensions": [str(n) for n in shape]}, "dtype": dtype, "encoding": "none"}}


def _features(observations: Mapping[str, Any]) -> dict[str, Any]:
    picture = {"shape": {"dimensions": ["32", "48", "3"]}, "dtype": "uint8", "encodingFormat": "png"}
    step = {
        "observation": _dict({"state": tensor("float32", 7), "image": {"image": picture}, **observations}),
        "action": tensor("float32", 7),
        "is_first": tensor("bool"),
        "is_last": tensor("bool"),
        "language_instruction": {"text": {}},
    }
    return _dict({"steps": {"sequence": {"feature": _dict(step), "length": "-1"}}})


def _dict(features: Mapping[str, Any]) -> dict[str, Any]:
    return {"featuresDict": {"features": features}}


def read(path: Path) -> list[EpisodeTruth]:
    """The truth by protobuf and Pillow; types and shapes by features.json, as TFDS does."""
    step = json.loads((path / "features.json").read_text())
    step = step["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"]["features"]
    tensors = {"action": step["action"]["tensor"]}
    for name, node in step["observation"]["featuresDict"]["features"].items():
        if "tensor" in node:
            tensors[f"observation/{name}"] = node["tensor"]
    (count,) = json.loads((path / "dataset_info.json").read_text())["splits"][0]["shardLengths"]
    return [_episode(tfrecord.features(path, number), tensors) for number in range(int(count))]


def _episode(lists: Mapping[str, list[Any]], tensors: Mapping[str, Any]) -> EpisodeTruth:
    steps = len(lists["steps/is_first"])
    streams = {}
    for name, node in tensors.items():
        shape = [int(n) for n in node["shape"]["dimensions"]]
        values = lists[f"steps/{name}"]
        kind = np.float32 if values and isinstance(values[0], float) else np.int64
        # A record holds float32 whatever float is declared: a float64 lost its precision when it was written.
        stored = "float32" if node["dtype"].startswith("float") else node["dtype"]
        array = np.asarray(values, kind).astype(stored)
        streams[name] = Truth(numbers=array.reshape(steps, *shape))
    pictures = [np.asarray(Image.open(io.BytesIO(data))) for data in lists["steps/observation/image"]]
    streams["observation/image"] = Truth(pictures=pictures)
    texts = [text.decode() for text in lists["steps/language_instruction"]]
    streams["language_instruction"] = Truth(texts=texts)
    return EpisodeTruth(streams, instructions=tuple(dict.fromkeys(texts)))
