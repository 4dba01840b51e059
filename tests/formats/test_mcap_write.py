"""MCAP out: what ROS tools see, what comes back, and what video keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from makers import lerobot_v3, rosbag1, rosbag2
from makers import mcap as mcap_maker
from robokata.conversion.convert import plan_conversion
from robokata.core.clock import grid_clock, measured_clock
from robokata.core.detection import open_source
from robokata.core.episode import Embodiment, Episode, Instruction
from robokata.core.errors import DamagedData, RobokataError, WriteRefused
from robokata.core.layout import Way
from robokata.core.source import EpisodeList
from robokata.core.stream import Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats import mcap
from robokata.media.bare import packet_run
from robokata.media.images import RawImages
from robokata.media.packets import VideoPackets
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, read_barcode, tiny_episode

VIDEO = "/camera/video"


def written(tmp_path: Path, episode: Episode, name: str = "out.mcap") -> Episode:
    mcap.write(tmp_path / name, [episode])
    return mcap.read(tmp_path / name).episode(Path(name).stem)


def channels(path: Path) -> dict[str, list[Any]]:
    """Topic -> (log_time, publish_time, payload) by the `mcap` library, in the file's order, checksums verified."""
    found: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        for _, channel, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False):
            found.setdefault(channel.topic, []).append((message.log_time, message.publish_time, message.data))
    return found


def decoded(path: Path, topic: str) -> list[Any]:
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [one.decoded_message for one in reader.iter_decoded_messages(topics=[topic])]


def numbers(name: str, values: Any, *, role: Role = Role.SENSOR, channels: tuple[str, ...] | None = None) -> Stream:
    array = np.asarray(values)
    clock = measured_clock(1_700_000_000_000_000_007 + np.arange(len(array)) * 10_000_019)
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(array), channels=channels)


def of(*streams: Stream) -> Episode:
    return Episode("out", {stream.name: stream for stream in streams})


def same(before: Stream, after: Stream) -> None:
    assert after.values.dtype == before.values.dtype
    assert np.asarray(after.values[:]).tobytes() == np.asarray(before.values[:]).tobytes(), before.name
    assert after.values.shape == before.values.shape
    np.testing.assert_array_equal(after.clock.times_ns, before.clock.times_ns)


# -- what other tools see ----------------------------------------------------------------------------------------


def test_the_mcap_library_reads_joints_pictures_and_instruction_at_their_own_times(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=1.0)
    mcap.write(tmp_path / "out.mcap", [episode])
    state, camera = episode.stream("observation.state"), episode.stream("observation.images.front")
    joints = decoded(tmp_path / "out.mcap", "/observation/state")
    assert [list(m.name) for m in joints] == [list(state.channels)] * 50
    np.testing.assert_array_equal(np.float32([m.position for m in joints]), state.values[:])
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in joints]
    assert stamps == state.clock.times_ns.tolist()
    assert [row[0] for row in channels(tmp_path / "out.mcap")["/observation/state"]] == stamps
    pictures = decoded(tmp_path / "out.mcap", "/observation/images/front")
    assert (pictures[3].encoding, pictures[3].height, pictures[3].width) == ("rgb8", 48, 64)
    assert bytes(pictures[3].data) == camera.values[3].tobytes()
    assert [m.data for m in decoded(tmp_path / "out.mcap", "/instruction")] == [episode.instructions[0].text]


def test_rosbags_opens_the_file_and_agrees(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(40, 3, 4))
    mcap.write(tmp_path / "out.mcap", [of(numbers("pose", table), numbers("count", np.arange(40, dtype=np.int32)))])
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Reader(tmp_path / "out.mcap") as bag:
        rows = [(c.topic, t, store.deserialize_cdr(d, c.msgtype)) for c, t, d in bag.messages()]
    poses = [m for topic, _, m in rows if topic == "/pose"]
    np.testing.assert_array_equal(np.stack([m.data for m in poses]).reshape(40, 3, 4), table)
    assert [(d.size, d.stride) for d in poses[0].layout.dim] == [(3, 12), (4, 4)]
    assert [m.data for topic, _, m in rows if topic == "/count"] == list(range(40))


