"""Robot logs in MCAP, ROS 1 and ROS 2 bags: encodings, packings, restarted publishers, order, optional fields."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import NonSeekingReader
from mcap.writer import CompressionType, Writer
from mcap_protobuf.decoder import DecoderFactory as ProtobufDecoders
from mcap_ros2.decoder import DecoderFactory as RosDecoders
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Bag1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Bag2Writer
from rosbags.typesys import Stores, get_typestore

from benchmarks.trust.truth import EpisodeTruth, Truth, Variant

START_NS = 1_700_000_000_000_000_000
JOINTS = [f"joint_{n}" for n in range(6)]
ROS1, ROS2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_HUMBLE)
STATE, COMMAND = "/joint_states", "/joint_command"
TYPES = {
    STATE: "sensor_msgs/msg/JointState",
    COMMAND: "sensor_msgs/msg/JointState",
    "/gripper/width": "std_msgs/msg/Float64",
    "/count": "std_msgs/msg/Int32",
    "/contact": "std_msgs/msg/Bool",
    "/task_instruction": "std_msgs/msg/String",
}


class Said(NamedTuple):
    """One message: numbers of a robot, or one value, received a little after it was made."""

    topic: str
    made_ns: int
    log_ns: int
    value: Any
    velocity: Any = None
    """Of the joints; None where the message leaves it out."""
    publisher: int = 0


Scenario = Callable[[], list[Said]]


def plain() -> list[Said]:
    """Joints at 50 Hz, commands at 25 Hz, the rest slower; in the order of reception."""
    rng = np.random.default_rng(4)
    said = [Said("/task_instruction", START_NS, START_NS, "lege den Würfel ab")]
    path = np.cumsum(rng.normal(0, 0.01, (40, 6)), 0)
    for i in range(40):
        at = START_NS + i * 20_000_000 + int(rng.integers(0, 400_000))
        said.append(Said(STATE, at, at + 1_000_000, path[i], path[i] * 0.5))
        if i % 2 == 0:
            said.append(Said(COMMAND, at + 3_000_000, at + 4_000_000, path[min(i + 2, 39)], path[i]))
        if i % 4 == 0:
            said.append(Said("/gripper/width", at, at + 5_000_000, 0.08 - i / 1000))
            said.append(Said("/count", at, at + 6_000_000, i * 100_000_000 - 2_000_000_000))
            said.append(Said("/contact", at, at + 7_000_000, i % 8 == 0))
    return sorted(said, key=lambda one: one.log_ns)


def restarted() -> list[Said]:
    """The publishers of joints and commands are others from the middle on."""
    return [
        one._replace(publisher=int(number > 50 and one.topic in (STATE, COMMAND))) for number, one in enumerate(plain())
    ]


def out_of_order() -> list[Said]:
    """The second half of the messages lies before the first in the file."""
    said = plain()
    return [*said[len(said) // 2 :], *said[: len(said) // 2]]


def optional() -> list[Said]:
    """Velocities that the first messages lack, and every fifth."""
    return [one._replace(velocity=None) if n < 20 or n % 5 == 0 else one for n, one in enumerate(plain())]


def one_message() -> list[Said]:
    """One message per topic."""
    return list({one.topic: one for one in plain()}.values())


def whole_first() -> list[Said]:
    """Numbers that begin as whole ones."""
    said = plain()
    return [
        one._replace(value=float(n) if n < 60 else n + 0.5) if "width" in one.topic else one
        for n, one in enumerate(said)
    ]


SCENARIOS: tuple[Scenario, ...] = (plain, restarted, out_of_order, optional, one_message, whole_first)


def variants() -> Iterator[Variant]:
    """Every scenario in every encoding; then MCAP files packed in every way."""
    for name, (write, read) in WAYS.items():
        for scenario in SCENARIOS:
            yield Variant(f"logs/{name}/{scenario.__name__}", partial(_make, write, scenario), read)
    for encoding in ("ros2", "ros1", "json", "protobuf"):
        for words, settings in PACKINGS.items():
            write = partial(_mcap, encoding, settings=settings)
            yield Variant(f"logs/mcap_{encoding}/{words}", partial(_make, write, plain), partial(_read_mcap, encoding))
    for storage in (Bag1Writer.CompressionFormat.BZ2, Bag1Writer.CompressionFormat.LZ4):
        make = partial(_make, partial(_bag1, packed=storage), plain)
        yield Variant(f"logs/rosbag1/{storage.name.lower()}", make, partial(_read_bag, ROS1))


PACKINGS: dict[str, dict[str, Any]] = {
    "zstd_small_chunks": {"compression": CompressionType.ZSTD, "chunk_size": 700},
    "lz4": {"compression": CompressionType.LZ4},
    "uncompressed": {"compression": CompressionType.NONE},
    "no_chunks": {"use_chunking": False},
    "no_summary": {
        "use_statistics": False,
        "use_summary_offsets": False,
        "repeat_channels": False,
        "repeat_schemas": False,
    },
}


def _make(write: Callable[[Path, list[Said]], Path], scenario: Scenario, root: Path) -> Path:
    root.mkdir(parents=True)
    return write(root, scenario())


# -- writers -----------------------------------------------------------------------------------------------------


def _ros(store: Any, said: Said) -> Any:
    types = store.types
    if TYPES[said.topic] != "sensor_msgs/msg/JointState":
        return types[TYPES[said.topic]](data=said.value)
    stamp = types["builtin_interfaces/msg/Time"](sec=said.made_ns // 10**9, nanosec=said.made_ns % 10**9)
    counted = {"seq": 0} if store is ROS1 else {}
    velocity = np.empty(0) if said.velocity is None else said.velocity
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="base", **counted)
    kind = types[TYPES[said.topic]]
    return kind(header=header, name=JOINTS, position=said.value, velocity=velocity, effort=np.empty(0))


def _mcap(encoding: str, root: Path, lines: Sequence[Said], *, settings: dict[str, Any] | None = None) -> Path:
    path = root / "log.mcap"
    with path.open("wb") as file:
        writer = Writer(file, **(settings or {}))
        writer.start("ros2" if encoding == "ros2" else "", "trust")
        channels: dict[tuple[str, int], int] = {}
        for said in lines:
            key = (said.topic, said.publisher)
            if key not in channels:
                channels[key] = channel(writer, encoding, said)
            writer.add_message(channels[key], said.log_ns, encoded(encoding, said), said.made_ns)
        writer.finish()
    return path


def channel(writer: Writer, encoding: str, said: Said) -> int:
    """The channel of a topic and publisher, with its schema."""
    kind, facts = TYPES[said.topic], {"publisher": str(said.publisher)}
    if encoding in ("ros1", "ros2"):
        store, version = (ROS1, 1) if encoding == "ros1" else (ROS2, 2)
        text, _ = store.generate_msgdef(kind, ros_version=version)
        name = kind.replace("/msg/", "/") if encoding == "ros1" else kind
        schema = writer.register_schema(name, f"{encoding}msg", text.encode())
        return writer.register_channel(said.topic, "ros1" if encoding == "ros1" else "cdr", schema, metadata=facts)
    if encoding == "json":
        schema = writer.register_schema(_proto_name(said.topic), "jsonschema", b'{"type": "object"}')
        return writer.register_channel(said.topic, "json", schema, metadata=facts)
    data = descriptor_pb2.FileDescriptorSet(file=[_proto_file()]).SerializeToString()
    schema = writer.register_schema(f"trust.{_proto_name(said.topic)}", "protobuf", data)
    return writer.register_channel(said.topic, "protobuf", schema, metadata=facts)


def encoded(encoding: str, said: Said) -> bytes:
    """One message in an encoding."""
    if encoding == "ros1":
        return bytes(ROS1.serialize_ros1(_ros(ROS1, said), TYPES[said.topic]))
    if encoding == "ros2":
        return bytes(ROS2.serialize_cdr(_ros(ROS2, said), TYPES[said.topic]))
    fields: dict[str, Any] = {"value": said.value}
    if said.topic in (STATE, COMMAND):
        fields = {"position": said.value.tolist()}
        fields |= {} if said.velocity is None else {"velocity": said.velocity.tolist()}
    if encoding == "json":
        if isinstance(said.value, float) and said.value.is_integer():
            fields["value"] = int(said.value)  # as JavaScript writes 3.0
        return json.dumps(fields).encode()
    return bytes(_proto_class(said.topic)(**fields).SerializeToString())


def _proto_name(topic: str) -> str:
    return "Joints" if topic in (STATE, COMMAND) else topic.strip("/").title().replace("/", "").replace("_", "")


def _proto_file() -> Any:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="trust.proto", package="trust", syntax="proto3")
    joints = file.message_type.add(name="Joints")
    for number, name in enumerate(("position", "velocity"), 1):
        joints.field.add(name=name, number=number, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_REPEATED)
    scalars = {"/gripper/width": "DOUBLE", "/count": "SINT32", "/contact": "BOOL", "/task_instruction": "STRING"}
    for topic, kind in scalars.items():
        message = file.message_type.add(name=_proto_name(topic))
        message.field.add(name="value", number=1, type=getattr(kinds, f"TYPE_{kind}"), label=kinds.LABEL_OPTIONAL)
    return file


def _proto_class(topic: str) -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_proto_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"trust.{_proto_name(topic)}"))


def _bag1(root: Path, lines: Sequence[Said], *, packed: Any = None) -> Path:
    path = root / "log.bag"
    writer = Bag1Writer(path)
    if packed is not None:
        writer.set_compression(packed)
    with writer:
        connections: dict[tuple[str, int], Any] = {}
        for said in lines:
            key, kind = (said.topic, said.publisher), TYPES[said.topic]
            if key not in connections:
                caller = f"/driver_{said.publisher}"
                connections[key] = writer.add_connection(said.topic, kind, typestore=ROS1, callerid=caller)
            writer.write(connections[key], said.log_ns, ROS1.serialize_ros1(_ros(ROS1, said), kind))
    return path


def _bag2(storage: StoragePlugin, root: Path, lines: Sequence[Said]) -> Path:
    path = root / "recording"
    with Bag2Writer(path, version=9, storage_plugin=storage) as writer:
        connections: dict[str, Any] = {}
        for said in lines:
            kind = TYPES[said.topic]
            if said.topic not in connections:
                connections[said.topic] = writer.add_connection(said.topic, kind, typestore=ROS2)
            writer.write(connections[said.topic], said.log_ns, ROS2.serialize_cdr(_ros(ROS2, said), kind))
    return path


# -- readers -----------------------------------------------------------------------------------------------------


class Rows:
    """Values and times by stream, as another library gives them. A class, because streams come message by message."""

    def __init__(self) -> None:
        self.values: defaultdict[str, list[Any]] = defaultdict(list)
        self.times: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, name: str, value: Any, time_ns: int) -> None:
        self.values[name].append(value)
        self.times[name].append(time_ns)

    def truth(self) -> list[EpisodeTruth]:
        streams = {}
        for name, values in self.values.items():
            times = np.asarray(self.times[name], np.int64)
            if isinstance(values[0], str):
                streams[name] = Truth(texts=values, times_ns=times)
            else:
                streams[name] = Truth(numbers=np.asarray(values), times_ns=times)
        # Only a std_msgs/String is an instruction; a text of JSON or protobuf is a stream.
        texts = self.values.get("/task_instruction")
        return [EpisodeTruth(streams, instructions=tuple(dict.fromkeys(texts)) if texts else None)]


def add_ros(rows: Rows, topic: str, message: Any, log_ns: int) -> None:
    """A decoded ROS message: joints by their stamp, everything else by reception."""
    if not hasattr(message, "position"):
        value = message.data
        # A boolean of ROS is an 8-bit number in the message, and stays what it is.
        kind = {"/count": np.int32, "/contact": np.uint8}.get(topic)
        rows.add(topic, value if kind is None else kind(value), log_ns)
        return
    stamp = message.header.stamp
    time_ns = stamp.sec * 10**9 + getattr(stamp, "nanosec", getattr(stamp, "nsec", 0))
    for name in ("position", "velocity"):
        if len(getattr(message, name)):
            rows.add(f"{topic}.{name}", np.asarray(getattr(message, name), np.float64), time_ns)


def _read_mcap(encoding: str, path: Path) -> list[EpisodeTruth]:
    rows, decoders = Rows(), {"ros2": [RosDecoders()], "protobuf": [ProtobufDecoders()]}.get(encoding, [])
    with path.open("rb") as file:
        reader = NonSeekingReader(file, decoder_factories=decoders)
        if decoders:
            for each in reader.iter_decoded_messages(log_time_order=True):
                add = add_ros if encoding == "ros2" else _add_fields
                add(rows, each.channel.topic, each.decoded_message, each.message.log_time)
        else:
            for _, channel, message in reader.iter_messages(log_time_order=True):
                topic = channel.topic
                if encoding == "ros1":
                    add_ros(rows, topic, ROS1.deserialize_ros1(message.data, TYPES[topic]), message.log_time)
                else:
                    _add_fields(rows, topic, json.loads(message.data), message.log_time)
    return rows.truth()


def _add_fields(rows: Rows, topic: str, message: Any, log_ns: int) -> None:
    """JSON or protobuf: what has one field is a stream of the topic's name."""
    get = message.get if isinstance(message, dict) else partial(getattr, message)
    if topic not in (STATE, COMMAND):
        value = get("value")
        name = f"{topic}.value" if isinstance(value, str) else topic
        rows.add(name, float(value) if "width" in topic else value, log_ns)
        return
    for name in ("position", "velocity"):
        if isinstance(message, dict) and name not in message:
            continue
        values = get(name)
        if len(values):
            rows.add(f"{topic}.{name}", np.asarray(values, np.float64), log_ns)


def _read_bag(store: Any, path: Path) -> list[EpisodeTruth]:
    rows = Rows()
    with AnyReader([path], default_typestore=store) as reader:
        for connection, time_ns, data in reader.messages():
            add_ros(rows, connection.topic, reader.deserialize(data, connection.msgtype), time_ns)
    return rows.truth()


WAYS: dict[str, tuple[Callable[[Path, list[Said]], Path], Callable[[Path], list[EpisodeTruth]]]] = {
    **{f"mcap_{e}": (partial(_mcap, e), partial(_read_mcap, e)) for e in ("ros2", "ros1", "json", "protobuf")},
    "rosbag1": (_bag1, partial(_read_bag, ROS1)),
    "rosbag2_sqlite": (partial(_bag2, StoragePlugin.SQLITE3), partial(_read_bag, ROS2)),
    "rosbag2_mcap": (partial(_bag2, StoragePlugin.MCAP), partial(_read_bag, ROS2)),
}
