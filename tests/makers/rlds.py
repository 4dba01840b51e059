"""RLDS on TFDS, written by hand: TFRecord framing and protobuf wire format, as tensorflow-datasets writes them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import simplejpeg

from robokata.testing import barcode_picture

FILES = "*.tfrecord-*"
Lists = Mapping[str, Any]
"""Feature name -> list of float, of int or bool, or of bytes or str; [] for a feature without a list."""


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """A version folder with `train` in two shards and the last episode (of three or more) in `val`."""
    rng = np.random.default_rng(seed)
    records = [example(sound_lists(number, steps, rng)) for number in range(episodes)]
    train = records[:-1] if episodes > 2 else records
    shards = [train[: len(train) // 2], train[len(train) // 2 :]] if len(train) > 1 else [train]
    splits = {"train": shards} | ({"val": [records[-1:]]} if episodes > 2 else {})
    return write_version(root, splits, features=FEATURES)


def sound_lists(number: int, steps: int, rng: np.random.Generator) -> dict[str, Any]:
    """One episode that does everything right, as flat lists."""
    time_s = np.arange(steps + 1)[:, None] / 5
    path = np.sin(time_s * rng.uniform(0.5, 2, 7) + rng.uniform(0, 6, 7))
    pictures = [np.ascontiguousarray(barcode_picture(number, i)) for i in range(steps)]
    last = [i == steps - 1 for i in range(steps)]
    return {
        "steps/observation/image": [simplejpeg.encode_jpeg(picture, quality=90) for picture in pictures],
        "steps/observation/state": path[:-1].ravel().tolist(),
        "steps/action": path[1:].ravel().tolist(),
        "steps/reward": [float(x) for x in last],
        "steps/discount": [1.0] * steps,
        "steps/is_first": [i == 0 for i in range(steps)],
        "steps/is_last": last,
        "steps/is_terminal": last,
        "steps/language_instruction": [f"pick up object {number}"] * steps,
        "episode_metadata/file_path": [f"/data/episode_{number}.npy"],
        "episode_metadata/success": [True],
    }


def write_version(
    root: Path, splits: Mapping[str, Sequence[Sequence[bytes]]], *, features: Any = None, name: str = "tiny"
) -> Path:
    """`<root>/tiny/1.0.0` with its shards, dataset_info.json and (where given) features.json."""
    folder = root / name / "1.0.0"
    folder.mkdir(parents=True)
    about = []
    for split, shards in splits.items():
        for number, records in enumerate(shards):
            path = folder / f"{name}-{split}.tfrecord-{number:05d}-of-{len(shards):05d}"
            path.write_bytes(b"".join(map(framed, records)))
        size = sum(len(record) for records in shards for record in records)
        about.append({"name": split, "numBytes": str(size), "shardLengths": [str(len(records)) for records in shards]})
    info = {"name": name, "version": "1.0.0", "fileFormat": "tfrecord", "splits": about}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    if features is not None:
        (folder / "features.json").write_text(json.dumps(features))
    return folder


def tensor(*shape: int, dtype: str = "float32", encoding: str = "none", description: str = "") -> dict[str, Any]:
    node: dict[str, Any] = {"shape": {"dimensions": [str(n) for n in shape]}, "dtype": dtype, "encoding": encoding}
    return {"tensor": node} | ({"description": description} if description else {})


def image(*shape: int, dtype: str = "uint8", codec: str = "jpeg") -> dict[str, Any]:
    return {"image": {"shape": {"dimensions": [str(n) for n in shape]}, "dtype": dtype, "encodingFormat": codec}}


def features_dict(**features: Any) -> dict[str, Any]:
    return {"featuresDict": {"features": features}}


def dataset(feature: Any, length: str = "-1") -> dict[str, Any]:
    return {"sequence": {"feature": feature, "length": length}}


FLAGS = {
    "is_first": tensor(dtype="bool"),
    "is_last": tensor(dtype="bool"),
    "is_terminal": tensor(dtype="bool"),
}
FEATURES = features_dict(
    steps=dataset(
        features_dict(
            observation=features_dict(image=image(64, 64, 3), state=tensor(7, description="Joint angles and gripper.")),
            action=tensor(7),
            reward=tensor(),
            discount=tensor(),
            language_instruction={"text": {}},
            **FLAGS,
        )
    ),
    episode_metadata=features_dict(file_path={"text": {}}, success=tensor(dtype="bool")),
)


def framed(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def example(lists: Lists) -> bytes:
    """A serialized tf.train.Example."""
    return field(1, b"".join(field(1, field(1, k.encode()) + field(2, feature(v))) for k, v in lists.items()))


def feature(values: Any, *, packed: bool = True) -> bytes:
    if not len(values):
        return b""
    if isinstance(values[0], (bytes, str)):
        return field(1, b"".join(field(1, v.encode() if isinstance(v, str) else v) for v in values))
    if isinstance(values[0], (float, np.floating)):
        pieces, number, tag = [struct.pack("<f", v) for v in values], 2, b"\x0d"
    else:
        pieces, number, tag = [varint(int(v) & (2**64 - 1)) for v in values], 3, b"\x08"
    return field(number, field(1, b"".join(pieces)) if packed else b"".join(tag + piece for piece in pieces))


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
