"""MCAP: several clocks per sample, crashed recordings, and every encoding of messages."""

from __future__ import annotations

import base64
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType, Writer
from rosbags.typesys import Stores, get_typestore

from makers._robot_log import START_NS, jpeg
from makers.mcap import make, write_log
from robokata.core.clock import ClockQuality
from robokata.core.detection import detect, open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.stream import Kind, Role
from robokata.formats import mcap
from robokata.testing import read_barcode

CAMERA = "/camera/color/image_raw/compressed"


def one(path: Path) -> Episode:
    source = mcap.read(path)
    return source.episode(source.keys()[0])


def test_a_folder_of_files_is_a_dataset_and_every_picture_is_the_one_asked_for(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=3, steps=40)
    assert detect(path) == "mcap"
    source = open_source(path)
    assert source.keys() == ["take_000", "take_001", "take_002"]
    for number, key in enumerate(source.keys()):
        pictures = source.episode(key).stream(CAMERA).pictures
        for index in (39, 0, 17):
            assert read_barcode(pictures[index]) == (number, index)
        assert pictures.encoded(3).data == jpeg(number, 3)


def test_header_publish_and_receive_stamps_are_three_clocks_to_the_nanosecond(tmp_path: Path) -> None:
    stream = one(_one_file(tmp_path)).stream("/joint_states.position")
    assert stream.extra["clock"] == "header"
    assert sorted(stream.other_clocks) == ["publish", "receive"]
    assert stream.clock.quality is ClockQuality.MEASURED
    header, receive = stream.clock.times_ns, stream.other_clocks["receive"].times_ns
    assert header.dtype == np.int64
    assert np.all(stream.other_clocks["publish"].times_ns - header == 1000)
    assert np.all((receive - header >= 1_000_000 - 1) & (receive - header < 3_000_000))
    assert stream.clock.measured_rate_hz() == pytest.approx(100, rel=0.02)


def test_joints_commands_and_instruction_have_their_roles(tmp_path: Path) -> None:
    episode = one(_one_file(tmp_path))
    assert [s.name for s in episode.of_role(Role.STATE)] == ["/joint_states.position", "/joint_states.velocity"]
    assert [s.name for s in episode.of_role(Role.ACTION)] == ["/joint_command.position"]
    assert episode.stream("/joint_states.position").channels[:2] == ("shoulder_pan", "shoulder_lift")
    assert [(i.text, i.source) for i in episode.instructions] == [("put block 0 into the bowl", "/task_instruction")]
    assert pickle.loads(pickle.dumps(episode)).id == episode.id


def test_attachments_and_metadata_records_are_kept(tmp_path: Path) -> None:
    path = _one_file(tmp_path)
    extra = one(path).extra
    assert extra["metadata"] == [{"name": "session", "values": {"operator": "a", "site": "b"}}]
    assert extra["attachments"][0]["name"] == "calibration.yaml"
    assert mcap.read(path).episode_log("take").attachment("calibration.yaml") == b"fx: 600"


@pytest.mark.parametrize(
    "variant",
    [
        {"compression": CompressionType.LZ4},
        {"compression": CompressionType.NONE},
        {"use_chunking": False},
        {"use_summary": False},
    ],
)
def test_every_way_to_write_the_file_gives_the_same_episode(tmp_path: Path, variant: dict) -> None:
    write_log(tmp_path / "a.mcap", 0, steps=30)
    write_log(tmp_path / "b.mcap", 0, steps=30, **variant)
    source = mcap.read(tmp_path)
    _assert_equal(source.episode("a"), source.episode("b"))
    assert all(d.holds for d in source.facts().declarations)


def test_a_crashed_recording_is_read_up_to_the_break_and_says_so(tmp_path: Path) -> None:
    path = _one_file(tmp_path, steps=200)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    source = mcap.read(path)
    pictures = source.episode("take").stream(CAMERA).pictures
    assert 50 < len(pictures) < 200
    assert read_barcode(pictures[len(pictures) - 1]).frame == len(pictures) - 1
    broken = {d.subject: d for d in source.facts().declarations if not d.holds}
    assert broken["end of file"].hint == (
        "the recording was not closed: what lies before the break is read, and nothing of it is missing"
    )
    assert broken["readable bytes"].declared == path.stat().st_size


