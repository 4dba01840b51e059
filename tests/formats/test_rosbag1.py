"""ROS 1 bags: real robots' clocks, librealsense's odd messages, bags that were never closed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag1 import Writer

from makers._robot_log import jpeg
from makers.rosbag1 import make, write_bag
from robokata.core.detection import detect, open_source
from robokata.core.errors import DamagedData
from robokata.core.stream import Kind, Role
from robokata.formats import rosbag1
from robokata.testing import read_barcode

CAMERA = "/camera/color/image_raw/compressed"


def test_a_folder_of_bags_is_a_dataset_and_every_picture_is_the_one_asked_for(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=3, steps=40)
    assert detect(path) == "rosbag1"
    source = open_source(path)
    for number, key in enumerate(source.keys()):
        pictures = source.episode(key).stream(CAMERA).pictures
        for index in (39, 0, 17):
            assert read_barcode(pictures[index]) == (number, index)
        assert pictures.encoded(3).data == jpeg(number, 3)
    assert all(d.holds for d in source.facts().declarations)


def test_a_bag_that_was_never_closed_is_read_up_to_the_break(tmp_path: Path) -> None:
    path = tmp_path / "take.bag"
    write_bag(path, 0, steps=200, packed=Writer.CompressionFormat.LZ4)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    source = rosbag1.read(path)
    pictures = source.episode("take").stream(CAMERA).pictures
    assert 50 < len(pictures) < 200
    assert read_barcode(pictures[len(pictures) - 1]).frame == len(pictures) - 1
    broken = {d.subject: d.hint for d in source.facts().declarations if not d.holds}
    assert broken["index_pos"] == "the file was cut: what lies before the cut is read"
    assert "readable bytes" in broken


def test_a_chunk_that_does_not_unpack_is_named_with_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "take.bag"
    write_bag(path, 0, steps=100, packed=Writer.CompressionFormat.BZ2)
    data = bytearray(path.read_bytes())
    data[data.index(b"BZh")] ^= 255
    path.write_bytes(data)
    with pytest.raises(DamagedData) as caught:
        rosbag1.read(path).episode("take").stream("/joint_states.position").values[:]
    assert str(caught.value) == (
        f"{path} at byte {caught.value.offset}: the chunk does not decompress: Invalid data stream."
    )


def test_a_file_of_another_kind_with_the_right_name_is_still_claimed_and_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.bag"
    path.write_bytes(b"PK\x03\x04")
    assert rosbag1.sniff(path) == 0.5
    with pytest.raises(DamagedData) as caught:
        rosbag1.read(path)
    assert str(caught.value) == (
        f"{path}: not a bag: the file does not start with '#ROSBAG V2.0'. "
        "Restore it from its origin, or repair it with 'rosbag reindex'."
    )


def test_the_imu_of_a_real_husky_is_received_25_ms_after_its_header_stamp(shared_data: Path) -> None:
    episode = open_source(shared_data / "rosbag1-mobile-robots" / "test1.bag").episode("test1")
    imu = episode.stream("/imu/data.angular_velocity")
    lag_ms = (imu.other_clocks["receive"].times_ns - imu.clock.times_ns) / 1e6
    assert imu.table.shape == (11865, 3)
    assert np.median(lag_ms) == pytest.approx(25, abs=1)
    assert (lag_ms.min() > 20) & (lag_ms.max() < 37)
    assert (str(imu.meaning.unit), str(imu.meaning.frame), imu.role) == ("rad/s", "imu_link", Role.SENSOR)


def test_the_208_ms_gap_of_its_odometry_is_still_there(shared_data: Path) -> None:
    episode = open_source(shared_data / "rosbag1-mobile-robots" / "test1.bag").episode("test1")
    odometry = episode.stream("/husky_velocity_controller/odom.twist.twist.linear")
    assert np.diff(odometry.clock.times_ns).max() / 1e6 == pytest.approx(208, abs=2)
    # The twist is given in the frame of the child, the pose in that of the header (nav_msgs/Odometry).
    assert str(odometry.meaning.frame) == "base_link"
    assert str(episode.stream("/husky_velocity_controller/odom.pose.pose.position").meaning.frame) == "odom"


def test_a_simulated_clock_starts_at_47_seconds_and_equal_receive_stamps_stay_equal(shared_data: Path) -> None:
    episode = open_source(shared_data / "rosbag1-mobile-robots" / "test2.bag").episode("test2")
    odometry = episode.stream("/jackal_velocity_controller/odom.pose.pose.position")
    assert episode.start_ns / 1e9 == pytest.approx(47.58, abs=0.05)
    assert set(np.diff(odometry.clock.times_ns)) == {20_000_000}
    assert np.any(np.diff(odometry.other_clocks["receive"].times_ns) == 0)


def test_librealsense_images_with_spare_bytes_are_read(shared_data: Path) -> None:
    episode = open_source(shared_data / "rosbag1-realsense" / "test_rs.bag").episode("test_rs")
    depth = episode.stream("/device_0/sensor_0/Depth_0/image/data")
    colour = episode.stream("/device_0/sensor_1/Color_0/image/data")
    assert (depth.values.shape, depth.values.dtype) == ((6, 480, 640), np.uint16)
    assert colour.values[4].shape == (480, 640, 3)
    assert 300 < np.median(depth.values[0][depth.values[0] > 0]) < 5000


def test_headers_on_another_epoch_stay_beside_the_receive_stamps(shared_data: Path) -> None:
    episode = open_source(shared_data / "rosbag1-realsense" / "test_rs.bag").episode("test_rs")
    depth = episode.stream("/device_0/sensor_0/Depth_0/image/data")
    assert depth.extra["clock"] == "receive"
    assert depth.other_clocks["header"].times_ns[0] > 10**18
    assert episode.duration_s == pytest.approx(0.4576, abs=0.001)


def test_lidar_packets_stay_messages_with_their_bytes(shared_data: Path) -> None:
    episode = open_source(shared_data / "lidar-ouster" / "512x10_raw.bag").episode("512x10_raw")
    packets = episode.stream("/os_node0/lidar_packets")
    assert (packets.kind, len(packets)) == (Kind.MESSAGE, 32)
    assert packets.extra["kept_as_bytes"] == "field 'buf' is a blob"
    assert len(packets.values[:][0]) == len(packets.values[0].item()) > 1000