def test_messages_of_all_streams_lie_in_the_order_of_their_times(tmp_path: Path) -> None:
    mcap.write(tmp_path / "out.mcap", [tiny_episode(0, duration_s=2.0)])
    with (tmp_path / "out.mcap").open("rb") as file:
        times = [m.log_time for _, _, m in make_reader(file).iter_messages(log_time_order=False)]
    assert times == sorted(times)
    assert len(times) == 100 * 5 + 60 + 1


def test_the_episode_the_robot_and_its_calibration_are_told_in_words(tmp_path: Path) -> None:
    model = '<robot name="arm"/>'
    episode = replace(
        tiny_episode(0, duration_s=0.5), embodiment=Embodiment("arm", model=model), extra={"calibration": {"fx": 600.5}}
    )
    mcap.write(tmp_path / "out.mcap", [episode])
    with (tmp_path / "out.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        about = {m.name: m.metadata for m in reader.iter_metadata()}["robokata/episode"]
        files = {a.name: (a.media_type, a.data) for a in reader.iter_attachments()}
    assert about["success"] == "true"
    assert json.loads(about["instructions"]) == [i.text for i in episode.instructions]
    assert files["robot_model.urdf"] == ("application/xml", model.encode())
    assert json.loads(files["calibration.json"][1]) == {"calibration": {"fx": 600.5}}
    row = mcap.read(tmp_path / "out.mcap").facts().rows[0]
    assert (row.success, row.robot, row.split, row.steps) == (True, "arm", "train", 25)
    assert files["robokata/episode.npz"][0] == "application/x-npz"


# -- what comes back ---------------------------------------------------------------------------------------------

ODD = {
    "halves": np.float16([[1.5, np.nan], [-0.0, np.inf]]),
    "flags": np.asarray([[True, False], [False, False]]),
    "flag": np.asarray([True, False]),
    "bytes": np.uint8([[0, 255, 3], [1, 2, 3]]),
    "small": np.int8([[-128], [127]]),
    "big_endian": np.asarray([[1.25, -2.5]] * 2, ">f4"),
    "large": np.uint64([2**64 - 1, 0]),
    "matrix": np.arange(24, dtype=np.int64).reshape(2, 3, 4) - 2**60,
    "one": np.float64([[0.1], [0.2]]),
    "none": np.empty((2, 0), np.float32),
    "no_samples": np.empty((0, 3), np.float32),
    "signalling_halves": np.uint16([[0x7C01, 1], [0x7E00, 0]]).view(np.float16),
    "signalling": np.uint32([[0x7F800001, 0x7FC00123], [0, 1]]).view(np.float32),
}


def test_numbers_of_every_type_and_shape_come_back_to_the_bit(tmp_path: Path) -> None:
    episode = of(*(numbers(name, values) for name, values in ODD.items()))
    joints = replace(
        numbers("arm", ODD["signalling"], role=Role.STATE, channels=("elbow", "wrist")),
        meaning=Meaning(unit=Fact("rad"), frame=Fact("base")),
    )
    episode = episode.with_stream(joints)
    assert mcap.layout(episode).of("signalling").way is Way.COPIED
    back = written(tmp_path, episode)
    for stream in episode.streams.values():
        same(stream, back.stream(stream.name))
    # float64 would quieten these NaN: they do not go out as JointState.
    assert mcap.layout(episode).of("arm").note == "std_msgs/Float32MultiArray"
    assert back.stream("arm").meaning == joints.meaning


def test_pictures_of_every_type_and_shape_come_back_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes: list[tuple[tuple[int, ...], str]] = [
        ((4, 6), "u1"),
        ((4, 6, 1), "u1"),
        ((4, 6, 2), "u1"),
        ((4, 6, 3), "f4"),
        ((4, 6), "u2"),
        ((4, 6, 1), "u2"),
        ((4, 6, 1), "f4"),
        ((4, 6), "f8"),
        ((4, 6, 3), "i2"),
    ]
    streams = []
    for number, (shape, dtype) in enumerate(shapes):
        values = (rng.random((3, *shape)) * 100).astype(dtype)
        images = RawImages(ArrayValues(values), where="test", scale=2.0)
        clock = grid_clock(3, Fraction(30))
        streams.append(Stream(f"camera {number}", Kind.IMAGE, Role.CAMERA, clock, images, encoding="raw"))
    episode = of(*streams)
    back = written(tmp_path, episode)
    for stream in streams:
        same(stream, back.stream(stream.name))
        for a, b in zip(stream.pictures.luma(8), back.stream(stream.name).pictures.luma(8), strict=True):
            np.testing.assert_array_equal(a, b)


def test_texts_messages_and_ragged_numbers_come_back(tmp_path: Path) -> None:
    clock = grid_clock(3, Fraction(10))
    ragged = np.empty(3, object)
    for row in range(3):
        ragged[row] = np.arange(row * 2, dtype=np.float32)
    cells = {"text": ["", "grüß\x00", "b"], "blob": [b"", b"\x00\x01\x00", b"z"]}
    arrays = {name: np.empty(3, object) for name in cells}
    for name, values in cells.items():
        arrays[name][:] = values
    episode = of(
        Stream("text", Kind.TEXT, Role.UNKNOWN, clock, ArrayValues(arrays["text"])),
        Stream("blob", Kind.MESSAGE, Role.UNKNOWN, clock, ArrayValues(arrays["blob"])),
        Stream("cloud", Kind.RAGGED, Role.SENSOR, clock, ArrayValues(ragged)),
    )
    back = written(tmp_path, episode)
    assert list(back.stream("text").values[:]) == cells["text"]
    assert [bytes(cell) for cell in back.stream("blob").values[:]] == cells["blob"]
    for a, b in zip(back.stream("cloud").values[:], ragged, strict=True):
        np.testing.assert_array_equal(a, b)
    ways = {place.stream: place.way for place in mcap.layout(episode).places}
    assert ways == {"text": Way.COPIED, "blob": Way.CARRIED, "cloud": Way.CARRIED}


def test_a_clock_that_runs_backwards_or_below_zero_keeps_samples_and_times(tmp_path: Path) -> None:
    times_ns = np.asarray([-5, 10, 3, 4, 20], np.int64)
    stream = Stream("x", Kind.TENSOR, Role.SENSOR, measured_clock(times_ns), ArrayValues(np.arange(5.0)))
    steady = Stream("y", Kind.TENSOR, Role.SENSOR, measured_clock(np.arange(5) * 5), ArrayValues(np.arange(5.0)))
    back = written(tmp_path, of(stream, steady))
    same(stream, back.stream("x"))
    same(steady, back.stream("y"))
    # Readers of MCAP sort by log_time: one that fell would turn the samples around.
    assert [row[0] for row in channels(tmp_path / "out.mcap")["/x"]] == [0, 15, 15, 15, 25]
    notes = mcap.layout(of(stream, steady)).notes
    assert "log_time is 5 ns later" in notes[1]
    assert notes[2].startswith("the clock of /x runs backwards, and readers of MCAP sort by log_time: 2 messages")


def test_names_become_legal_topics_that_do_not_meet(tmp_path: Path) -> None:
    names = ["a.b", "a/b", "/a/b", "3d", "grüße", "../../etc", ""]
    episode = of(*(numbers(name, np.arange(3.0)) for name in names))
    back = written(tmp_path, episode)
    assert sorted(back.streams) == sorted(names)
    targets = [place.target for place in mcap.layout(episode).places]
    assert targets == ["/a/b", "/a/b_2", "/a/b_3", "/_3d", "/gr__e", "/____etc", "/stream"] or len(set(targets)) == 7


@pytest.mark.parametrize("maker", [mcap_maker, rosbag1, rosbag2])
def test_messages_of_a_log_are_copied_byte_for_byte_with_all_their_times(maker: Any, tmp_path: Path) -> None:
    source = open_source(maker.make(tmp_path / "source", episodes=1, steps=30))
    key = source.keys()[0]
    before, log = source.episode(key), source.episode_log(key)  # type: ignore[attr-defined]
    back = written(tmp_path, before)
    assert {place.note for place in mcap.layout(before).places} == {"messages copied byte for byte"}
    found = channels(tmp_path / "out.mcap")
    for number, topic in enumerate(log.topics):
        places = log.index(number).places
        messages = list(log.read(np.full(len(places), number), places))
        assert [row[2] for row in found.get(topic.name, [])] == [m.data for m in messages]
        assert [row[0] for row in found.get(topic.name, [])] == [m.receive_ns for m in messages]
        if messages and messages[0].publish_ns is not None:
            assert [row[1] for row in found[topic.name]] == [m.publish_ns for m in messages]
    assert list(back.streams) == list(before.streams)
    for name, stream in before.streams.items():
        assert list(back.stream(name).other_clocks) == list(stream.other_clocks)
        for clock, other in stream.other_clocks.items():
            np.testing.assert_array_equal(back.stream(name).other_clocks[clock].times_ns, other.times_ns)
    assert back.extra == before.extra


def test_attachments_and_metadata_of_a_log_are_kept(tmp_path: Path) -> None:
    source = open_source(mcap_maker.make(tmp_path / "source", episodes=1, steps=10))
    mcap.write(tmp_path / "out.mcap", [source.episode("take_000")])
    with (tmp_path / "out.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert {a.name: a.data for a in reader.iter_attachments()}["calibration.yaml"] == b"fx: 600"
        assert {m.name: m.metadata for m in reader.iter_metadata()}["session"] == {"operator": "a", "site": "b"}


def test_a_topic_that_a_step_changed_is_written_anew(tmp_path: Path) -> None:
    source = open_source(mcap_maker.make(tmp_path / "source", episodes=1, steps=10))
    episode = source.episode("take_000")
    velocity, position = episode.stream("/joint_states.velocity"), episode.stream("/joint_states.position")
    changed = episode.with_stream(position.with_values(ArrayValues(position.values[:] + 1)))
    back = written(tmp_path, changed.without_stream("/joint_command.position"))
    np.testing.assert_array_equal(back.stream(position.name).values[:], position.values[:] + 1)
    same(velocity, back.stream(velocity.name))
    assert "/joint_command" not in channels(tmp_path / "out.mcap")


def test_what_we_wrote_is_written_again_with_the_same_messages(tmp_path: Path) -> None:
    source = open_source(lerobot_v3.make(tmp_path, episodes=1, steps=30))
    first = written(tmp_path, source.episode("0"), "out.mcap")
    written(tmp_path, replace(first, id="out"), "again.mcap")
    assert channels(tmp_path / "out.mcap") == channels(tmp_path / "again.mcap")


# -- video -------------------------------------------------------------------------------------------------------


def video(tmp_path: Path, codec: str, count: int, *, gop: int = 12) -> Path:
    path = tmp_path / f"{codec}.mp4"
    if not path.exists():
        barcode_video(path, [Barcode(5, frame) for frame in range(count)], codec=codec, gop=gop)
    return path


def filmed(frames: VideoFrames, times_ns: np.ndarray | None = None) -> Episode:
    clock = grid_clock(len(frames), Fraction(30)) if times_ns is None else measured_clock(times_ns)
    return of(Stream("camera.video", Kind.VIDEO, Role.CAMERA, clock, frames, encoding="h264"))


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1", "libx265", "libvpx-vp9"])
def test_every_frame_is_the_one_asked_for_in_a_thousand_random_accesses(codec: str, tmp_path: Path) -> None:
    frames = VideoFrames(video(tmp_path, codec, 120), 120)
    pictures = written(tmp_path, filmed(frames)).stream("camera.video").pictures
    for index in np.random.default_rng(0).integers(0, 120, 1000).tolist():
        assert read_barcode(pictures[index]) == (5, index)
    np.testing.assert_array_equal(pictures[[0, 60, 119]], frames[np.asarray([0, 60, 119])])
    assert pictures.shape == frames.shape
    for mine, own in zip(pictures.luma(32), frames.luma(32), strict=True):
        np.testing.assert_array_equal(mine, own)


def test_old_mpeg4_clips_keep_their_packets_though_only_robokata_shows_them(tmp_path: Path) -> None:
    # Its default bit rate blurs the barcodes: the file's own frames are the measure.
    frames = VideoFrames(video(tmp_path, "mpeg4", 60), 60)
    episode = filmed(frames)
    assert mcap.layout(episode).places[0].way is Way.CARRIED
    pictures = written(tmp_path, episode).stream("camera.video").pictures
    for index in (59, 0, 13, 12, 30):
        np.testing.assert_array_equal(pictures[index], frames[index])


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_packets_are_the_files_own(codec: str, tmp_path: Path) -> None:
    source = open_source(lerobot_v3.make(tmp_path / "source", episodes=2, steps=30)).episode("1")
    if codec == "libsvtav1":
        source = filmed(VideoFrames(video(tmp_path, codec, 40), 40))
    back = written(tmp_path, source)
    for stream in source.pictures():
        before, after = packet_run(stream.values), packet_run(back.stream(stream.name).values)
        assert before is not None
        assert after is not None
        assert list(before.read()) == list(after.read())
        np.testing.assert_array_equal(before.ranks, after.ranks)
        payloads = decoded(tmp_path / "out.mcap", "/" + stream.name.replace(".", "/"))
        assert [bytes(m.data) for m in payloads] == list(before.read())
        assert {m.format for m in payloads} == {"av1" if codec == "libsvtav1" else "h264"}


@pytest.mark.parametrize("first", [0, 1, 5, 23, 24, 37])
def test_an_episode_that_begins_between_two_key_frames_takes_along_what_it_needs(first: int, tmp_path: Path) -> None:
    path = video(tmp_path, "libx264", 60, gop=24)
    frames = VideoFrames(path, 18, span_s=(first / 30, (first + 18) / 30))
    episode = filmed(frames, 1_700_000_000_000_000_000 + np.arange(18) * 33_000_000)
    back = written(tmp_path, episode).stream("camera.video")
    for index in (17, 0, 9):
        assert read_barcode(back.pictures[index]) == (5, first + index)
    assert [read_barcode(p).frame for p in back.pictures[:]] == list(range(first, first + 18))
    assert len(list(back.pictures.luma(16))) == 18
    np.testing.assert_array_equal(back.clock.times_ns, episode.stream("camera.video").clock.times_ns)
    spare = len(channels(tmp_path / "out.mcap")["/camera/video"]) - 18
    assert (f"and {spare} more that are needed" in mcap.layout(episode).places[0].note) == (spare > 0)


@pytest.mark.parametrize("start_ns", [-5_000_000_000, 2**62])
def test_pictures_in_another_order_than_their_packets_keep_it_at_odd_times(start_ns: int, tmp_path: Path) -> None:
    frames = VideoFrames(video(tmp_path, "libx264", 30), 30)
    times_ns = start_ns + np.arange(30) * 33_000_000
    back = written(tmp_path, filmed(frames, times_ns)).stream("camera.video")
    assert [read_barcode(p).frame for p in back.pictures[:]] == list(range(30))
    np.testing.assert_array_equal(back.clock.times_ns, times_ns)


def test_a_video_that_is_too_short_is_damage_and_nothing_is_written(tmp_path: Path) -> None:
    path = video(tmp_path, "libx264", 20)
    with pytest.raises(DamagedData) as caught:
        mcap.write(tmp_path / "out.mcap", [filmed(VideoFrames(path, 25))])
    assert str(caught.value) == (
        f"{path}: frame 24 is asked for, and the file holds 20 frames. "
        "The video is cut short or the index points past its end: restore the file."
    )
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def foreign(path: Path, encoding: str, packets: list[bytes], said: str, stamps: list[int] | None = None) -> None:
    """A recording of CompressedVideo as other programs write it."""
    times_ns = stamps or [1_700_000_000_000_000_000 + i * 33_000_000 for i in range(len(packets))]
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(library="other")
        encode = _json if encoding == "json" else _protobuf(writer) if encoding == "protobuf" else _cdr
        if encoding == "protobuf":
            schema = writer.register_schema("foxglove.CompressedVideo", "protobuf", _descriptor())
        elif encoding == "json":
            schema = writer.register_schema("foxglove.CompressedVideo", "jsonschema", b"{}")
        else:
            text = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
            schema = writer.register_schema("foxglove_msgs/msg/CompressedVideo", "ros2msg", text.encode())
        channel = writer.register_channel(VIDEO, encoding, schema)
        for time_ns, data in zip(times_ns, packets, strict=True):
            log_ns = max(times_ns[: times_ns.index(time_ns) + 1])
            writer.add_message(channel, log_ns, encode(time_ns, data, said), log_ns)
        writer.finish()


def _json(time_ns: int, data: bytes, said: str) -> bytes:
    import base64

    stamp = {"sec": time_ns // 10**9, "nsec": time_ns % 10**9}
    return json.dumps(
        {"timestamp": stamp, "frame_id": "", "data": base64.b64encode(data).decode(), "format": said}
    ).encode()


def _cdr(time_ns: int, data: bytes, said: str) -> bytes:
    from robokata.containers.ros.encode import compressed_video

    return compressed_video(time_ns, data, codec=said, frame="")


def _descriptor() -> bytes:
    from google.protobuf import descriptor_pb2, timestamp_pb2

    files = descriptor_pb2.FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    file = files.file.add(name="v.proto", package="foxglove", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    message = file.message_type.add(name="CompressedVideo")
    for number, (name, kind) in enumerate([("timestamp", 11), ("frame_id", 9), ("data", 12), ("format", 9)], start=1):
        one = message.field.add(name=name, number=number, type=kind, label=1)
        if kind == 11:
            one.type_name = ".google.protobuf.Timestamp"
    return files.SerializeToString()


def _protobuf(writer: Writer) -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_descriptor()).file:
        pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("foxglove.CompressedVideo"))

    def encode(time_ns: int, data: bytes, said: str) -> bytes:
        one = message(data=data, format=said)
        one.timestamp.seconds, one.timestamp.nanos = time_ns // 10**9, time_ns % 10**9
        return bytes(one.SerializeToString())

    return encode


def packets_of(tmp_path: Path, codec: str, count: int) -> list[bytes]:
    run = packet_run(VideoFrames(video(tmp_path, codec, count), count))
    assert run is not None
    return list(run.read())


@pytest.mark.parametrize("encoding", ["cdr", "protobuf", "json"])
@pytest.mark.parametrize(("codec", "said"), [("libsvtav1", "av1"), ("libx265", "h265")])
def test_compressed_video_of_other_programs_is_pictures(encoding: str, codec: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    packets = packets_of(tmp_path, codec, 30)
    run = packet_run(VideoFrames(tmp_path / f"{codec}.mp4", 30))
    assert run is not None
    stamps = [1_700_000_000_000_000_000 + int(rank) * 33_000_000 for rank in run.ranks]
    foreign(tmp_path / "in" / "a.mcap", encoding, packets, said, stamps)
    stream = mcap.read(tmp_path / "in").episode("a").stream(VIDEO)
    assert (stream.kind, stream.role, stream.extra["clock"]) == (Kind.VIDEO, Role.CAMERA, "header")
    assert [read_barcode(p).frame for p in stream.pictures[:]] == list(range(30))
    assert read_barcode(stream.pictures[17]).frame == 17
    assert bool(np.all(np.diff(stream.clock.times_ns) == 33_000_000))


def test_a_recording_that_began_between_key_frames_says_what_cannot_be_decoded(tmp_path: Path) -> None:
    packets = packets_of(tmp_path, "libsvtav1", 30)
    foreign(tmp_path / "a.mcap", "json", packets[5:], "av1")
    stream = mcap.read(tmp_path / "a.mcap").episode("a").stream(VIDEO)
    assert [read_barcode(picture).frame for picture in stream.pictures[:]] == list(range(12, 30))
    assert stream.oddities["undecodable"].startswith(f"7 of 25 pictures of {VIDEO} cannot be decoded and are left out")


def test_a_clock_that_runs_backwards_does_not_reorder_pictures(tmp_path: Path) -> None:
    path = tmp_path / "mpeg4.mp4"
    barcode_video(path, [Barcode(5, frame) for frame in range(30)], codec="libsvtav1")
    run = packet_run(VideoFrames(path, 30))
    assert run is not None
    packets, stamps = list(run.read()), np.arange(30)
    stamps[10], stamps[11] = 11, 10
    values = VideoPackets(30, lambda i: packets[i], codec="av1", where="test", stamps=lambda: stamps)
    assert [read_barcode(p).frame for p in values[:]] == list(range(30))


def test_broken_packets_raise_and_the_rest_is_read(tmp_path: Path) -> None:
    packets = packets_of(tmp_path, "libx265", 36)
    rng = np.random.default_rng(0)
    for _ in range(100):
        broken = list(packets)
        at = int(rng.integers(0, 36))
        data = bytearray(broken[at])
        data[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
        broken[at] = bytes(data[: int(rng.integers(1, len(data) + 1))])
        values = VideoPackets(36, broken.__getitem__, codec="hevc", where="test")
        for index in (35, 3, at):
            try:
                assert values[index].shape[2] == 3
            except RobokataError:
                continue


# -- refusals and damage -----------------------------------------------------------------------------------------


def test_one_file_holds_one_episode(tmp_path: Path) -> None:
    with pytest.raises(WriteRefused) as caught:
        mcap.write(tmp_path / "out.mcap", [tiny_episode(n, duration_s=0.5) for n in range(2)])
    assert str(caught.value) == (
        f"{tmp_path / 'out.mcap'}: one MCAP file holds one episode. Name a folder to write several."
    )
    with pytest.raises(WriteRefused) as caught:
        mcap.write(tmp_path / "out", [])
    assert str(caught.value) == f"{tmp_path / 'out'}: there are no episodes to write."
    assert list(tmp_path.iterdir()) == []


def test_episodes_keep_their_ids_and_order_and_never_leave_the_folder(tmp_path: Path) -> None:
    one = tiny_episode(0, duration_s=0.2)
    mcap.write(
        tmp_path / "out", [replace(one, id=name) for name in [*map(str, range(12)), "../x", "a/b", "a b", "A_b"]]
    )
    assert mcap.read(tmp_path / "out").keys() == [*map(str, range(12)), "A_b_2", "_x", "a b", "a_b"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    mcap.write(tmp_path / "out.mcap", [tiny_episode(0, duration_s=0.2)])
    before = (tmp_path / "out.mcap").read_bytes()
    with pytest.raises(WriteRefused, match="nothing is ever overwritten"):
        mcap.write(tmp_path / "out.mcap", [tiny_episode(1, duration_s=0.2)])
    assert (tmp_path / "out.mcap").read_bytes() == before


def test_the_same_episodes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mcap", "b.mcap"):
        mcap.write(tmp_path / name, [tiny_episode(0, duration_s=1.0)])
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()


def test_a_writer_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from robokata.formats import mcap\n"
        "from robokata.testing import tiny_episode\n"
        "def episodes():\n"
        "    yield tiny_episode(0, duration_s=0.5)\n"
        "    os._exit(9)\n"
        "mcap.write(pathlib.Path(sys.argv[1]), episodes())\n"
    )
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program, str(out)], env=environment, check=False).returncode == 9
    assert not out.exists()
    mcap.write(out, [tiny_episode(0, duration_s=0.5)])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_episode_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def episodes() -> Iterator[Episode]:
        yield tiny_episode(0, duration_s=0.5)
        raise DamagedData("x", "broken.")

    with pytest.raises(DamagedData):
        mcap.write(tmp_path / "out", episodes())
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ours_that_is_cut_is_read_like_any_log_up_to_the_break(tmp_path: Path) -> None:
    mcap.write(tmp_path / "out.mcap", [tiny_episode(0, duration_s=20.0)])
    data = (tmp_path / "out.mcap").read_bytes()
    (tmp_path / "out.mcap").write_bytes(data[: len(data) // 2])
    found = mcap.read(tmp_path / "out.mcap").episode("out")
    assert 100 < len(found.stream("/observation/state.position")) < 1000


def test_any_damage_to_a_file_of_ours_is_one_of_our_errors_or_the_right_numbers(tmp_path: Path) -> None:
    episode = tiny_episode(0, duration_s=1.0)
    mcap.write(tmp_path / "out.mcap", [episode])
    data = (tmp_path / "out.mcap").read_bytes()
    rng = np.random.default_rng(0)
    wrong = 0
    for number in range(300):
        spoiled = bytearray(data)
        if number % 3 == 0:
            del spoiled[int(rng.integers(0, len(data))) :]
        for _ in range(1 + number % 4):
            if spoiled:
                spoiled[int(rng.integers(0, len(spoiled)))] ^= 1 << int(rng.integers(0, 8))
        path = tmp_path / "spoiled.mcap"
        path.write_bytes(spoiled)
        try:
            found = mcap.read(path).episode("spoiled")
            for stream in found.streams.values():
                stream.values[:], stream.clock.times_ns
            if "observation.state" in found.streams:
                same(episode.stream("observation.state"), found.stream("observation.state"))
        except RobokataError:
            wrong += 1
    assert wrong > 100


def test_the_plan_of_a_conversion_is_not_lossy(tmp_path: Path) -> None:
    episode = replace(tiny_episode(0, duration_s=0.5), instructions=(Instruction("a"), Instruction("b", start_s=0.2)))
    report = plan_conversion(EpisodeList([episode]), "mcap")
    assert not report.is_lossy
    back = written(tmp_path, episode)
    assert back.instructions == episode.instructions
    assert [row[2][8:9] for row in channels(tmp_path / "out.mcap")["/instruction"]] == [b"a", b"b"]


@pytest.mark.parametrize(
    "samples",
    [
        "{",
        "[1]",
        '{"/x": 3}',
        '{"/x": {"shape": 3, "dtype": "<f8"}}',
        '{"/x": {"shape": [99999999999], "dtype": "<f8"}}',
        '{"/x": {"shape": [-1, -1], "dtype": "<f8"}}',
        '{"/x": {"shape": [], "dtype": "O"}}',
        '{"/x": {"shape": [], "dtype": "no type"}}',
        '{"/x": {"shape": [], "dtype": ["f8"]}}',
        '{"/x": {"shape": [1e999], "dtype": "<f8"}}',
        '{"/x": {"shape": [], "dtype": "<c16"}}',
        '{"/x": {"shape": [], "dtype": "<M8[ns]"}}',
        '{"/x": {"count": 4}}',
        '{"/gone": {"count": 4}}',
        "[" * 100_000,
    ],
)
def test_a_record_that_lies_about_the_numbers_is_damage(samples: str, tmp_path: Path) -> None:
    from robokata.containers.mcap.write import McapWriter
    from robokata.containers.ros import encode as ros

    with McapWriter(tmp_path / "out.mcap", profile="ros2") as writer:
        schema, code = ros.scalar_schema(np.dtype(np.float64))
        number = writer.channel("/x", "cdr", schema, {})
        for row, data in enumerate(ros.filled(ros.scalar(code), np.arange(3), np.arange(3.0))):
            writer.message(number, data, log_ns=row, publish_ns=row)
        writer.metadata("robokata/samples", {"samples": samples})
        writer.attachment("robokata/episode.npz", "application/x-npz", b"PK\x05\x06" + bytes(18))
        writer.finish()
    with pytest.raises(DamagedData):
        mcap.read(tmp_path / "out.mcap").episode("out")