def test_a_flipped_bit_in_a_chunk_is_named_with_its_offset(tmp_path: Path) -> None:
    path = _one_file(tmp_path, steps=200, compression=CompressionType.NONE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    episode = one(path)
    with pytest.raises(DamagedData) as caught:
        episode.stream("/joint_states.position").values[:]
    assert str(caught.value) == (
        f"{path} at byte {caught.value.offset}: the chunk's checksum does not match. "
        "Restore it from its origin, or recover the sound part with 'mcap recover'."
    )


def test_a_damaged_summary_is_replaced_by_a_look_at_the_whole_file(tmp_path: Path) -> None:
    write_log(tmp_path / "a.mcap", 0, steps=30)
    data = bytearray((tmp_path / "a.mcap").read_bytes())
    data[-150] ^= 4
    (tmp_path / "b.mcap").write_bytes(data)
    source = mcap.read(tmp_path)
    _assert_equal(source.episode("a"), source.episode("b"))
    assert [d.subject for d in source.facts().declarations if not d.holds] == ["summary checksum"]


def test_a_chunk_that_claims_a_terabyte_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mcap"
    chunk = struct.pack("<QQQI", 0, 0, 1 << 40, 0) + struct.pack("<I", 4) + b"zstd" + struct.pack("<Q", 3) + b"abc"
    header = struct.pack("<II", 0, 0)
    path.write_bytes(
        b"\x89MCAP0\r\n" + _record(1, header) + _record(6, chunk) + _record(2, bytes(20)) + b"\x89MCAP0\r\n"
    )
    with pytest.raises(TooLarge) as caught:
        mcap.read(path)
    assert str(caught.value) == f"{path} at byte 25: a chunk claims 1099511627776 bytes."


def test_a_file_of_another_kind_with_the_right_name_is_still_claimed_and_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(b"PK\x03\x04 something else")
    assert mcap.sniff(path) == 0.5
    with pytest.raises(DamagedData) as caught:
        mcap.read(path)
    assert str(caught.value) == (
        f"{path}: not MCAP: the file does not start with its magic bytes. "
        "Restore it from its origin, or recover the sound part with 'mcap recover'."
    )


def test_a_bad_file_costs_its_episode_only(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=2, steps=5)
    (path / "take_001.mcap").write_bytes(b"nothing")
    source = mcap.read(path)
    assert source.keys() == ["take_000", "take_001"]
    assert len(source.episode("take_000").stream(CAMERA)) == 5
    with pytest.raises(DamagedData):
        source.episode("take_001")
    assert [d.subject for d in source.facts().declarations if not d.holds] == ["episode take_001"]


def test_json_messages_become_tables_texts_and_pictures(tmp_path: Path) -> None:
    rows = [
        {
            "timestamp": {"sec": 1_700_000_000 + i, "nsec": 5},
            "x": 1.5 * i,
            "n": i,
            "name": "a",
            "q": [1, 2, 3],
            "p": {"x": 1, "y": 2.5, "z": 3},
        }
        for i in range(4)
    ]
    pictures = [
        {
            "timestamp": {"sec": 1_700_000_000 + i, "nsec": 0},
            "format": "jpeg",
            "data": base64.b64encode(jpeg(3, i)).decode(),
        }
        for i in range(4)
    ]
    path = _json_file(tmp_path, {"/state": rows, "/cam": pictures})
    episode = one(path)
    assert episode.stream("/state").table[:, 0].tolist() == [0, 1.5, 3, 4.5]
    assert episode.stream("/state.n").table.dtype == np.int64
    assert episode.stream("/state.p").table[0].tolist() == [1, 2.5, 3]
    assert episode.stream("/state.q").shape == (3,)
    assert episode.stream("/state.name").values[0] == "a"
    assert episode.stream("/state").clock.times_ns[1] == 1_700_000_001_000_000_005
    assert read_barcode(episode.stream("/cam").pictures[2]) == (3, 2)


def test_joints_listed_in_another_order_are_put_back_by_name(tmp_path: Path) -> None:
    messages = [(["a", "b"], [1.0, 2.0]), (["b", "a"], [4.0, 3.0])]
    episode = one(_joint_file(tmp_path, messages))
    assert episode.stream("/joint_states.position").table.tolist() == [[1, 2], [3, 4]]
    assert episode.stream("/joint_states.position").channels == ("a", "b")


def test_a_message_with_fewer_values_than_joints_is_damage_that_names_the_message(tmp_path: Path) -> None:
    path = _joint_file(tmp_path, [(["a", "b"], [1.0, 2.0]), (["a", "b"], [4.0])])
    with pytest.raises(DamagedData) as caught:
        one(path).stream("/joint_states.position").values[:]
    assert str(caught.value) == (
        f"{path}: /joint_states: message 1 has 1 values of 'position' for joints a, b; the first has 2 for a, b."
    )


def test_raw_images_respect_row_padding_colour_order_and_endianness(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    depth = rng.integers(0, 65536, (4, 5), dtype=np.uint16)
    path = _image_file(
        tmp_path,
        {
            "/rgb": ("rgb8", _rows(pixels), 0),
            "/bgr": ("bgr8", _rows(pixels[..., ::-1]), 0),
            "/depth": ("16UC1", _rows(depth.astype("<u2")), 0),
            "/depth_big": ("16UC1", _rows(depth.astype(">u2")), 1),
            "/bayer": ("bayer_rggb8", _rows(pixels[..., 0]), 0),
        },
    )
    episode = one(path)
    for name in ("/rgb", "/bgr"):
        assert np.array_equal(episode.stream(name).values[0], pixels)
    for name in ("/depth", "/depth_big"):
        assert episode.stream(name).values.dtype == np.uint16
        assert np.array_equal(episode.stream(name).values[0], depth)
    assert episode.stream("/bayer").kind is Kind.MESSAGE
    assert episode.stream("/bayer").encoding == "raw:bayer_rggb8"


def test_numbers_behind_texts_of_every_length_agree_with_the_serializer(tmp_path: Path) -> None:
    types = get_typestore(Stores.ROS2_HUMBLE).types
    vector, quaternion = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Quaternion"]
    rng, said, truth = np.random.default_rng(0), [], []
    for length in rng.permutation(np.repeat(np.arange(20), 3)):
        numbers = rng.normal(size=37)
        head = _header()
        head.frame_id = "f" * int(length)
        turn, spin, push = quaternion(*numbers[:4]), vector(*numbers[4:7]), vector(*numbers[7:10])
        covariances = numbers[10:].reshape(3, 9)
        kind = types["sensor_msgs/msg/Imu"]
        said.append(kind(head, turn, covariances[0], spin, covariances[1], push, covariances[2]))
        truth.append(numbers)
    episode = one(_ros_file(tmp_path / "imu.mcap", [("/imu", "sensor_msgs/msg/Imu", m) for m in said]))
    expected = np.stack(truth)
    assert np.array_equal(episode.stream("/imu.orientation").table, expected[:, :4])
    assert np.array_equal(episode.stream("/imu.angular_velocity").table, expected[:, 4:7])
    assert np.array_equal(episode.stream("/imu.linear_acceleration_covariance").table, expected[:, 28:])


def test_a_command_array_is_one_action_stream(tmp_path: Path) -> None:
    types = get_typestore(Stores.ROS2_HUMBLE).types
    layout = types["std_msgs/msg/MultiArrayLayout"]([types["std_msgs/msg/MultiArrayDimension"]("joint", 7, 7)], 0)
    kind = "std_msgs/msg/Float64MultiArray"
    said = [("/arm_command", kind, types[kind](layout, np.arange(7.0) + i)) for i in range(3)]
    stream = one(_ros_file(tmp_path / "a.mcap", said)).stream("/arm_command")
    assert (stream.role, stream.table.tolist()[2]) == (Role.ACTION, [2, 3, 4, 5, 6, 7, 8])
    assert stream.extra["layout"]["layout.dim{0}.label"] == "joint"


def test_the_robot_description_is_the_model_of_the_embodiment(tmp_path: Path) -> None:
    kind = get_typestore(Stores.ROS2_HUMBLE).types["std_msgs/msg/String"]
    text = '<?xml version="1.0"?><robot name="xarm7"></robot>'
    episode = one(_ros_file(tmp_path / "r.mcap", [("/robot_description", "std_msgs/msg/String", kind(text))]))
    assert episode.embodiment is not None
    assert (episode.embodiment.name, episode.embodiment.model) == ("xarm7", text)


def test_every_sensor_message_of_a_real_ros2_recording_is_read(shared_data: Path) -> None:
    path = shared_data / "mcap-ros2-sensor-msgs" / "rosbag2_2025_09_10-13_03_56_0.mcap"
    source = open_source(path)
    episode = source.episode(source.keys()[0])
    assert len(episode.extra["topics"]) == 32
    assert episode.stream("/joint_state.position").table.shape == (15, 4)
    assert episode.stream("/joint_state.position").channels[0] == "shoulder_joint"
    assert str(episode.stream("/imu.angular_velocity").meaning.unit) == "rad/s"
    assert str(episode.stream("/imu.orientation").meaning.rotation) == "quat_xyzw"
    assert episode.stream("/imu.orientation").meaning.frame is None
    assert episode.stream("/compressed_image").values[0].shape == (480, 640, 3)
    assert episode.stream("/image").values[0].shape == (480, 640, 3)
    assert episode.stream("/point_cloud2").kind is Kind.MESSAGE
    assert len(episode.stream("/temperature")) == 0
    assert all(d.holds for d in source.facts().declarations)
    for stream in episode.streams.values():
        assert len(stream.values[:]) == len(stream.clock.times_ns) == len(stream)


def _one_file(root: Path, *, steps: int = 40, compression: CompressionType = CompressionType.ZSTD) -> Path:
    write_log(root / "take.mcap", 0, steps=steps, compression=compression)
    return root / "take.mcap"


def _assert_equal(first: Episode, second: Episode) -> None:
    assert list(first.streams) == list(second.streams)
    for a, b in zip(first.streams.values(), second.streams.values(), strict=True):
        assert np.array_equal(a.clock.times_ns, b.clock.times_ns)
        assert np.array_equal(a.values[:], b.values[:])


def _record(opcode: int, data: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(data)) + data


def _json_file(root: Path, topics: dict[str, list[dict]]) -> Path:
    path = root / "j.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        for topic, rows in topics.items():
            schema = writer.register_schema(
                "foxglove.CompressedImage" if "cam" in topic else "state", "jsonschema", b"{}"
            )
            channel = writer.register_channel(topic, "json", schema)
            for i, row in enumerate(rows):
                writer.add_message(channel, START_NS + i * 10**7, json.dumps(row).encode(), START_NS)
        writer.finish()
    return path


def _ros_file(path: Path, messages: list[tuple[str, str, object]]) -> Path:
    store = get_typestore(Stores.ROS2_HUMBLE)
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for i, (topic, kind, message) in enumerate(messages):
            if topic not in channels:
                text = store.generate_msgdef(kind, ros_version=2)[0].encode()
                channels[topic] = writer.register_channel(topic, "cdr", writer.register_schema(kind, "ros2msg", text))
            writer.add_message(channels[topic], START_NS + i, bytes(store.serialize_cdr(message, kind)), START_NS)
        writer.finish()
    return path


def _header() -> object:
    types = get_typestore(Stores.ROS2_HUMBLE).types
    stamp = types["builtin_interfaces/msg/Time"](sec=START_NS // 10**9, nanosec=0)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id="")


def _joint_file(root: Path, messages: list[tuple[list[str], list[float]]]) -> Path:
    kind = get_typestore(Stores.ROS2_HUMBLE).types["sensor_msgs/msg/JointState"]
    none = np.empty(0)
    said = [kind(_header(), names, np.asarray(values), none, none) for names, values in messages]
    return _ros_file(root / "joints.mcap", [("/joint_states", "sensor_msgs/msg/JointState", m) for m in said])


def _rows(pixels: np.ndarray) -> np.ndarray:
    """Rows of bytes, each padded by three."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(4, -1)
    return np.pad(rows, ((0, 0), (0, 3)), constant_values=99)


def _image_file(root: Path, images: dict[str, tuple[str, np.ndarray, int]]) -> Path:
    kind = get_typestore(Stores.ROS2_HUMBLE).types["sensor_msgs/msg/Image"]
    said = [
        (topic, "sensor_msgs/msg/Image", kind(_header(), 4, 5, encoding, big, rows.shape[1], rows.ravel()))
        for topic, (encoding, rows, big) in images.items()
    ]
    return _ros_file(root / "images.mcap", said)
