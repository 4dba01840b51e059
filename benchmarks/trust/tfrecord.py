"""TFRecord files of tf.train.Example, by protobuf's own library and crc32c's."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS = descriptor_pb2.FieldDescriptorProto


@lru_cache(maxsize=1)
def example_class() -> Any:
    """tf.train.Example, built from the fields that its .proto file names."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")
    for name, kind in (("BytesList", "BYTES"), ("FloatList", "FLOAT"), ("Int64List", "INT64")):
        values = file.message_type.add(name=name).field
        values.add(name="value", number=1, type=getattr(_KINDS, f"TYPE_{kind}"), label=_KINDS.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        _message(feature, name.lower(), number, name).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_KINDS.TYPE_STRING, label=_KINDS.LABEL_OPTIONAL)
    _message(entry, "value", 2, "Feature")
    _message(features, "feature", 1, "Features.FeatureEntry").label = _KINDS.LABEL_REPEATED
    _message(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Example"))


def _message(owner: Any, name: str, number: int, kind: str) -> Any:
    place = owner.field.add(name=name, number=number, type=_KINDS.TYPE_MESSAGE, label=_KINDS.LABEL_OPTIONAL)
    place.type_name = f".tf.{kind}"
    return place


def features(folder: Path, number: int) -> dict[str, list[Any]]:
    """The lists of one record of a version folder, counted over all its files in their order."""
    records = [record for file in sorted(folder.glob("*.tfrecord-*")) for record in _records(file.read_bytes())]
    example = example_class().FromString(records[number])
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = list(getattr(feature, kind).value) if kind else []
    return found


def write(path: Path, records: list[dict[str, Any]]) -> None:
    """Records of feature name -> list of bytes, floats or integers."""
    with path.open("wb") as out:
        for record in records:
            data = _example(record)
            head = struct.pack("<Q", len(data))
            out.write(head + struct.pack("<I", _masked(head)) + data + struct.pack("<I", _masked(data)))


def _example(record: dict[str, Any]) -> bytes:
    example = example_class()()
    for name, values in record.items():
        feature = example.features.feature[name]
        kind = "byteslist" if isinstance(values[0], bytes) else "floatlist" if _is_float(values[0]) else "int64list"
        getattr(feature, kind).value.extend(values)
    return bytes(example.SerializeToString())


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


def _masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        found.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    return found
