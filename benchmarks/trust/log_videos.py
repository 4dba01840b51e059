"""Video as messages of MCAP logs: foxglove's CompressedVideo in three encodings, beside a robot's joints."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import NonSeekingReader
from mcap.writer import CompressionType, Writer
from mcap_protobuf.decoder import DecoderFactory as ProtobufDecoders
from mcap_ros2.decoder import DecoderFactory as RosDecoders
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from benchmarks.trust import logs
from benchmarks.trust.oracles import shown
from benchmarks.trust.truth import EpisodeTruth, Truth, Variant
from benchmarks.trust.videos import odd

TOPIC, KIND = "/camera/front", "foxglove_msgs/msg/CompressedVideo"
FRAMES, STEP_NS = 24, 33_333_333
_DEFINITION = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
_STORE = get_typestore(Stores.ROS2_HUMBLE)
_STORE.register(get_types_from_msg(_DEFINITION, KIND))


class Coding(NamedTuple):
    """One encoder, as robots run it: no frame waits for a later one."""

    codec: str
    format: str
    options: dict[str, str]


CODINGS = {
    **{f"h264_gop{n}": Coding("libx264", "h264", {"g": str(n), "bf": "0", "sc_threshold": "0"}) for n in (1, 2, 12)},
    **{
        f"h265_gop{n}": Coding(
            "libx265",
            "h265",
            {"x265-params": f"keyint={n}:min-keyint={n}:bframes=0:log-level=none:pools=none:repeat-headers=1:ctu=32"},
        )
        for n in (1, 12)
    },
    "vp9": Coding("libvpx-vp9", "vp9", {"g": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "av1": Coding("libsvtav1", "av1", {"g": "8", "preset": "12", "svtav1-params": "pred-struct=1"}),
}


def variants() -> Iterator[Variant]:
    """Every codec in every encoding; compressed chunks and none; a recording that begins between key frames."""
    for encoding in ("ros2", "protobuf", "json"):
        for name, coding in CODINGS.items():
            make = partial(_make, encoding, coding, 0)
            yield Variant(f"log_video/{encoding}/{name}", make, partial(_read, encoding, coding))
    for skip in (1, 7):
        make = partial(_make, "protobuf", CODINGS["h264_gop12"], skip)
        name = f"log_video/protobuf/h264_gop12_without_{skip}"
        yield Variant(name, make, partial(_read, "protobuf", CODINGS["h264_gop12"]))


def _packets(coding: Coding) -> list[bytes]:
    context: Any = av.CodecContext.create(coding.codec, "w")
    context.width, context.height, context.pix_fmt = odd.WIDTH, odd.HEIGHT, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.options = coding.options
    packets = []
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(odd.picture(number % 16), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        packets += context.encode(frame)
    packets += context.encode(None)
    return [bytes(packet) for packet in packets]


def _make(encoding: str, coding: Coding, skip: int, root: Path) -> Path:
    root.mkdir(parents=True)
    path = root / "log.mcap"
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=4000, compression=CompressionType.ZSTD)
        writer.start("ros2" if encoding == "ros2" else "", "trust")
        channel = _channel(writer, encoding)
        for number, data in list(enumerate(_packets(coding)))[skip:]:
            time_ns = logs.START_NS + number * STEP_NS
            writer.add_message(channel, time_ns + 2_000_000, _message(encoding, coding, data, time_ns), time_ns)
        _add_joints(writer)
        writer.finish()
    return path


def _add_joints(writer: Writer) -> None:
    """Joints at 50 Hz and commands at 25 Hz, in ROS 2's encoding."""
    channels: dict[str, int] = {}
    for said in logs.plain():
        if said.topic in (logs.STATE, logs.COMMAND):
            if said.topic not in channels:
                channels[said.topic] = logs.channel(writer, "ros2", said)
            writer.add_message(channels[said.topic], said.log_ns, logs.encoded("ros2", said), said.made_ns)


def _channel(writer: Writer, encoding: str) -> int:
    if encoding == "ros2":
        text, _ = _STORE.generate_msgdef(KIND, ros_version=2)
        return writer.register_channel(TOPIC, "cdr", writer.register_schema(KIND, "ros2msg", text.encode()))
    name = "foxglove.CompressedVideo"
    if encoding == "json":
        return writer.register_channel(TOPIC, "json", writer.register_schema(name, "jsonschema", b'{"type": "object"}'))
    data = descriptor_pb2.FileDescriptorSet(file=_proto_files()).SerializeToString()
    return writer.register_channel(TOPIC, "protobuf", writer.register_schema(name, "protobuf", data))


