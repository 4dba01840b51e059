"""Writing RLDS: what TFDS finds in the files, what comes back, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makers import lerobot_v3
from makers import rlds as maker
from robokata.containers.tf_example import Feature, floats_of, ints_of, items_of, parse_example
from robokata.containers.tf_example_write import ExampleTooLarge, ExampleWriter, pack_varints
from robokata.containers.tfrecord import index_shard, read_record
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.clock import measured_clock, step_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode, Instruction, Outcome
from robokata.core.errors import DamagedData, WriteRefused
from robokata.core.layout import Way
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats import rlds
from robokata.media.images import RawImages, decode
from robokata.testing import tiny_episode

CAMERA = "observation.images.front"


def records(folder: Path) -> list[dict[str, Feature]]:
    """All records of a version folder, read as what they are: examples."""
    found = []
    for path in sorted(folder.glob("*.tfrecord-*")):
        shard = index_shard(path)
        for offset, length in zip(shard.offsets.tolist(), shard.lengths.tolist(), strict=True):
            found.append(parse_example(read_record(path, offset, length)))
    return found


def declared(folder: Path) -> dict[str, Any]:
    """Leaves of features.json by their flattened name."""

    def leaves(node: Mapping[str, Any], name: str) -> Any:
        inner = node.get("sequence", {}).get("feature", node)
        if "featuresDict" not in inner:
            yield name, node
            return
        for child, below in inner["featuresDict"]["features"].items():
            yield from leaves(below, f"{name}/{child}" if name else child)

    return dict(leaves(json.loads((folder / "features.json").read_text()), ""))


def of_bytes(feature: Feature) -> list[bytes]:
    items = items_of(feature)
    return [items.copy(i) for i in range(len(items.starts))]


def of_numbers(name: str, numbers: np.ndarray, role: Role = Role.STATE, kind: Kind = Kind.TENSOR) -> Stream:
    return Stream(name, kind, role, step_clock(len(numbers)), ArrayValues(numbers))


def with_numbers(**numbers: np.ndarray) -> Episode:
    return Episode("e", {name: of_numbers(name, values) for name, values in numbers.items()})


def test_what_an_episode_becomes_is_where_the_loaders_of_rlds_look(tmp_path: Path):
    episode = tiny_episode(1, duration_s=2.0)
    rlds.write(tmp_path / "arm", [episode])
    (record,) = records(tmp_path / "arm")
    steps = len(episode.stream(CAMERA))
    assert set(record) == set(declared(tmp_path / "arm")) | {"episode_metadata/robokata"}
    assert [name for name in declared(tmp_path / "arm") if name.startswith("steps/")] == [
        "steps/action",
        "steps/discount",
        "steps/is_first",
        "steps/is_last",
        "steps/is_terminal",
        "steps/language_instruction",
        "steps/observation/front",
        "steps/observation/state",
        "steps/reward",
    ]
    pixels = [decode(data, where="") for data in of_bytes(record["steps/observation/front"])]
    np.testing.assert_array_equal(pixels, episode.stream(CAMERA).values[:])
    assert ints_of(record["steps/is_last"], np.dtype(int)).tolist() == [0] * (steps - 1) + [1]
    assert ints_of(record["steps/is_first"], np.dtype(int)).tolist() == [1] + [0] * (steps - 1)
    assert ints_of(record["steps/is_terminal"], np.dtype(int)).tolist() == [0] * (steps - 1) + [1]
    assert floats_of(record["steps/reward"]).tolist() == [0.0] * (steps - 1) + [1.0]
    assert set(of_bytes(record["steps/language_instruction"])) == {episode.instructions[0].text.encode()}
    action, camera = episode.stream("action"), episode.stream(CAMERA)
    newest = np.searchsorted(action.clock.times_ns, camera.clock.times_ns, side="right") - 1
    shown = floats_of(record["steps/action"]).reshape(steps, 6)
    np.testing.assert_array_equal(shown, action.table[np.maximum(newest, 0)])


def test_the_description_files_have_the_form_that_tfds_gives_them(tmp_path: Path):
    episodes = [tiny_episode(n, duration_s=1.0, split="val" if n == 2 else "train") for n in range(3)]
    rlds.write(tmp_path / "arm" / "2.1.0", episodes)
    size = dict.fromkeys(("train", "val"), 0)
    for path in (tmp_path / "arm" / "2.1.0").glob("*.tfrecord-*"):
        size[path.name.split("-")[1].split(".")[0]] += int(index_shard(path).lengths.sum())
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    about = {
        "fileFormat": "tfrecord",
        "name": "arm",
        "splits": [
            {"filepathTemplate": template, "name": "train", "numBytes": str(size["train"]), "shardLengths": ["2"]},
            {"filepathTemplate": template, "name": "val", "numBytes": str(size["val"]), "shardLengths": ["1"]},
        ],
        "version": "2.1.0",
    }
    assert (tmp_path / "arm" / "2.1.0" / "dataset_info.json").read_text() == json.dumps(about, indent=2)
    found = declared(tmp_path / "arm" / "2.1.0")
    assert found["steps/observation/state"] == {
        "description": "shoulder_pan, shoulder_lift, elbow, wrist_roll, wrist_pitch, gripper",
        "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
        "tensor": {"dtype": "float32", "encoding": "none", "shape": {"dimensions": ["6"]}},
    }
    assert found["steps/observation/front"] == {
        "image": {"dtype": "uint8", "encodingFormat": "png", "shape": {"dimensions": ["48", "64", "3"]}},
        "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
    }
    assert found["steps/is_last"] == {
        "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
        "tensor": {"dtype": "bool", "encoding": "none", "shape": {}},
    }


def test_the_features_of_a_bridge_dataset_are_declared_as_its_own_writer_did(shared_data: Path, tmp_path: Path):
    path = shared_data / "rlds-bridge-octo" / "bridge_dataset" / "1.0.0"
    source = open_source(path)
    convert(source, tmp_path / "bridge_dataset" / "1.0.0", "rlds", keys=list(source.keys())[:3])
    before, after = declared(path), declared(tmp_path / "bridge_dataset" / "1.0.0")
    assert list(after) == sorted(before)
    for name in before:
        if name != "episode_metadata/episode_id":  # a number of the record, read as int64
            assert after[name] | {"description": ""} == before[name] | {"description": ""}


def test_an_rlds_dataset_comes_back_to_the_bit(shared_data: Path, tmp_path: Path):
    source = open_source(shared_data / "rlds-bridge-octo" / "bridge_dataset" / "1.0.0")
    keys = list(source.keys())[:3]
    report = plan_conversion(source, "rlds", keys=keys)
    assert {loss.way for loss in report.losses} == {Way.COPIED}
    assert all(loss.target == loss.stream for loss in report.losses)
    convert(source, tmp_path / "out", "rlds", keys=keys, report=report)
    before = records(source.path)[:3]
    for found, wanted in zip(records(tmp_path / "out"), before, strict=True):
        for name in wanted:
            if name.startswith("steps/"):
                assert bytes(found[name].body) == bytes(wanted[name].body), name


def test_lerobot_video_becomes_pictures_that_hold_every_pixel(tmp_path: Path):
    source = open_source(lerobot_v3.make(tmp_path / "in", episodes=2, steps=12))
    report = plan_conversion(source, "rlds")
    camera = next(loss for loss in report.losses if loss.way is Way.DECODED)
    assert not report.is_lossy
    assert camera.note.endswith("as PNG, every pixel kept")
    convert(source, tmp_path / "out", "rlds", report=report)
    for before, after in zip(source.keys(), (written := open_source(tmp_path / "out")).keys(), strict=True):
        original, back = source.episode(before), written.episode(after)
        assert list(back.streams) == list(original.streams)
        np.testing.assert_array_equal(back.stream(camera.stream).values[:], original.stream(camera.stream).values[:])


def test_jpeg_is_an_option_that_says_what_it_costs(tmp_path: Path):
    source = EpisodeList([tiny_episode(0, duration_s=1.0)])
    report = plan_conversion(source, "rlds", options={"pictures": "jpeg", "jpeg_quality": 80})
    camera = next(loss for loss in report.losses if loss.stream == CAMERA)
    assert (camera.way, camera.note) == (Way.REENCODED, "JPEG of quality 80")
    assert camera.psnr_db is not None
    assert 20 < camera.psnr_db < 50
    with pytest.raises(WriteRefused, match=f"{CAMERA} would not come back"):
        convert(source, tmp_path / "out", "rlds", report=report, options={"pictures": "jpeg", "jpeg_quality": 80})
    convert(source, tmp_path / "out", "rlds", accept_loss=True, options={"pictures": "jpeg", "jpeg_quality": 80})
    picture = open_source(tmp_path / "out").episode("train/0").stream(CAMERA).pictures.encoded(0)
    assert picture is not None
    assert picture.codec == "jpeg"


def two_cameras() -> Episode:
    """A camera of 30 Hz, and one of 10 Hz that saw every third of its moments."""
    fast, other = tiny_episode(0, duration_s=2.0), tiny_episode(1, duration_s=2.0).stream(CAMERA)
    clock = measured_clock(fast.stream(CAMERA).clock.times_ns[::3])
    pictures = RawImages(ArrayValues(other.values[::3]), where="wrist")
    return fast.with_stream(replace(other, name="observation.images.wrist", clock=clock, values=pictures))


@pytest.mark.parametrize("pictures", ["png", "jpeg"])
def test_pictures_that_stand_in_no_step_are_carried_and_the_camera_comes_back_whole(tmp_path: Path, pictures: str):
    episode = two_cameras()
    place = rlds.layout(episode, anchor="observation.images.wrist", pictures=pictures).of(CAMERA)
    how = {"png": "raw as PNG, every pixel kept", "jpeg": "JPEG of quality 95"}[pictures]
    assert place.note == (
        f"30 Hz onto 9.99 Hz, samples up to 0.0 ms old; 40 of 60 pictures stand in no step; {how}; they are carried"
    )
    assert place.way is {"png": Way.DECODED, "jpeg": Way.REENCODED}[pictures]
    rlds.write(tmp_path / "out", [episode], anchor="observation.images.wrist", pictures=pictures)
    (record,) = records(tmp_path / "out")
    assert len(of_bytes(record["steps/observation/front"])) == 20
    back = open_source(tmp_path / "out").episode("train/0").stream(CAMERA)
    np.testing.assert_array_equal(back.clock.times_ns, episode.stream(CAMERA).clock.times_ns)
    assert back.values.shape == episode.stream(CAMERA).values.shape
    if pictures == "png":
        np.testing.assert_array_equal(back.values[:], episode.stream(CAMERA).values[:])


def test_a_slower_camera_repeats_its_pictures_and_comes_back_without_the_repeats(tmp_path: Path):
    episode = two_cameras()
    place = rlds.layout(episode, anchor=CAMERA).of("observation.images.wrist")
    assert place.note == (
        "9.99 Hz onto 30 Hz, samples up to 67.4 ms old; every picture stands in a step; raw as PNG, every pixel kept"
    )
    rlds.write(tmp_path / "out", [episode], anchor=CAMERA)
    (record,) = records(tmp_path / "out")
    shown = of_bytes(record["steps/observation/wrist"])
    assert len(shown) == 60
    assert len(set(shown)) == 20
    back = open_source(tmp_path / "out").episode("train/0").stream("observation.images.wrist")
    np.testing.assert_array_equal(back.values[:], episode.stream("observation.images.wrist").values[:])
    assert len(list(back.pictures.luma(8))) == 20


def test_float_pictures_that_stand_in_no_step_are_named_as_lost_and_the_others_keep_their_times(tmp_path: Path):
    episode = two_cameras()
    front = episode.stream(CAMERA)
    floats = RawImages(ArrayValues(front.values[:].astype(np.float32)), where="front")
    episode = episode.with_stream(replace(front, values=floats))
    place = rlds.layout(episode, anchor="observation.images.wrist").of(CAMERA)
    assert place.way is Way.THINNED
    rlds.write(tmp_path / "out", [episode], anchor="observation.images.wrist")
    back = open_source(tmp_path / "out").episode("train/0").stream(CAMERA)
    np.testing.assert_array_equal(back.clock.times_ns, front.clock.times_ns[::3])
    np.testing.assert_array_equal(back.values[:], floats[::3])


@pytest.mark.parametrize(
    ("dtype", "shape", "encoding"),
    [
        ("float64", (3,), "bytes"),
        ("float64", (), "bytes"),
        ("float32", (2, 3), "none"),
        ("float16", (2,), "bytes"),
        ("uint64", (2,), "bytes"),
        ("int64", (), "none"),
        ("int8", (4,), "none"),
        ("uint16", (16, 16), "bytes"),
        ("bool", (2,), "none"),
    ],
)
def test_numbers_of_every_type_come_back_to_the_bit(tmp_path: Path, dtype: str, shape: tuple[int, ...], encoding: str):
    rng = np.random.default_rng(0)
    size = int(np.prod((9, *shape)))
    drawn = rng.integers(0, 256, size * np.dtype(dtype).itemsize).astype(np.uint8)
    numbers = (drawn % 2 if dtype == "bool" else drawn).view(dtype).reshape(9, *shape)
    episode = with_numbers(**{"observation.state": numbers})
    place = rlds.layout(episode).of("observation.state")
    assert (place.way, place.target, place.is_native) == (Way.COPIED, "observation/state", True)
    rlds.write(tmp_path / "out", [episode])
    assert declared(tmp_path / "out")["steps/observation/state"]["tensor"]["encoding"] == encoding
    back = np.asarray(open_source(tmp_path / "out").episode("train/0").stream("observation.state").values[:])
    assert back.dtype == numbers.dtype
    assert back.shape == numbers.shape
    assert back.tobytes() == numbers.tobytes()


@pytest.mark.parametrize(
    ("pictures", "way", "scale"),
    [
        (np.zeros((4, 20, 30), np.uint16), Way.COPIED, 1.0),
        (np.full((4, 20, 30, 3), 0.5, np.float32), Way.COPIED, 255.0),
        (np.full((4, 20, 30, 4), 7, np.uint8), Way.COPIED, 1.0),
        (np.full((4, 20, 30, 1), 40_000, np.uint16), Way.DECODED, 1.0),
        (np.full((4, 20, 30, 3), 9, np.uint8), Way.DECODED, 1.0),
    ],
)
def test_raw_pictures_of_every_type_come_back_as_pictures(tmp_path: Path, pictures: Any, way: Way, scale: float):
    raw = RawImages(
        ArrayValues(pictures + np.arange(4).astype(pictures.dtype).reshape(4, *[1] * (pictures.ndim - 1))),
        where="raw",
        scale=scale,
    )
    clock = step_clock(4)
    episode = Episode("e", {"depth": Stream("depth", Kind.IMAGE, Role.CAMERA, clock, raw, encoding="raw")})
    assert rlds.layout(episode).of("depth").way is way
    rlds.write(tmp_path / "out", [episode])
    back = open_source(tmp_path / "out").episode("train/0").stream("depth")
    assert (back.kind, back.values.dtype, back.values.shape) == (Kind.IMAGE, raw.dtype, raw.shape)
    np.testing.assert_array_equal(back.values[:], raw[:])
    for grid, wanted in zip(back.pictures.luma(8), raw.luma(8), strict=True):
        if way is Way.COPIED:
            np.testing.assert_array_equal(grid, wanted)
    assert dict(back.extra) == {}


def test_instructions_stand_at_the_steps_of_their_time(tmp_path: Path):
    episode = replace(
        tiny_episode(0, duration_s=2.0),
        instructions=(Instruction("tidy up"), Instruction("grasp", 0.5, 1.0), Instruction("let go", 1.5)),
        outcome=Outcome(),
        ref=None,
    )
    rlds.write(tmp_path / "out", [episode])
    (record,) = records(tmp_path / "out")
    texts = [data.decode() for data in of_bytes(record["steps/language_instruction"])]
    assert list(dict.fromkeys(texts)) == ["tidy up", "grasp", "let go"]
    assert texts.count("grasp") == 15
    assert floats_of(record["steps/reward"]).max() == 0
    back = open_source(tmp_path / "out").episode("train/0")
    assert back.instructions == episode.instructions


def test_names_get_the_place_that_rlds_gives_to_their_role():
    one = np.zeros(3, np.float32)
    roles = {
        "/joint_states/position": Role.STATE,
        "obs/gripper": Role.STATE,
        "observation.gripper": Role.STATE,
        "action.left": Role.ACTION,
        "action.right": Role.ACTION,
        "next.reward": Role.REWARD,
        "is_first": Role.ENDING,
        "observation": Role.UNKNOWN,
        "frame_index": Role.BOOKKEEPING,
    }
    episode = Episode("e", {name: of_numbers(name, one, role) for name, role in roles.items()})
    assert rlds.layout(episode).names == {
        "/joint_states/position": "observation/joint_states_position",
        "obs/gripper": "observation/gripper",
        "observation.gripper": "observation/observation.gripper",
        "action.left": "action_dict/left",
        "action.right": "action_dict/right",
        "next.reward": "reward",
        "is_first": "is_first_",
        "observation": "observation_",
        "frame_index": "frame_index",
    }


def test_messages_ragged_samples_and_texts_come_back(tmp_path: Path):
    steps = 5
    cells = {
        "tf": (Kind.MESSAGE, [b"\x00\xff" * n for n in range(steps)]),
        "note": (Kind.TEXT, [f"step {n} é" for n in range(steps)]),
        "points": (Kind.RAGGED, [np.arange(3 * n, dtype=np.float32).reshape(n, 3) for n in range(steps)]),
    }
    streams = {"observation.state": of_numbers("observation.state", np.zeros((steps, 2), np.float32))}
    for name, (kind, values) in cells.items():
        array = np.empty(steps, object)
        array[:] = values
        streams[name] = of_numbers(name, array, Role.UNKNOWN, kind)
    episode = Episode("e", streams)
    ways = {place.stream: place.way for place in rlds.layout(episode).places}
    assert ways == {
        "observation.state": Way.COPIED,
        "tf": Way.CARRIED,
        "note": Way.COPIED,
        "points": Way.CARRIED,
    }
    rlds.write(tmp_path / "out", [episode])
    back = open_source(tmp_path / "out").episode("train/0")
    for name, (kind, values) in cells.items():
        assert back.stream(name).kind is kind
        for found, wanted in zip(back.stream(name).values[:], values, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_counters_and_texts_with_a_clock_of_their_own_are_carried():
    episode = tiny_episode(0, duration_s=1.0)
    assert rlds.layout(episode, anchor="action").of("frame_index").way is Way.COPIED
    place = rlds.layout(episode).of("frame_index")
    assert (place.way, place.target, place.note) == (Way.CARRIED, None, "not one sample per step")
    counter = episode.stream("frame_index")
    moved = replace(counter, clock=measured_clock(counter.clock.times_ns + 1))
    assert rlds.layout(episode.with_stream(moved), anchor="action").of("frame_index").way is Way.CARRIED


def test_shards_are_cut_at_their_size_and_hold_every_episode_once(tmp_path: Path):
    episodes = [tiny_episode(n, duration_s=1.0) for n in range(5)]
    rlds.write(tmp_path / "arm", episodes, shard_bytes=1)
    assert sorted(path.name for path in (tmp_path / "arm").iterdir()) == [
        *(f"arm-train.tfrecord-{n:05d}-of-00005" for n in range(5)),
        "dataset_info.json",
        "features.json",
    ]
    written = open_source(tmp_path / "arm")
    assert [d for d in written.facts().declarations if not d.holds] == []
    for number, key in enumerate(written.keys()):
        np.testing.assert_array_equal(
            written.episode(key).stream("action").table, episodes[number].stream("action").table
        )


def test_sizes_are_told_by_the_names_of_the_streams_that_come_back(tmp_path: Path):
    rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0)])
    sizes = rlds.read(tmp_path / "out").facts().sizes
    assert sizes[CAMERA].bytes > 10_000
    assert "observation/front" not in sizes


def test_the_same_episodes_make_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        rlds.write(tmp_path / name / "1.0.0", [tiny_episode(0, duration_s=1.0)], name="arm")
    for path in (tmp_path / "a" / "1.0.0").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "1.0.0" / path.name).read_bytes()


def test_no_episodes_make_an_empty_dataset(tmp_path: Path):
    rlds.write(tmp_path / "none", [])
    assert list(rlds.read(tmp_path / "none").keys()) == []


def test_pictures_of_two_sizes_are_declared_with_no_size(tmp_path: Path):
    rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0), tiny_episode(1, duration_s=1.0, height_px=40)])
    image = declared(tmp_path / "out")["steps/observation/front"]["image"]
    assert image["shape"] == {"dimensions": ["-1", "64", "3"]}


def test_an_episode_with_other_features_is_refused(tmp_path: Path):
    first = tiny_episode(0, duration_s=1.0)
    with pytest.raises(WriteRefused) as caught:
        rlds.write(tmp_path / "out", [first, tiny_episode(1, duration_s=1.0).without_stream("action")])
    assert str(caught.value) == (
        "episode 1 has no steps/action, and episode 0 had steps/action as tensor of float32[6]. RLDS holds one set of "
        "features per dataset: write the episodes to two datasets."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_episode_that_fits_into_no_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("robokata.formats._rlds.write.MAX_RECORD_BYTES", 50_000)
    with pytest.raises(WriteRefused) as caught:
        rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0)])
    assert str(caught.value) == (
        "episode 0 takes more than 2 GiB, and RLDS holds an episode in one record of at most that. Write smaller "
        "pictures with pictures='jpeg' (lossy), or cut the episode."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "my-arm"},
            "name='my-arm': TFDS takes names of letters, digits and underscores that start with a letter.",
        ),
        (
            {"name": "../up"},
            "name='../up': TFDS takes names of letters, digits and underscores that start with a letter.",
        ),
        ({"version": "1"}, "version='1': TFDS takes three numbers, like 1.0.0."),
        ({"pictures": "webp"}, "pictures='webp': RLDS holds 'png' (every pixel) or 'jpeg' (smaller, lossy)."),
        ({"jpeg_quality": 0}, "jpeg_quality=0: JPEG knows 1 to 100."),
        ({"shard_bytes": 0}, "shard_bytes=0: a shard holds at least one episode; 256000000 is a good size."),
    ],
)
def test_options_that_cannot_be_obeyed_are_refused(tmp_path: Path, options: dict[str, Any], message: str):
    with pytest.raises(WriteRefused) as caught:
        rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0)], **options)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_split_that_no_file_name_holds_is_renamed_and_said(tmp_path: Path):
    episode = tiny_episode(0, duration_s=1.0, split="../hold out")
    assert rlds.layout(episode).notes[-1] == (
        "The split '../hold out' is called '___hold_out': names of TFDS files hold nothing else."
    )
    rlds.write(tmp_path / "out", [episode])
    assert open_source(tmp_path / "out").episode("___hold_out/0").origin.split == "../hold out"


def test_what_was_carried_and_is_damaged_costs_the_episode_only(tmp_path: Path):
    sound = maker.sound_lists(0, 4, np.random.default_rng(0))
    damaged = maker.example({**sound, "episode_metadata/robokata": [b"PK no archive"]})
    folder = maker.write_version(tmp_path, {"train": [[maker.example(sound), damaged]]}, features=maker.FEATURES)
    source = rlds.read(folder)
    assert len(source.episode("train/0").streams) > 3
    with pytest.raises(DamagedData) as caught:
        source.episode("train/1")
    assert str(caught.value) == (
        f"{folder / 'tiny-train.tfrecord-00000-of-00001'}: episode train/1: what was carried beside the episode cannot "
        "be unpacked: File is not a zip file."
    )


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"pictures/action": [b"x"], "samples/action": [0]}, "pictures/action belongs to no camera of the episode."),
        ({"pictures/observation/image": [b"x"]}, "pictures/observation/image belongs to no camera of the episode."),
        (
            {"pictures/observation/image": [b"x"], "samples/observation/image": [0, -2]},
            "samples/observation/image names pictures that are not there.",
        ),
    ],
)
def test_kept_pictures_that_fit_nothing_are_damage(tmp_path: Path, kept: dict[str, Any], message: str):
    lists = maker.sound_lists(0, 4, np.random.default_rng(0)) | {"episode_metadata/robokata": [b"PK"]}
    lists |= {f"episode_metadata/robokata_{name}": values for name, values in kept.items()}
    folder = maker.write_version(tmp_path, {"train": [[maker.example(lists)]]}, features=maker.FEATURES)
    with pytest.raises(DamagedData) as caught:
        rlds.read(folder).episode("train/0")
    assert caught.value.reason == f"episode train/0: episode_metadata/robokata_{message}"


def test_a_writer_that_is_killed_leaves_nothing_behind(tmp_path: Path):
    code = f"""
