"""ROS 2 bags packed by rosbag2 itself: whole files and single messages, in both storages."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import zstandard
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from robokata.containers.logs import zstd as _zstd
from robokata.core.detection import open_source
from robokata.core.errors import DamagedData, TooLarge, Unsupported
from robokata.formats import rosbag2

FLOAT = "std_msgs/msg/Float64"
STORAGES = [StoragePlugin.SQLITE3, StoragePlugin.MCAP]


def bag(path: Path, storage: StoragePlugin, mode: CompressionMode, count: int = 50) -> Path:
    store = get_typestore(Stores.ROS2_HUMBLE)
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/v", FLOAT, typestore=store)
        for number in range(count):
            data = store.serialize_cdr(store.types[FLOAT](data=float(number)), FLOAT)
            writer.write(connection, 1_700_000_000_000_000_000 + number * 10**7, data)
    return path


def values(path: Path) -> list[float]:
    source = open_source(path)
    assert all(d.holds for d in source.facts().declarations)
    return source.episode(source.keys()[0]).streams["/v"].values[:].ravel().tolist()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_both_modes_are_read_in_both_storages_and_leave_nothing_behind(
    tmp_path: Path, storage: StoragePlugin, mode: CompressionMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = bag(tmp_path / "bag", storage, mode)
    before = sorted(p.name for p in path.iterdir())
    assert values(path) == list(range(50))
    assert sorted(p.name for p in path.iterdir()) == before
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_folder_that_somebody_unpacked_is_read_once(tmp_path: Path, storage: StoragePlugin, is_kept: bool) -> None:
    path = bag(tmp_path / "bag", storage, CompressionMode.FILE)
    packed = next(path.glob("*.zstd"))
    packed.with_suffix("").write_bytes(zstandard.ZstdDecompressor().stream_reader(packed.read_bytes()).read())
    if not is_kept:
        packed.unlink()
    assert values(path) == list(range(50))
    (path / "metadata.yaml").unlink()
    assert values(path) == list(range(50))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_packed_file_apart_from_its_folder_is_read(tmp_path: Path, storage: StoragePlugin) -> None:
    path = bag(tmp_path / "bag", storage, CompressionMode.FILE)
    assert values(next(path.glob("*.zstd"))) == list(range(50))
    (path / "metadata.yaml").unlink()
    assert values(path) == list(range(50))


@pytest.mark.parametrize("storage", STORAGES)
def test_packed_messages_are_known_by_their_bytes_where_the_metadata_is_lost(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    path = bag(tmp_path / "bag", storage, CompressionMode.MESSAGE)
    assert values(next(p for p in path.iterdir() if p.suffix in (".db3", ".mcap"))) == list(range(50))


def test_a_packed_file_that_was_cut_is_not_called_a_recording_that_broke(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.FILE)
    packed = next(path.glob("*.zstd"))
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DamagedData) as caught:
        rosbag2.read(path)
    assert str(caught.value) == f"{packed}: is cut off: it ends inside a zstd frame. Copy it again from its origin."


def test_frames_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.FILE)
    packed = next(path.glob("*.zstd"))
    whole = zstandard.ZstdDecompressor().stream_reader(packed.read_bytes()).read()
    packed.write_bytes(b"".join(zstandard.compress(whole[at : at + 700]) for at in range(0, len(whole), 700)))
    assert values(path) == list(range(50))


def test_a_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_zstd, "_LEAST_LIMIT", 1 << 20)
    path = tmp_path / "bomb.mcap.zstd"
    path.write_bytes(zstandard.compress(bytes(1 << 26)))
    with pytest.raises(TooLarge, match=r"unpacks to more than 1048576 bytes\. Unpack it with 'zstd -d'"):
        rosbag2.read(path)


def test_another_packing_is_refused_by_its_name(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.MESSAGE)
    about = path / "metadata.yaml"
    about.write_text(about.read_text().replace("compression_format: zstd", "compression_format: lz4"))
    with pytest.raises(Unsupported) as caught:
        rosbag2.read(path)
    assert str(caught.value) == (
        f"{path / 'bag.mcap'}: rosbag2 packed each message as 'lz4'; Robokata reads zstd. Write the bag again with "
        f"'ros2 bag convert' and no compression."
    )


def test_a_full_disk_for_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bag(tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.FILE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage)
    with pytest.raises(TooLarge, match="unpacks to more than 90 bytes"):
        rosbag2.read(path)


class _Usage:
    free = 100


def test_unpacked_bytes_are_those_that_were_packed() -> None:
    data = np.random.default_rng(0).integers(0, 9, 300_000, np.uint8).tobytes()
    assert _zstd.unzstd(zstandard.compress(data), len(data), where="x") == data
