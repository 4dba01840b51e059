"""ROS 2 bags: two storages, split files, and what metadata.yaml says that is not so."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import zstandard
from rosbags.rosbag2 import StoragePlugin

from makers._robot_log import jpeg
from makers.rosbag2 import make, write_folder
from robokata.core.detection import detect, open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, MediaMissing, UntrustedContent
from robokata.formats import mcap, rosbag2
from robokata.testing import read_barcode

CAMERA = "/camera/color/image_raw/compressed"


def test_a_folder_of_bags_is_a_dataset_and_every_picture_is_the_one_asked_for(tmp_path: Path) -> None:
    path = make(tmp_path, episodes=3, steps=40)
    assert detect(path) == "rosbag2"
    source = open_source(path)
    for number, key in enumerate(source.keys()):
        pictures = source.episode(key).stream(CAMERA).pictures
        for index in (39, 0, 17):
            assert read_barcode(pictures[index]) == (number, index)
        assert pictures.encoded(3).data == jpeg(number, 3)
    assert all(d.holds for d in source.facts().declarations)


def test_the_storage_makes_no_difference(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=20, storage=StoragePlugin.SQLITE3)
    write_folder(tmp_path / "b", 0, steps=20, storage=StoragePlugin.MCAP)
    _assert_equal(rosbag2.read(tmp_path / "a").episode("a"), rosbag2.read(tmp_path / "b").episode("b"))


def test_the_talker_of_ros2_is_the_same_in_both_storages(shared_data: Path) -> None:
    folder = shared_data / "rosbag2-fixtures"
    first, second = (open_source(folder / name / "talker").episode("talker") for name in ("sqlite3", "mcap"))
    one, other = first.stream("/topic"), second.stream("/topic")
    assert list(one.values[:]) == list(other.values[:])
    assert one.values[0].item() == "Hello, world! 0"
    assert np.array_equal(one.clock.times_ns, other.clock.times_ns)
    assert len(first.stream("/parameter_events")) == len(second.stream("/parameter_events")) == 0


def test_a_definition_that_does_not_describe_its_messages_is_not_believed(shared_data: Path) -> None:
    episode = open_source(shared_data / "rosbag2-fixtures" / "sqlite3" / "talker").episode("talker")
    assert (
        episode.stream("/rosout")
        .extra["kept_as_bytes"]
        .endswith("/rosout: 171 bytes follow the last field of a rcl_interfaces/msg/Log.")
    )
    assert episode.stream("/rosout").extra["schema"] == "rcl_interfaces/msg/Log"


def test_bags_without_definitions_use_the_known_types(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=20)
    write_folder(tmp_path / "b", 0, steps=20)
    with sqlite3.connect(tmp_path / "b" / "b.db3") as connection:
        connection.execute("DROP TABLE message_definitions")
    connection.close()
    (tmp_path / "b" / "metadata.yaml").unlink()
    _assert_equal(rosbag2.read(tmp_path / "a").episode("a"), rosbag2.read(tmp_path / "b").episode("b"))
    _assert_equal(rosbag2.read(tmp_path / "a").episode("a"), rosbag2.read(tmp_path / "b" / "b.db3").episode("b"))


def test_a_bag_split_into_files_is_one_episode_in_the_order_of_the_files(tmp_path: Path) -> None:
    whole, split = tmp_path / "whole", tmp_path / "split"
    write_folder(whole, 0, steps=40)
    split.mkdir()
    for number, keep in ((2, "<= 80"), (10, "> 80")):
        file = split / f"split_{number}.db3"
        shutil.copyfile(whole / "whole.db3", file)
        with sqlite3.connect(file) as connection:
            connection.execute(f"DELETE FROM messages WHERE NOT id {keep}")
        connection.close()
    assert rosbag2.sniff(split) == 0.95
    _assert_equal(rosbag2.read(whole).episode("whole"), rosbag2.read(split).episode("split"))


def test_a_missing_part_is_declared_and_the_rest_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=20)
    text = (tmp_path / "a" / "metadata.yaml").read_text()
    changed = text.replace("- a.db3", "- a.db3\n  - a_1.db3").replace("message_count: 153", "message_count: 200", 1)
    (tmp_path / "a" / "metadata.yaml").write_text(changed)
    source = rosbag2.read(tmp_path / "a")
    assert len(source.episode("a").stream(CAMERA)) == 20
    wrong = [(d.subject, d.declared, d.found) for d in source.facts().declarations if not d.holds]
    assert ("relative_file_paths", "a_1.db3", "no such file") in wrong


def test_a_bag_whose_only_file_is_missing_says_which(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=5)
    (tmp_path / "a" / "a.db3").unlink()
    with pytest.raises(MediaMissing) as caught:
        rosbag2.read(tmp_path / "a")
    assert str(caught.value) == (
        f"{tmp_path / 'a' / 'a.db3'}: named by metadata.yaml, and not there. Copy it beside the metadata."
    )


def test_a_compressed_file_is_unpacked_in_memory(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=20)
    (tmp_path / "b").mkdir()
    packed = zstandard.ZstdCompressor().compress((tmp_path / "a" / "a.db3").read_bytes())
    (tmp_path / "b" / "b_0.db3.zstd").write_bytes(packed)
    _assert_equal(rosbag2.read(tmp_path / "a").episode("a"), rosbag2.read(tmp_path / "b").episode("b"))
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["b_0.db3.zstd"]


def test_reading_leaves_no_file_beside_the_bag(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=20)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").iterdir()}
    episode = rosbag2.read(tmp_path / "a").episode("a")
    assert all(len(stream.values[:]) == len(stream) for stream in episode.streams.values())
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").iterdir()} == before


def test_a_view_in_place_of_the_messages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE topics(id, name, type, serialization_format)")
        connection.execute("CREATE VIEW messages AS SELECT 1 AS id, 1 AS topic_id, 1 AS timestamp, x'00' AS data")
    connection.close()
    with pytest.raises(UntrustedContent) as caught:
        rosbag2.read(path)
    assert str(caught.value) == f"{path}: 'messages' is not a plain table."


def test_metadata_with_anchors_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=5)
    path = tmp_path / "a" / "metadata.yaml"
    path.write_text("rosbag2_bagfile_information:\n  a: &x [1, 2]\n  b: [*x, *x]\n")
    with pytest.raises(DamagedData) as caught:
        rosbag2.read(tmp_path / "a")
    assert str(caught.value) == f"{path}: uses YAML anchors, which rosbag2 never writes."


def test_a_folder_of_mcap_files_with_metadata_belongs_to_rosbag2_alone(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", 0, steps=5, storage=StoragePlugin.MCAP)
    assert (rosbag2.sniff(tmp_path / "a"), mcap.sniff(tmp_path / "a")) == (1.0, 0.0)
    (tmp_path / "a" / "metadata.yaml").unlink()
    assert (rosbag2.sniff(tmp_path / "a"), mcap.sniff(tmp_path / "a")) == (0.0, 0.9)


def test_something_else_called_db3_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.db3"
    path.write_bytes(b"no database, but long enough to be read as one" * 40)
    assert rosbag2.sniff(path) == 0.5
    with pytest.raises(DamagedData) as caught:
        rosbag2.read(path)
    assert str(caught.value) == (
        f"{path}: SQLite cannot read it: file is not a database. "
        "Restore it from its origin, or save what is left with 'sqlite3 FILE .recover'."
    )


def _assert_equal(first: Episode, second: Episode) -> None:
    assert list(first.streams) == list(second.streams)
    for a, b in zip(first.streams.values(), second.streams.values(), strict=True):
        assert np.array_equal(a.clock.times_ns, b.clock.times_ns)
        assert np.array_equal(a.values[:], b.values[:])