import os
from pathlib import Path
from robokata.formats import rlds
from robokata.testing import tiny_episode

def episodes():
    yield tiny_episode(0, duration_s=1.0)
    yield tiny_episode(1, duration_s=1.0)
    os._exit(9)

rlds.write(Path({str(tmp_path / "out")!r}), episodes())
"""
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}).returncode == 9
    assert not (tmp_path / "out").exists()
    rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0)])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_target_that_is_taken_is_refused(tmp_path: Path):
    rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0)])
    with pytest.raises(WriteRefused) as caught:
        rlds.write(tmp_path / "out", [tiny_episode(0, duration_s=1.0)])
    out = tmp_path / "out"
    assert str(caught.value) == f"{out} exists and is not empty. Choose another target; nothing is ever overwritten."


def test_packed_integers_are_read_as_they_were():
    rng = np.random.default_rng(0)
    edges = [s * 2**bit + d for bit in range(63) for s in (1, -1) for d in (-1, 0, 1)]
    numbers = np.asarray([*edges, -(2**63), 2**63 - 1, *rng.integers(-(2**62), 2**62, 500)], np.int64)
    writer = ExampleWriter(limit_bytes=1 << 20)
    writer.add_integers("n", numbers)
    writer.add_integers("none", np.empty(0, np.int64))
    example = parse_example(writer.join())
    np.testing.assert_array_equal(ints_of(example["n"], np.dtype(np.int64)), numbers)
    assert len(ints_of(example["none"], np.dtype(np.int64))) == 0
    assert pack_varints(np.asarray([300])) == b"\xac\x02"  # the example of protobuf's encoding guide, 150 doubled


def test_an_example_says_when_it_grows_too_large():
    writer = ExampleWriter(limit_bytes=100)
    with pytest.raises(ExampleTooLarge):
        writer.add_bytes("b", (b"x" * 30 for _ in range(10**9)))
    with pytest.raises(ExampleTooLarge):
        writer.add_floats("f", np.zeros(100, np.float32))
