"""Writing LeRobot v2.1: packed videos come apart at the frame, and GR00T finds its groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from formats._lerobot_written import (
    CAMERA,
    all_episodes,
    assert_same,
    barcode_episode,
    broken,
    encoded_episode,
    packed_episodes,
    packets_of,
    shown_by_ffmpeg,
    shown_times_s,
)
from makers import lerobot_v2 as maker
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.errors import WriteRefused
from robokata.core.layout import Way
from robokata.formats import lerobot_v2
from robokata.testing import Barcode, barcode_picture, read_barcode, tiny_episode

LENGTHS = [13, 1, 28, 9, 30, 2]
"""Odd ones too: with a key frame every second frame, every other episode starts between two of them."""


def video(root: Path, number: int) -> Path:
    return root / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4"


def test_measured_clocks_and_several_rates_come_back_to_the_bit(tmp_path: Path) -> None:
    episodes = [tiny_episode(n, duration_s=2 + n) for n in range(3)]
    lerobot_v2.write(tmp_path / "out", episodes)
    source = lerobot_v2.read(tmp_path / "out")
    assert broken(source) == {}
    for wrote, read in zip(episodes, all_episodes(source), strict=True):
        assert_same(read, wrote)


@pytest.mark.parametrize(
    ("codec", "gop"), [("libx264", 2), ("libx264", 12), ("libx264", 250), ("libsvtav1", 2), ("libsvtav1", 15)]
)
def test_each_file_presents_exactly_its_frames_from_time_zero(tmp_path: Path, codec: str, gop: int) -> None:
    episodes = packed_episodes(tmp_path / "packed.mp4", LENGTHS, codec=codec, gop=gop)
    assert lerobot_v2.layout(episodes[1]).of(CAMERA).way is Way.COPIED
    lerobot_v2.write(tmp_path / "out", episodes)
    source, packed = lerobot_v2.read(tmp_path / "out"), set(packets_of([tmp_path / "packed.mp4"]))
    assert broken(source) == {}
    for number, length in enumerate(LENGTHS):
        codes = [Barcode(number, frame) for frame in range(length)]
        assert shown_by_ffmpeg(video(tmp_path / "out", number)) == codes
        np.testing.assert_allclose(shown_times_s(video(tmp_path / "out", number)), np.arange(length) / 30, atol=1e-9)
        camera = source.episode(str(number)).stream(CAMERA)
        assert [read_barcode(picture) for picture in camera.values[:]] == codes
        np.testing.assert_array_equal(camera.values[:], episodes[number].stream(CAMERA).values[:])
        media = camera.pictures.media()
        assert (media.frames_in_span, media.frames_in_file, media.frames_declared_by_container) == (length,) * 3
        assert set(packets_of([video(tmp_path / "out", number)])) <= packed


@pytest.mark.parametrize("gop", [2, 12])
def test_random_access_into_cut_files_gives_the_frame_asked_for(tmp_path: Path, gop: int) -> None:
    lerobot_v2.write(tmp_path / "out", packed_episodes(tmp_path / "packed.mp4", LENGTHS, gop=gop))
    episodes, rng = all_episodes(lerobot_v2.read(tmp_path / "out")), np.random.default_rng(0)
    for _ in range(500):
        number = int(rng.integers(len(LENGTHS)))
        frame = int(rng.integers(LENGTHS[number]))
        assert read_barcode(episodes[number].stream(CAMERA).values[frame]) == (number, frame)


@pytest.mark.parametrize("gop", [2, 12])
def test_cut_files_can_be_cut_and_joined_again(tmp_path: Path, gop: int) -> None:
    """Packets that an edit list hides are found and taken along."""
    episodes = packed_episodes(tmp_path / "packed.mp4", LENGTHS, gop=gop)
    lerobot_v2.write(tmp_path / "one", episodes)
    convert(lerobot_v2.read(tmp_path / "one"), tmp_path / "two", "lerobot_v3")
    from robokata.formats import lerobot_v3

    convert(lerobot_v3.read(tmp_path / "two"), tmp_path / "three", "lerobot_v2")
    assert plan_conversion(lerobot_v3.read(tmp_path / "two"), "lerobot_v2").is_lossy is False
    for number, length in enumerate(LENGTHS):
        codes = [Barcode(number, frame) for frame in range(length)]
        assert shown_by_ffmpeg(video(tmp_path / "three", number)) == codes


def test_a_lerobot_dataset_keeps_names_types_groups_and_every_byte_of_its_videos(tmp_path: Path) -> None:
    source = lerobot_v2.read(maker.make(tmp_path, episodes=4, steps=20))
    assert not plan_conversion(source, "lerobot_v2").is_lossy
    convert(source, tmp_path / "out", "lerobot_v2")
    back = lerobot_v2.read(tmp_path / "out")
    assert broken(back) == {}
    for wrote, read in zip(all_episodes(source), all_episodes(back), strict=True):
        assert_same(read, wrote)
        assert read.stream("action").extra == wrote.stream("action").extra
    old = sorted((source.path / "videos").rglob("*.mp4"), key=lambda file: file.parent.name + file.name)
    new = sorted((tmp_path / "out/videos").rglob("*.mp4"), key=lambda file: file.parent.name + file.name)
    assert [packets_of([file]) for file in old] == [packets_of([file]) for file in new]
    modality = json.loads((tmp_path / "out/meta/modality.json").read_text())
    assert modality == {
        "state": {"arm": {"start": 0, "end": 5}, "gripper": {"start": 5, "end": 6}},
        "action": {"arm": {"start": 0, "end": 5}, "gripper": {"start": 5, "end": 6}},
        "video": {
            "front": {"original_key": "observation.images.front"},
            "wrist": {"original_key": "observation.images.wrist"},
        },
        "annotation": {"human.task_description": {"original_key": "task_index"}},
    }


def test_modality_is_written_when_asked_for_and_never_when_not(tmp_path: Path) -> None:
    episode = barcode_episode(0, 5)
    for word, is_there in (("auto", False), ("always", True), ("never", False)):
        lerobot_v2.write(tmp_path / word, [episode], modality=word)
        assert (tmp_path / word / "meta/modality.json").exists() is is_there
    made = json.loads((tmp_path / "always/meta/modality.json").read_text())
    assert made["action"] == {"action": {"start": 0, "end": 3}}
    with pytest.raises(WriteRefused) as caught:
        lerobot_v2.layout(episode, modality="groot")
    assert str(caught.value) == "modality='groot' is none of auto, always, never."


def test_the_layout_is_that_of_v2_1(tmp_path: Path) -> None:
    lerobot_v2.write(tmp_path / "out", [barcode_episode(n, 5 + n) for n in range(2)], pictures="video", codec="libx264")
    files = sorted(str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*") if f.is_file())
    assert files == [
        "data/chunk-000/episode_000000.parquet",
        "data/chunk-000/episode_000001.parquet",
        "meta/episodes.jsonl",
        "meta/episodes_stats.jsonl",
        "meta/info.json",
        "meta/robokata/episode_000000.npz",
        "meta/robokata/episode_000001.npz",
        "meta/stats.json",
        "meta/tasks.jsonl",
        "videos/chunk-000/observation.images.front/episode_000000.mp4",
        "videos/chunk-000/observation.images.front/episode_000001.mp4",
    ]
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    counts = {name: info[name] for name in info if name.startswith("total_") or name in ("chunks_size", "splits")}
    assert counts == {
        "total_episodes": 2,
        "total_frames": 11,
        "total_tasks": 1,
        "total_videos": 2,
        "total_chunks": 1,
        "chunks_size": 1000,
        "splits": {"train": "0:2"},
    }
    line = json.loads((tmp_path / "out/meta/episodes_stats.jsonl").read_text().splitlines()[1])
    assert line["episode_index"] == 1
    assert set(line["stats"]["action"]) == {
        *("min", "max", "mean", "std", "count"),
        *("q01", "q10", "q50", "q90", "q99"),
    }
    table = pq.read_table(tmp_path / "out/data/chunk-000/episode_000001.parquet")
    assert table.column_names == ["action", "timestamp", "frame_index", "episode_index", "index", "task_index"]
    assert table.column("index").to_pylist() == [5, 6, 7, 8, 9, 10]


def test_encoded_pictures_keep_their_bytes(tmp_path: Path) -> None:
    jpegs = [simplejpeg.encode_jpeg(barcode_picture(0, frame), quality=90) for frame in range(7)]
    lerobot_v2.write(tmp_path / "out", [encoded_episode(jpegs)])
    camera = lerobot_v2.read(tmp_path / "out").episode("0").stream(CAMERA)
    assert [camera.pictures.encoded(n).data for n in range(7)] == jpegs  # type: ignore[union-attr]


def test_episodes_that_differ_are_refused_and_name_the_version(tmp_path: Path) -> None:
    with pytest.raises(WriteRefused) as caught:
        lerobot_v2.write(tmp_path / "out", [barcode_episode(0, 5), barcode_episode(1, 5).without_stream(CAMERA)])
    assert str(caught.value) == (
        "episode 1 has no stream observation.images.front, and the first episode had. LeRobot v2.1 holds one set of "
        "streams per dataset: write the episodes to two datasets."
    )
    assert list(tmp_path.iterdir()) == []


# -- real data -------------------------------------------------------------------------------------


def test_gr1_keeps_its_groups_doubles_and_task_numbers(shared_data: Path, tmp_path: Path) -> None:
    source = lerobot_v2.read(shared_data / "lerobot-v2.0-gr1-sim" / "dataset")
    lerobot_v2.write(tmp_path / "out", all_episodes(source))
    back = lerobot_v2.read(tmp_path / "out")
    assert broken(back) == {}
    for wrote, read in zip(all_episodes(source), all_episodes(back), strict=True):
        assert_same(read, wrote, but=("observation.images.ego_view",))
        for name in ("task_index", "annotation.human.action.task_description", "annotation.human.validity"):
            np.testing.assert_array_equal(read.stream(name).values[:], wrote.stream(name).values[:])
    tasks = [json.loads(line) for line in (tmp_path / "out/meta/tasks.jsonl").read_text().splitlines()]
    said = [json.loads(line) for line in (source.path / "meta/tasks.jsonl").read_text().splitlines()]
    assert all(
        line in tasks for line in said if line["task"] in {i.text for e in all_episodes(source) for i in e.instructions}
    )
    modality = json.loads((tmp_path / "out/meta/modality.json").read_text())
    original = json.loads((source.path / "meta/modality.json").read_text())
    assert modality["state"] == original["state"]
    assert set(modality["annotation"]) == set(original["annotation"])


def test_g1_goes_through_without_a_new_packet(shared_data: Path, tmp_path: Path) -> None:
    source = lerobot_v2.read(shared_data / "lerobot-v2.1-g1-real" / "dataset")
    chosen = [replace(source.episode(key)) for key in list(source.keys())[:2]]
    lerobot_v2.write(tmp_path / "out", chosen)
    for number, wrote in enumerate(chosen):
        read = lerobot_v2.read(tmp_path / "out").episode(str(number))
        assert_same(read, wrote, but=("observation.images.cam_high",))
        old = source._video_file(int(wrote.id), "observation.images.cam_high")
        new = tmp_path / f"out/videos/chunk-000/observation.images.cam_high/episode_{number:06d}.mp4"
        assert packets_of([new]) == packets_of([old])
