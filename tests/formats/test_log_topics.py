"""One topic is one stream: restarted publishers, several publishers, and files out of order."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer
from rosbags.rosbag1 import Writer as BagWriter
from rosbags.rosbag2 import Writer as Bag2Writer
from rosbags.typesys import Stores, get_typestore

from robokata.conversion.convert import convert, plan_conversion
from robokata.core.detection import open_source
from robokata.core.episode import Episode

JOINTS, NUMBER, SINGLE = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64", "std_msgs/msg/Float32"
START_NS, STEP_NS = 1_700_000_000_000_000_000, 10_000_000
ROS2 = get_typestore(Stores.ROS2_HUMBLE)
ROS1 = get_typestore(Stores.ROS1_NOETIC)


class Said(NamedTuple):
    """One message of one publisher, and its receive time as a number of steps."""

    at: float
    value: float
    publisher: int = 0
    topic: str = "/joint_states"
    type: str = JOINTS


def message(store: Any, said: Said) -> Any:
    types, time_ns = store.types, START_NS + round(said.at * STEP_NS)
    if said.type != JOINTS:
        return types[said.type](data=said.value)
    stamp = types["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    counted = {"seq": 0} if store is ROS1 else {}
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="base", **counted)
    position = np.asarray([said.value, -said.value])
    return types[JOINTS](header=header, name=["a", "b"], position=position, velocity=np.empty(0), effort=np.empty(0))


def as_mcap(
    folder: Path, lines: Sequence[Said], *, chunk_bytes: int = 1_000_000, notes: Sequence[str] = ("", "")
) -> Path:
    """A channel per publisher, each with a schema of its own that says the same in other words."""
    path = folder / "log.mcap"
    with path.open("wb") as file:
        writer, channels = Writer(file, chunk_size=chunk_bytes), {}
        writer.start("ros2", "robokata tests")
        for said in lines:
            key = (said.topic, said.type, said.publisher)
            if key not in channels:
                text = f"{notes[said.publisher]}{ROS2.generate_msgdef(said.type, ros_version=2)[0]}"
                schema = writer.register_schema(said.type, "ros2msg", text.encode())
                facts = {"publisher": str(said.publisher), "site": "lab"}
                channels[key] = writer.register_channel(said.topic, "cdr", schema, metadata=facts)
            time_ns = START_NS + round(said.at * STEP_NS)
            data = bytes(ROS2.serialize_cdr(message(ROS2, said), said.type))
            writer.add_message(channels[key], time_ns, data, time_ns - 1000)
        writer.finish()
    return path


def as_bag(folder: Path, lines: Sequence[Said]) -> Path:
    path = folder / "log.bag"
    with BagWriter(path) as writer:
        connections = {}
        for said in lines:
            key = (said.topic, said.type, said.publisher)
            if key not in connections:
                caller = f"/driver_{said.publisher}"
                connections[key] = writer.add_connection(said.topic, said.type, typestore=ROS1, callerid=caller)
            data = ROS1.serialize_ros1(message(ROS1, said), said.type)
            writer.write(connections[key], START_NS + round(said.at * STEP_NS), data)
    return path


def as_db3(folder: Path, lines: Sequence[Said]) -> Path:
    """One row of topics per publisher, as `ros2 bag convert` of several inputs leaves them."""
    path = folder / "log"
    with Bag2Writer(path, version=8) as writer:
        connections = {}
        for said in lines:
            key = (said.topic, said.type, said.publisher)
            if key not in connections:
                name = f"{said.topic}{'_again' * said.publisher}"
                connections[key] = writer.add_connection(name, said.type, typestore=ROS2)
            data = ROS2.serialize_cdr(message(ROS2, said), said.type)
            writer.write(connections[key], START_NS + round(said.at * STEP_NS), data)
    with sqlite3.connect(next(path.glob("*.db3"))) as table:
        table.execute("UPDATE topics SET name = replace(name, '_again', '')")
    return path


WAYS = pytest.mark.parametrize("write", [as_mcap, as_bag, as_db3])
RESTARTED = [Said(i, i * 0.1, int(i >= 60)) for i in range(100)]


def read(path: Path) -> Episode:
    source = open_source(path)
    return source.episode(source.keys()[0])


@WAYS
def test_a_topic_whose_publisher_was_restarted_is_one_stream(tmp_path: Path, write: Any) -> None:
    episode = read(write(tmp_path, RESTARTED))
    positions = [stream for stream in episode.streams.values() if stream.name.startswith("/joint_states.position")]
    assert len(positions) == 1
    np.testing.assert_allclose(positions[0].table[:, 0], np.arange(100) * 0.1)
    assert np.diff(positions[0].clock.times_ns).tolist() == [STEP_NS] * 99


@WAYS
def test_two_publishers_in_turn_are_merged_by_receive_time(tmp_path: Path, write: Any) -> None:
    lines = [Said(i, float(i), i % 2) for i in range(50)]
    # The first publisher's messages all lie before the second's, as a writer that sorts by topic leaves them.
    episode = read(write(tmp_path, sorted(lines, key=lambda said: said.publisher)))
    stream = episode.stream("/joint_states.position")
    assert stream.table[:, 0].tolist() == list(range(50))
    assert stream.oddities["late"] == (
        "24 of 50 messages of /joint_states lie in the file behind messages that were received later; they are read by "
        "receive time"
    )


@WAYS
def test_a_file_out_of_order_is_read_by_receive_time_and_equal_times_stay(tmp_path: Path, write: Any) -> None:
    times = [*range(50, 100), *range(50), 7, 7]
    episode = read(write(tmp_path, [Said(t, float(n), topic="/v", type=NUMBER) for n, t in enumerate(times)]))
    order = sorted(range(len(times)), key=lambda n: times[n])
    assert episode.stream("/v").table[:, 0].tolist() == order


def test_chunks_whose_times_overlap_are_read_as_the_mcap_library_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    lines = [Said(t, float(n), n % 3 % 2, "/v", NUMBER) for n, t in enumerate(rng.permutation(300) // 2)]
    path = as_mcap(tmp_path, lines, chunk_bytes=700, notes=("# one\n", "# the other\n"))
    with path.open("rb") as file:
        expected = [m.data for _, _, m in make_reader(file).iter_messages(log_time_order=True)]
    stream = read(path).stream("/v")
    numbers = [np.frombuffer(data[-8:], "<f8")[0] for data in expected]
    assert stream.table[:, 0].tolist() == numbers
    assert stream.clock.times_ns.tolist() == sorted(stream.clock.times_ns)
    assert (stream.other_clocks["publish"].times_ns == stream.clock.times_ns - 1000).all()


def test_files_of_one_bag_whose_times_overlap_are_one_sequence(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    for part, times in enumerate(([0, 2, 4, 6], [3, 1, 5, 7])):
        (tmp_path / str(part)).mkdir()
        lines = [Said(t, float(t), topic="/v", type=NUMBER) for t in times]
        next(as_db3(tmp_path / str(part), lines).glob("*.db3")).rename(bag / f"bag_{part}.db3")
    assert read(bag).stream("/v").table[:, 0].tolist() == list(range(8))


def test_what_publishers_say_alike_is_said_of_the_topic_and_the_rest_of_each(tmp_path: Path) -> None:
    extra = read(as_mcap(tmp_path, RESTARTED)).stream("/joint_states.position").extra
    assert extra["metadata"] == {"site": "lab"}
    assert [one["metadata"]["publisher"] for one in extra["publishers"]] == ["0", "1"]


@WAYS
def test_publishers_of_one_topic_with_other_types_are_kept_apart_and_told(tmp_path: Path, write: Any) -> None:
    lines = [Said(i, float(i), i % 2, "/cmd", (NUMBER, SINGLE)[i % 2]) for i in range(20)]
    path = write(tmp_path, lines)
    episode, facts = read(path), open_source(path).facts()
    assert episode.stream("/cmd").table[:, 0].tolist() == list(range(0, 20, 2))
    assert episode.stream("/cmd#2").table[:, 0].tolist() == list(range(1, 20, 2))
    broken = {d.subject: d.found for d in facts.declarations if not d.holds}
    assert "Float64" in str(broken["type of /cmd"])
    assert "Float32" in str(broken["type of /cmd"])


@WAYS
@pytest.mark.parametrize("target", ["lerobot_v3", "mcap", "zarr_replay", "robomimic_hdf5"])
def test_a_restarted_topic_is_converted_as_one_and_comes_back(tmp_path: Path, write: Any, target: str) -> None:
    path = write(tmp_path, RESTARTED)
    out = tmp_path / ("out.mcap" if target == "mcap" else "out")
    convert(open_source(path), out, target)
    back = read(out).stream("/joint_states.position")
    np.testing.assert_allclose(back.table[:, 0], np.arange(100) * 0.1)


def test_the_plan_says_where_the_file_is_out_of_order(tmp_path: Path) -> None:
    lines = [Said(t, float(t), topic="/v", type=NUMBER) for t in [*range(50, 100), *range(50)]]
    report = plan_conversion(open_source(as_mcap(tmp_path, lines)), "lerobot_v3")
    assert not report.is_lossy
    assert "/v lies in the file in another order than it was received: it is read by receive time" in report.notes
