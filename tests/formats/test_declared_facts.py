"""What the indexes of every format declare, made false one statement at a time: each is told by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from mcap.reader import make_reader

from makers import droid_json, lerobot_v2, mcap, robomimic_hdf5, rosbag2
from makers.rlds import FEATURES, example, features_dict, image, sound_lists, tensor, write_version
from robokata.checks import camera_contradicts_declaration, metadata_contradicts_data
from robokata.conversion.convert import convert
from robokata.core.contracts import Gathered
from robokata.core.detection import open_source
from robokata.core.errors import DamagedData
from robokata.core.finding import Finding
from robokata.core.intrinsics import intrinsics_in
from robokata.core.stream import Kind
from robokata.formats._lerobot.streams import ColumnSpec, column_array
from robokata.formats._logs.calibration import calibration_topic
from robokata.survey.dataset_survey import survey


def told(path: Path, check: Any = metadata_contradicts_data) -> list[str]:
    source = open_source(path)
    rows = [Gathered(key, check.gather(source.episode(key))) for key in source.keys()]
    return [v.message for v in check.judge(rows, source.facts()) if isinstance(v, Finding)]


def shown(path: Path) -> dict[str, tuple[str, str]]:
    return {c.subject: (c.declared, c.found) for c in survey(open_source(path)).contradictions}


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (image(48, 64, 3), "height is 48 in the metadata and 64 in the file, in all episodes"),
        (image(64, 64, 1), "channels is 1 in the metadata and 3 in the file, in all episodes"),
        (image(64, 64, 3, codec="png"), "codec is png in the metadata and jpeg in the file, in all episodes"),
        (
            image(64, 64, 3, dtype="uint16", codec="jpeg"),
            "number of bits per channel is 16 in the metadata and 8 in the file, in all episodes",
        ),
    ],
)
def test_what_features_json_says_of_a_picture_is_compared(tmp_path: Path, feature: Any, words: str) -> None:
    features = json.loads(json.dumps(FEATURES))
    steps = features["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"]["features"]
    steps["observation"] = features_dict(image=feature, state=tensor(7))
    record = example(sound_lists(0, 6, np.random.default_rng(0)))
    path = write_version(tmp_path, {"train": [[record]]}, features=features)
    assert told(path, camera_contradicts_declaration) == [f"observation/image: {words}"]
    convert(open_source(path), tmp_path / "out", "rlds")
    assert told(tmp_path / "out", camera_contradicts_declaration) == []


@pytest.mark.parametrize(("field", "table"), [("raw_length", "action"), ("state_length", "states")])
def test_lengths_in_an_annotation_of_droid_are_compared_with_its_tables(tmp_path: Path, field: str, table: str) -> None:
    path = droid_json.make(tmp_path, episodes=1, steps=12)
    assert told(path) == []
    (file,) = path.rglob("*.json")
    edit(file, lambda content: content.update({field: 99}))
    words = told(path)
    assert words
    assert all(
        (f"samples, and {file.name}: {field} promises 99" in w and w.startswith(table[:6])) or "observation" in w
        for w in words
    )
    assert any(name.startswith("samples of") for name in shown(path))


def test_a_video_of_droid_with_more_frames_than_promised_keeps_them(tmp_path: Path) -> None:
    path = droid_json.make(tmp_path, episodes=1, steps=12)
    (file,) = path.rglob("*.json")
    before = json.loads(file.read_text())["video_length"]
    edit(file, lambda content: content.update(video_length=before - 2))
    source = open_source(path)
    cameras = list(source.episode(source.keys()[0]).pictures())
    assert {len(camera) for camera in cameras} == {before}
    assert all("number of frames is" in words for words in told(path, camera_contradicts_declaration)[:1])


def test_groups_of_gr00t_that_reach_beyond_the_columns_are_told_and_not_copied(tmp_path: Path) -> None:
    path = lerobot_v2.make(tmp_path, episodes=2, steps=10)
    width = open_source(path).episode("0").streams["action"].shape[0]
    groups = {"arm": {"start": 0, "end": 2}, "hand": {"start": 2, "end": width + 5}}
    video = {"wrist": {"original_key": "observation.images.nowhere"}}
    (path / "meta/modality.json").write_text(json.dumps({"action": groups, "video": video}))
    assert shown(path)["hand of action"] == (f"channels 2:{width + 5}", f"{width} channels")
    assert shown(path)["video wrist"] == ("observation.images.nowhere", "no column")
    assert open_source(path).episode("0").streams["action"].extra["groups"] == {"arm": [0, 2]}
    convert(open_source(path), tmp_path / "out", "lerobot_v2")
    assert "hand" not in json.loads((tmp_path / "out/meta/modality.json").read_text())["action"]


def test_lists_of_other_lengths_never_slide_into_each_others_rows() -> None:
    column = pa.array([[1.0, 2.0], [3.0, 4.0, 5.0], [6.0]], pa.list_(pa.float32()))
    with pytest.raises(DamagedData, match="list 1 holds 3 values, and list 0 holds 2"):
        column_array(column, ColumnSpec(Kind.TENSOR, (2,), np.dtype(np.float32)), where="action")


def test_camera_sizes_of_the_simulator_are_compared_with_its_pictures(tmp_path: Path) -> None:
    path = robomimic_hdf5.make(tmp_path, episodes=1, steps=8)
    file = path if path.is_file() else next(path.rglob("*.hdf5"))
    source = open_source(path)
    camera = next(source.episode(source.keys()[0]).pictures()).name.rpartition("/")[2].removesuffix("_image")
    with h5py.File(file, "r+") as opened:
        about = json.loads(opened["data"].attrs["env_args"])
        about["env_kwargs"] |= {"camera_names": [camera], "camera_heights": 84, "camera_widths": [64]}
        opened["data"].attrs["env_args"] = json.dumps(about)
    assert [w for w in told(path, camera_contradicts_declaration) if "height is 84" in w]


@pytest.mark.parametrize("name", ["message_start_time", "message_end_time", "attachment_count", "/joint_states"])
def test_statistics_of_an_mcap_file_are_compared_with_its_indexes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "take.mcap"
    mcap.write_log(path, 0, steps=12)
    assert shown(path) == {}
    with path.open("rb") as file:
        stated = make_reader(file).get_summary().statistics
    data, crc = path.read_bytes(), 0
    at = data.rindex(b"\x0b" + (len(stated.channel_message_counts) * 10 + 46).to_bytes(8, "little")) + 9
    places = {"attachment_count": 14, "message_start_time": 26, "message_end_time": 34, "/joint_states": 48}
    false = bytearray(data)
    false[at + places[name]] ^= 1
    # The checksum of the summary is optional: 0 says that there is none.
    false[-12:-8] = crc.to_bytes(4, "little")
    path.write_bytes(false)
    assert all(subject.startswith("statistics.") for subject in shown(path))
    assert shown(path)


@pytest.mark.parametrize("field", ["duration", "starting_time"])
def test_times_in_metadata_yaml_are_compared_with_the_messages(tmp_path: Path, field: str) -> None:
    path = rosbag2.make(tmp_path, episodes=1, steps=12)
    bag = next(p.parent for p in path.rglob("metadata.yaml"))
    assert shown(bag) == {}
    lines = (bag / "metadata.yaml").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"  {field}:"))
    inner = next(n for n in range(at, len(lines)) if "nanoseconds" in lines[n])
    lines[inner] = lines[inner].rpartition(":")[0] + ": 77" + ("}" if lines[inner].rstrip().endswith("}") else "")
    (bag / "metadata.yaml").write_text("\n".join(lines))
    assert shown(bag)[field][0] == "77"


@pytest.mark.parametrize(
    ("pictures", "calibration"),
    [
        ("/cam/color/image_raw", "/cam/color/camera_info"),
        ("/cam/color/image_raw/compressed", "/cam/color/camera_info"),
        ("/device_0/sensor_1/Color_0/image/data", "/device_0/sensor_1/Color_0/info/camera_info"),
    ],
)
def test_the_calibration_of_a_topic_is_where_ros_puts_it(pictures: str, calibration: str) -> None:
    assert calibration_topic(pictures) == calibration


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"intrinsics": {"width": 640, "height": 480}}, None),
        ({"info": {"camera_intrinsics": {"width": 1280, "height": 720}}}, "1280 x 720"),
        ({"intrinsics": {"color": {"fx": 600.0, "ppx": 900.5, "ppy": 350.0}}}, "a principal point of 900.5, 350"),
        ({"camera_matrix": [[600, 0, 320], [0, 600, 240], [0, 0, 1]]}, None),
        ({"camera_matrix": [[600, 0, 960], [0, 600, 540], [0, 0, 1]]}, "a principal point of 960, 540"),
    ],
)
def test_intrinsics_of_other_pictures_are_known_by_size_or_principal_point(said: Any, wrong: str | None) -> None:
    (found,) = intrinsics_in(said)
    assert found.contradiction(640, 480) == wrong
