"""Reading ACT / ALOHA HDF5."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import simplejpeg

from makers import aloha_hdf5 as maker
from robokata.core.clock import ClockQuality
from robokata.core.detection import detect
from robokata.core.episode import Instruction
from robokata.core.errors import DamagedData, UnknownName
from robokata.core.stream import UNKNOWN_MEANING, Kind, Role
from robokata.formats import aloha_hdf5, robomimic_hdf5
from robokata.formats.aloha_hdf5 import read
from robokata.testing import Barcode, barcode_picture, read_barcode

HIGH = "observations/images/cam_high"


def jpegs(count: int) -> list[bytes]:
    return [simplejpeg.encode_jpeg(barcode_picture(0, i)) for i in range(count)]


def write(path: Path, *, steps: int = 10, images: object = None) -> Path:
    with h5py.File(path, "w") as file:
        file["observations/qpos"] = np.zeros((steps, 14))
        file["action"] = np.zeros((steps, 14))
        if images is not None:
            file[HIGH] = images
    return path


def test_every_picture_of_every_episode_is_the_one_asked_for(tmp_path: Path) -> None:
    source = read(maker.make(tmp_path, episodes=4, steps=12))
    for number, key in enumerate(source.keys()):
        streams = list(source.episode(key).pictures())
        assert [stream.encoding for stream in streams] == ["jpeg" if number % 2 else "raw"] * 2
        for stream in streams:
            assert [read_barcode(p) for p in stream.values[:]] == [Barcode(number, i) for i in range(12)]
            assert read_barcode(stream.values[7]) == Barcode(number, 7)


def test_episodes_come_in_numeric_order_and_pickle_by_reference(tmp_path: Path) -> None:
    source = read(maker.make(tmp_path, episodes=11, steps=2))
    assert list(source.keys()) == [f"episode_{number}" for number in range(11)]
    again = pickle.loads(pickle.dumps(source.episode("episode_10")))  # our own bytes
    assert read_barcode(again.stream(HIGH).values[1]) == Barcode(10, 1)


def test_one_file_is_a_dataset_of_one(tmp_path: Path) -> None:
    folder = maker.make(tmp_path, episodes=2, steps=3)
    source = read(folder / "episode_1.hdf5")
    assert source.format == "aloha_hdf5"
    assert list(source.keys()) == ["episode_1"]


def test_the_format_knows_neither_time_nor_robot_nor_language_nor_meaning(tmp_path: Path) -> None:
    source = read(maker.make(tmp_path, episodes=1, steps=3))
    episode = source.episode("episode_0")
    assert {stream.clock.quality for stream in episode.streams.values()} == {ClockQuality.UNKNOWN}
    assert {stream.meaning for stream in episode.streams.values()} == {UNKNOWN_MEANING}
    assert episode.embodiment is None
    assert episode.instructions == ()
    facts = source.facts()
    assert facts.declared_rate_hz is None
    assert facts.extra == {
        "clock": (
            "the file keeps neither times nor a rate; ACT's own code assumes 50 Hz (DT = 0.02), which no file says"
        ),
        "sim": False,
    }
    assert {name: stream.role for name, stream in episode.streams.items()} == {
        "action": Role.ACTION,
        "observations/effort": Role.SENSOR,
        "observations/images/cam_high": Role.CAMERA,
        "observations/images/cam_left_wrist": Role.CAMERA,
        "observations/qpos": Role.STATE,
        "observations/qvel": Role.STATE,
    }


def test_padded_pictures_come_out_with_their_own_bytes(tmp_path: Path) -> None:
    pictures = jpegs(5)
    padded, lengths = maker.pad(pictures)
    path = write(tmp_path / "episode_0.hdf5", steps=5, images=padded)
    stream = read(path).episode("episode_0").stream(HIGH)
    assert [stream.pictures.encoded(i).data for i in range(5)] == pictures  # type: ignore[union-attr]  # all encoded
    assert len(set(lengths)) > 1
    assert stream.extra["colour_order"].startswith("unknown: ")


def test_pictures_of_any_length_and_as_fixed_strings_are_read(tmp_path: Path) -> None:
    pictures = jpegs(5)
    path = write(tmp_path / "episode_0.hdf5", steps=5)
    with h5py.File(path, "a") as file:
        ragged = file.create_dataset("observations/images/ragged", (5,), h5py.vlen_dtype(np.uint8))
        for i, picture in enumerate(pictures):
            ragged[i] = np.frombuffer(picture, np.uint8)
        file["observations/images/fixed"] = np.asarray(pictures, f"S{max(map(len, pictures))}")
    episode = read(path).episode("episode_0")
    for name in ("ragged", "fixed"):
        stream = episode.stream(f"observations/images/{name}")
        assert stream.kind is Kind.IMAGE
        assert stream.encoding == "jpeg"
        assert stream.pictures.encoded(3).data == pictures[3]  # type: ignore[union-attr]  # it is encoded
        assert [read_barcode(p).frame for p in stream.values[:]] == list(range(5))


def test_a_blank_row_among_the_pictures_is_damage_of_that_picture(tmp_path: Path) -> None:
    padded, _ = maker.pad(jpegs(5))
    padded[2] = 0
    path = write(tmp_path / "episode_0.hdf5", steps=5, images=padded)
    stream = read(path).episode("episode_0").stream(HIGH)
    assert read_barcode(stream.values[3]).frame == 3
    with pytest.raises(DamagedData) as damage:
        stream.values[2]
    assert str(damage.value) == f"{path}: {HIGH}, picture 2: neither JPEG nor PNG: the bytes start with nothing."


def test_streams_keep_their_own_lengths(tmp_path: Path) -> None:
    path = write(tmp_path / "episode_0.hdf5", steps=10, images=np.zeros((7, 32, 32, 3), np.uint8))
    with h5py.File(path, "a") as file:
        del file["observations/qpos"]
        file["observations/qpos"] = np.zeros((11, 14))
        file["base_action"] = np.zeros((10, 2))
        file["camera_matrix"] = np.eye(3)
    episode = read(path).episode("episode_0")
    assert {name: len(stream.clock) for name, stream in episode.streams.items()} == {
        "action": 10,
        "base_action": 10,
        "observations/images/cam_high": 7,
        "observations/qpos": 11,
    }
    np.testing.assert_array_equal(episode.extra["camera_matrix"], np.eye(3))


def test_what_the_attributes_contradict_is_declared(tmp_path: Path) -> None:
    folder = maker.make(tmp_path, episodes=2, steps=4)
    with h5py.File(folder / "episode_1.hdf5", "a") as file:
        file.attrs["compress"] = False
        del file["compress_len"]
        file["compress_len"] = np.zeros((4, 3), int)
    wrong = [d for d in read(folder).facts().declarations if not d.holds]
    assert [(d.subject, d.declared, d.found) for d in wrong] == [
        ("episode_1.compress", False, True),
        ("episode_1.compress_len", (4, 3), (2, 4)),
    ]


def test_a_sentence_in_a_field_of_a_descendant_is_the_instruction(tmp_path: Path) -> None:
    path = write(tmp_path / "episode_0.hdf5")
    with h5py.File(path, "a") as file:
        file["language_raw"] = [b"fold the towel"]
    assert read(path).episode("episode_0").instructions == (Instruction("fold the towel", source="language_raw"),)


def test_a_cut_file_costs_one_episode(tmp_path: Path) -> None:
    folder = maker.make(tmp_path, episodes=3, steps=4)
    bad = folder / "episode_1.hdf5"
    size = bad.stat().st_size
    bad.write_bytes(bad.read_bytes()[:5000])
    source = read(folder)
    assert list(source.keys()) == ["episode_0", "episode_1", "episode_2"]
    assert len(source.episode("episode_2").streams) == 6
    with pytest.raises(DamagedData) as damage:
        source.episode("episode_1")
    assert str(damage.value) == f"{bad}: the file is cut: its header promises {size} bytes, it has 5000."
    assert [row.steps for row in source.facts().rows] == [4, None, 4]
    assert source.facts().extra["unreadable"] == {"episode_1": str(damage.value)}


def test_a_foreign_file_among_the_episodes_is_left_out_and_a_misnamed_one_is_damage(tmp_path: Path) -> None:
    folder = maker.make(tmp_path, episodes=1, steps=4)
    for name in ("stats.hdf5", "episode_1.hdf5"):
        with h5py.File(folder / name, "w") as file:
            file["mean"] = np.zeros(3)
    source = read(folder)
    assert list(source.keys()) == ["episode_0", "episode_1"]
    with pytest.raises(DamagedData) as damage:
        source.episode("episode_1")
    assert str(damage.value) == (
        f"{folder / 'episode_1.hdf5'}: holds neither 'observations' nor 'action': not an ACT or ALOHA episode."
    )


def test_a_file_called_episode_that_is_not_hdf5_is_ours_to_explain(tmp_path: Path) -> None:
    path = tmp_path / "episode_0.hdf5"
    path.write_bytes(b"<html>")
    assert (aloha_hdf5.sniff(path), robomimic_hdf5.sniff(path)) == (0.5, 0.0)
    assert detect(path) == detect(tmp_path) == "aloha_hdf5"
    with pytest.raises(DamagedData) as damage:
        read(path)
    assert str(damage.value) == f"{path}: not HDF5: it starts with 3c 68 74 6d 6c 3e."


def test_an_unknown_episode_is_named(tmp_path: Path) -> None:
    source = read(write(tmp_path / "episode_0.hdf5"))
    with pytest.raises(UnknownName) as unknown:
        source.episode("7")
    assert str(unknown.value) == "No episode is called '7'. Known: episode_0."