def _message(encoding: str, coding: Coding, data: bytes, time_ns: int) -> bytes:
    seconds, rest = time_ns // 10**9, time_ns % 10**9
    if encoding == "ros2":
        stamp = _STORE.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=rest)
        raw = np.frombuffer(data, np.uint8)
        said = _STORE.types[KIND](timestamp=stamp, frame_id="front", data=raw, format=coding.format)
        return bytes(_STORE.serialize_cdr(said, KIND))
    if encoding == "json":
        fields = {"timestamp": {"sec": seconds, "nsec": rest}, "frame_id": "front", "format": coding.format}
        return json.dumps({**fields, "data": base64.b64encode(data).decode()}).encode()
    pool = descriptor_pool.DescriptorPool()
    for file in _proto_files():
        pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("foxglove.CompressedVideo"))()
    message.timestamp.seconds, message.timestamp.nanos = seconds, rest
    message.frame_id, message.data, message.format = "front", data, coding.format
    return bytes(message.SerializeToString())


def _proto_files() -> list[Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    time = descriptor_pb2.FileDescriptorProto(
        name="google/protobuf/timestamp.proto", package="google.protobuf", syntax="proto3"
    )
    stamp = time.message_type.add(name="Timestamp")
    stamp.field.add(name="seconds", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    stamp.field.add(name="nanos", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    video = descriptor_pb2.FileDescriptorProto(
        name="foxglove/CompressedVideo.proto", package="foxglove", syntax="proto3", dependency=[time.name]
    )
    message = video.message_type.add(name="CompressedVideo")
    message.field.add(
        name="timestamp",
        number=1,
        type=kinds.TYPE_MESSAGE,
        type_name=".google.protobuf.Timestamp",
        label=kinds.LABEL_OPTIONAL,
    )
    for number, (name, kind) in enumerate((("frame_id", "STRING"), ("data", "BYTES"), ("format", "STRING")), 2):
        message.field.add(name=name, number=number, type=getattr(kinds, f"TYPE_{kind}"), label=kinds.LABEL_OPTIONAL)
    return [time, video]


def _read(encoding: str, coding: Coding, path: Path) -> list[EpisodeTruth]:
    """Packets by mcap and its decoders, pictures by FFmpeg's decoder; what it cannot decode is no picture."""
    rows, packets = logs.Rows(), []
    with path.open("rb") as file:
        reader = NonSeekingReader(file, decoder_factories=[RosDecoders(), ProtobufDecoders()])
        for _, channel, message in reader.iter_messages(log_time_order=True):
            if channel.topic == TOPIC and encoding == "json":
                said = json.loads(message.data)
                stamp_ns = said["timestamp"]["sec"] * 10**9 + said["timestamp"]["nsec"]
                packets.append((stamp_ns, base64.b64decode(said["data"])))
    with path.open("rb") as file:
        reader = NonSeekingReader(file, decoder_factories=[RosDecoders(), ProtobufDecoders()])
        topics = [logs.STATE, logs.COMMAND, *([TOPIC] if encoding != "json" else [])]
        for each in reader.iter_decoded_messages(topics=topics, log_time_order=True):
            if each.channel.topic == TOPIC:
                packets.append((_stamp_ns(each.decoded_message.timestamp), bytes(each.decoded_message.data)))
            else:
                logs.add_ros(rows, each.channel.topic, each.decoded_message, each.message.log_time)
    times, pictures = _decoded(coding, packets)
    camera = Truth(pictures=pictures, times_ns=np.asarray(times, np.int64))
    return [EpisodeTruth({**rows.truth()[0].streams, TOPIC: camera})]


def _stamp_ns(stamp: Any) -> int:
    if hasattr(stamp, "nanos"):
        return int(stamp.seconds * 10**9 + stamp.nanos)
    return int(stamp.sec * 10**9 + stamp.nanosec)


def _decoded(coding: Coding, packets: list[tuple[int, bytes]]) -> tuple[list[int], list[Any]]:
    context: Any = av.CodecContext.create({"h265": "hevc", "av1": "libdav1d"}.get(coding.format, coding.format), "r")
    times, pictures = [], []
    for number, (_, data) in enumerate([*packets, (0, b"")]):
        packet = av.Packet(data) if data else None
        if packet is not None:
            packet.pts = packet.dts = number
        try:
            frames = context.decode(packet)
        except av.error.InvalidDataError:
            continue  # before the first key frame: no picture
        for frame in frames:
            if not frame.is_corrupt:
                times.append(packets[frame.pts][0])
                pictures.append(shown(frame))
    return times, pictures
