"""What a topic holds follows from all its messages: fields that come late, grow, go missing or belong to others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.writer import Writer
from rosbags.rosbag1 import Writer as BagWriter
from rosbags.typesys import Stores, get_typestore

from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.inspection.run import check_dataset

START_NS, STEP_NS = 1_700_000_000_000_000_000, 10_000_000
JOINTS, ARRAY = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
STORES = {"mcap": get_typestore(Stores.ROS2_HUMBLE), "bag": get_typestore(Stores.ROS1_NOETIC)}
TARGETS = pytest.mark.parametrize("target", ["lerobot_v3", "mcap", "zarr_replay", "robomimic_hdf5", "rlds"])
CONTAINERS = pytest.mark.parametrize("kind", list(STORES))


def read(path: Path) -> Episode:
    source = open_source(path)
    return source.episode(source.keys()[0])


def back_from(path: Path, out: Path, target: str) -> Episode:
    out = out.with_suffix(".mcap") if target == "mcap" else out
    convert(open_source(path), out, target)
    return read(out)


def log(path: Path, kind: str, topic: str, type_name: str, messages: Sequence[Any]) -> Path:
    """One topic in an MCAP file or in a ROS 1 bag."""
    path, store = path.with_suffix(f".{kind}"), STORES[kind]
    if kind == "bag":
        with BagWriter(path) as bag:
            connection = bag.add_connection(topic, type_name, typestore=store)
            for number, message in enumerate(messages):
                bag.write(connection, START_NS + number * STEP_NS, store.serialize_ros1(message, type_name))
        return path
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=20_000)
        writer.start("ros2", "robokata tests")
        schema = writer.register_schema(
            type_name, "ros2msg", store.generate_msgdef(type_name, ros_version=2)[0].encode()
        )
        channel = writer.register_channel(topic, "cdr", schema)
        for number, message in enumerate(messages):
            time_ns = START_NS + number * STEP_NS
            writer.add_message(channel, time_ns, bytes(store.serialize_cdr(message, type_name)), time_ns)
        writer.finish()
    return path


def joints(path: Path, kind: str, rows: Sequence[tuple[Sequence[str], Any, Any]]) -> Path:
    """JointStates of names, positions and velocities, one every 10 ms."""
    types, messages = STORES[kind].types, []
    for number, (names, position, velocity) in enumerate(rows):
        time_ns = START_NS + number * STEP_NS
        stamp = types["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
        header = types["std_msgs/msg/Header"](
            stamp=stamp, frame_id="base", **({"seq": number} if kind == "bag" else {})
        )
        numbers = {"position": np.asarray(position, float), "velocity": np.asarray(velocity, float)}
        messages.append(types[JOINTS](header=header, name=list(names), effort=np.empty(0), **numbers))
    return log(path, kind, "/joint_states", JOINTS, messages)


def json_log(path: Path, topics: Mapping[str, Sequence[Any]]) -> Path:
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("", "robokata tests")
        schema = writer.register_schema("State", "jsonschema", b"{}")
        for topic, messages in topics.items():
            channel = writer.register_channel(topic, "json", schema)
            for number, message in enumerate(messages):
                time_ns = START_NS + number * STEP_NS
                writer.add_message(channel, time_ns, json.dumps(message).encode(), time_ns)
        writer.finish()
    return path


def proto_log(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Messages with a plain number, an optional one, and a message inside."""
    file = descriptor_pb2.FileDescriptorProto(name="arm.proto", package="test", syntax="proto3")
    inner = file.message_type.add(name="Point")
    outer = file.message_type.add(name="Arm")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, name in enumerate("xyz", 1):
        inner.field.add(name=name, number=number, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    outer.field.add(name="angle", number=1, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    outer.oneof_decl.add(name="_force")
    outer.field.add(
        name="force", number=2, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL, oneof_index=0, proto3_optional=True
    )
    point = {"type": kinds.TYPE_MESSAGE, "type_name": ".test.Point"}
    outer.field.add(name="tip", number=3, label=kinds.LABEL_OPTIONAL, **point)
    outer.field.add(name="cells", number=4, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    arm = message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Arm"))
    data = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()
    with path.open("wb") as out:
        writer = Writer(out)
        writer.start("", "robokata tests")
        channel = writer.register_channel("/arm", "protobuf", writer.register_schema("test.Arm", "protobuf", data))
        for number, row in enumerate(rows):
            time_ns = START_NS + number * STEP_NS
            writer.add_message(channel, time_ns, arm(**row).SerializeToString(), time_ns)
        writer.finish()
    return path


@CONTAINERS
def test_two_robots_on_one_topic_are_streams_of_their_own_joints(tmp_path: Path, kind: str) -> None:
    arm, hand = ["arm_joint1", "arm_joint2", "arm_joint3"], ["finger_joint1", "finger_joint2"]
    rows = [(arm, [i, 2 * i, 3 * i], []) if i % 2 == 0 else (hand, [-i, i], []) for i in range(100)]
    episode = read(joints(tmp_path / "two", kind, rows))
    first = episode.stream("/joint_states.position.arm")
    second = episode.stream("/joint_states.position.finger")
    assert (first.channels, second.channels) == (tuple(arm), tuple(hand))
    assert first.table[:, 1].tolist() == [2 * i for i in range(0, 100, 2)]
    assert second.table[:, 0].tolist() == [-i for i in range(1, 100, 2)]
    assert np.diff(second.clock.times_ns).tolist() == [2 * STEP_NS] * 49


@TARGETS
def test_two_robots_on_one_topic_come_back_from_every_target(tmp_path: Path, target: str) -> None:
    rows = [(["a1", "a2"], [i, 2 * i], []) if i % 2 == 0 else (["b1"], [-i], []) for i in range(40)]
    path = joints(tmp_path / "two", "mcap", rows)
    before, after = read(path), back_from(path, tmp_path / "out", target)
    for name in ("/joint_states.position.a", "/joint_states.position.b1"):
        np.testing.assert_array_equal(after.stream(name).table, before.stream(name).table)
        np.testing.assert_array_equal(after.stream(name).clock.times_ns, before.stream(name).clock.times_ns)


def test_robots_whose_messages_are_equally_long_are_told_by_their_names_alone(tmp_path: Path) -> None:
    rows = [([f"{'lr'[i % 2]}_1", f"{'lr'[i % 2]}_2"], [i, -i], [i, i]) for i in range(20)]
    episode = read(joints(tmp_path / "two", "mcap", rows))
    assert list(episode.streams) == [f"/joint_states.{f}.{side}" for f in ("position", "velocity") for side in "lr"]
    assert episode.stream("/joint_states.velocity.r").table[:, 0].tolist() == list(range(1, 20, 2))


def test_one_odd_message_does_not_rename_the_joints_of_the_topic(tmp_path: Path) -> None:
    rows = [(["a", "b"], [i, -i], []) if i != 7 else (["c"], [1], []) for i in range(30)]
    episode = read(joints(tmp_path / "odd", "mcap", rows))
    assert len(episode.stream("/joint_states.position")) == 29
    assert episode.stream("/joint_states.position.c").table.tolist() == [[1]]


def test_messages_without_joint_names_go_by_the_number_of_their_values(tmp_path: Path) -> None:
    episode = read(joints(tmp_path / "bare", "bag", [([], [i] * (2 + i % 2), []) for i in range(20)]))
    widths = {stream.shape[0]: stream for stream in episode.numeric() if "position" in stream.name}
    assert widths[2].table[:, 0].tolist() == list(range(0, 20, 2))
    assert widths[3].table[:, 2].tolist() == list(range(1, 20, 2))


def test_messages_that_name_what_has_changed_become_a_stream_per_joint(tmp_path: Path) -> None:
    names = [f"m{n}" for n in range(20)]
    rows = [([names[i % 20], names[(i + 1) % 20]], [i, -i], []) for i in range(60)]
    path = joints(tmp_path / "some", "mcap", rows)
    streams = read(path).streams
    assert sorted(streams) == sorted(f"/joint_states.position.{name}" for name in names)
    third = streams["/joint_states.position.m3"]
    assert third.table[:, 0].tolist() == [-2, 3, -22, 23, -42, 43]
    assert third.clock.times_ns.tolist() == [START_NS + i * STEP_NS for i in (2, 3, 22, 23, 42, 43)]


def test_a_header_that_one_message_leaves_empty_does_not_lead(tmp_path: Path) -> None:
    rows = [{"v": i / 2, "timestamp": {"sec": 0 if i == 3 else 1_700_000_000, "nsec": i}} for i in range(6)]
    stream = read(json_log(tmp_path / "n.mcap", {"/s": rows})).stream("/s")
    assert stream.extra["clock"] == "receive"
    assert stream.clock.times_ns.tolist() == [START_NS + i * STEP_NS for i in range(6)]


@CONTAINERS
def test_velocity_that_the_first_messages_lack_is_a_stream_of_those_that_hold_it(tmp_path: Path, kind: str) -> None:
    rows = [(["a", "b"], [i, -i], [] if i < 3 or i % 5 == 0 else [i * 10, 0]) for i in range(50)]
    episode = read(joints(tmp_path / "late", kind, rows))
    held = [i for i in range(50) if i >= 3 and i % 5]
    velocity = episode.stream("/joint_states.velocity")
    assert velocity.table[:, 0].tolist() == [10 * i for i in held]
    assert velocity.clock.times_ns.tolist() == [START_NS + i * STEP_NS for i in held]
    assert len(episode.stream("/joint_states.position")) == 50
    assert velocity.extra["messages"] == f"{len(held)} of 50 messages of the topic hold it"


def test_a_field_that_is_sometimes_empty_is_sound(tmp_path: Path) -> None:
    rows = [(["a", "b"], [np.sin(i / 9), np.cos(i / 9)], [] if i % 7 < 3 else [i, 1]) for i in range(100)]
    report = check_dataset(open_source(joints(tmp_path / "late", "mcap", rows)))
    assert [f for f in report.findings if f.level.name in ("ERROR", "WARNING")] == []


@CONTAINERS
def test_arrays_whose_length_changes_are_ragged_and_empty_ones_are_left_out(tmp_path: Path, kind: str) -> None:
    types = STORES[kind].types
    layout = types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    empty, grown = (
        [types[ARRAY](layout=layout, data=np.arange(n, dtype=float)) for n in ns] for ns in ([0, 3, 3], [2, 3])
    )
    stream = read(log(tmp_path / "empty", kind, "/command", ARRAY, empty)).stream("/command")
    assert stream.table.tolist() == [[0, 1, 2]] * 2
    ragged = read(log(tmp_path / "grown", kind, "/command", ARRAY, grown)).stream("/command")
    assert [cell.tolist() for cell in ragged.values[:]] == [[0, 1], [0, 1, 2]]


def test_whole_numbers_of_json_before_fractions_are_fractions(tmp_path: Path) -> None:
    path = json_log(tmp_path / "n.mcap", {"/x": [{"x": i // 2 if i % 2 == 0 else i / 2} for i in range(20)]})
    stream = read(path).stream("/x")
    assert (stream.values.dtype, stream.table[:, 0].tolist()) == (np.float64, [i / 2 for i in range(20)])


def test_whole_numbers_of_json_stay_whole_to_the_last_digit(tmp_path: Path) -> None:
    stamps = [2**60 + i for i in range(5)]
    counts = [2**63 + i for i in range(5)]
    episode = read(json_log(tmp_path / "n.mcap", {"/t": [{"t": t} for t in stamps], "/u": [{"u": u} for u in counts]}))
    assert episode.stream("/t").table[:, 0].tolist() == stamps
    assert episode.stream("/u").table[:, 0].tolist() == counts


def test_fields_of_json_that_come_late_are_null_or_change_their_kind_lose_nothing(tmp_path: Path) -> None:
    rows = [
        {"x": i, "grip": {"force": i / 2} if i > 3 else None, "state": "slip" if i % 5 == 4 else i} for i in range(10)
    ]
    episode = read(json_log(tmp_path / "n.mcap", {"/s": rows}))
    force = episode.stream("/s.grip.force")
    assert force.table[:, 0].tolist() == [i / 2 for i in range(4, 10)]
    assert force.clock.times_ns[0] == START_NS + 4 * STEP_NS
    assert episode.stream("/s.state").table[:, 0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert episode.stream("/s.state#text").values[:].tolist() == ["slip", "slip"]
    assert episode.stream("/s").table[:, 0].tolist() == list(range(10))


def test_lists_of_json_are_matrices_ragged_or_texts_by_all_messages(tmp_path: Path) -> None:
    rows = [
        {
            "pose": [[i, 0], [0, 1]],
            "path": [0.5] * (i + 1),
            "bad": [] if i == 0 else ["slip"],
            "nan": [1, None if i else 2],
        }
        for i in range(3)
    ]
    episode = read(json_log(tmp_path / "n.mcap", {"/s": rows}))
    assert episode.stream("/s.pose").values[:][2].tolist() == [[2, 0], [0, 1]]
    assert [len(cell) for cell in episode.stream("/s.path").values[:]] == [1, 2, 3]
    assert episode.stream("/s.bad").values[:].tolist() == ["[]", '["slip"]', '["slip"]']
    assert np.isnan(episode.stream("/s.nan").table[:, 1]).tolist() == [False, True, True]


def test_a_list_of_objects_that_comes_late_is_a_text_beside_the_numbers(tmp_path: Path) -> None:
    rows = [{"x": i / 2, "faults": [] if i < 3 else [{"code": i}]} for i in range(5)]
    episode = read(json_log(tmp_path / "n.mcap", {"/s": rows}))
    assert episode.stream("/s").table[:, 0].tolist() == [0, 0.5, 1, 1.5, 2]
    assert episode.stream("/s.faults").values[:].tolist() == ["[]"] * 3 + ['[{"code": 3}]', '[{"code": 4}]']


@TARGETS
def test_late_fields_come_back_from_every_target(tmp_path: Path, target: str) -> None:
    rows = [{"x": i / 2, **({"error": "slip", "code": i} if i % 10 == 5 else {})} for i in range(40)]
    before = read(json_log(tmp_path / "n.mcap", {"/s": rows}))
    after = back_from(tmp_path / "n.mcap", tmp_path / "out", target)
    for name in ("/s", "/s.error", "/s.code"):
        assert after.stream(name).values[:].tolist() == before.stream(name).values[:].tolist()
        np.testing.assert_array_equal(after.stream(name).clock.times_ns, before.stream(name).clock.times_ns)


def test_optional_fields_of_protobuf_are_absent_and_not_zero(tmp_path: Path) -> None:
    rows = [
        {"angle": 0.5 * i, **({"force": 0.0, "tip": {"x": i, "y": 1, "z": 2}} if i > 2 else {}), "cells": [1] * (i % 2)}
        for i in range(6)
    ]
    episode = read(proto_log(tmp_path / "p.mcap", rows))
    assert episode.stream("/arm").table[:, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert episode.stream("/arm.force").table.tolist() == [[0]] * 3
    assert episode.stream("/arm.tip").table[:, 0].tolist() == [3, 4, 5]
    assert len(episode.stream("/arm.cells")) == 3
