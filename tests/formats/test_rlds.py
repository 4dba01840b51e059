"""RLDS datasets: real ones, quirks of the field, and damage."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makers import rlds as maker
from makers.rlds import FEATURES, FLAGS, dataset, example, features_dict, image, make, tensor, write_version
from robokata.core.clock import ClockQuality
from robokata.core.detection import find_datasets
from robokata.core.errors import DamagedData, MediaMissing, TooLarge, UnknownName, Unsupported
from robokata.core.stream import Kind, Role
from robokata.formats import rlds
from robokata.testing import read_barcode


def one_episode(root: Path, lists: dict[str, Any], steps: dict[str, Any] | None = None, **other: Any) -> Path:
    """A dataset of one record; `steps` are the features that features.json declares for a step."""
    features = None if steps is None else features_dict(steps=dataset(features_dict(**steps)), **other)
    return write_version(root, {"train": [[example(lists)]]}, features=features)


def flags(steps: int) -> dict[str, Any]:
    last = [i == steps - 1 for i in range(steps)]
    return {"steps/is_first": [i == 0 for i in range(steps)], "steps/is_last": last, "steps/is_terminal": last}


def test_bridge_opens_with_roles_shapes_and_texts_as_declared(shared_data: Path):
    source = rlds.read(shared_data / "rlds-bridge-octo" / "bridge_dataset" / "1.0.0")
    assert len(source.keys()) == 50
    assert source.keys()[24:26] == ("train/24", "val/0")
    episode = source.episode("train/3")
    roles = {name: stream.role for name, stream in episode.streams.items()}
    assert roles["action"] is Role.ACTION
    assert roles["observation/state"] is Role.STATE
    assert roles["observation/image_3"] is Role.CAMERA
    assert roles["language_embedding"] is roles["language_instruction"] is Role.LANGUAGE
    assert roles["is_terminal"] is Role.ENDING
    assert roles["discount"] is Role.REWARD
    assert episode.streams["action"].table.shape == (10, 7)
    assert episode.streams["observation/image_0"].values.shape == (10, 64, 64, 3)
    assert episode.streams["action"].extra["description"].startswith("Robot action, consists of")
    assert "last_sample_is_void" not in episode.streams["action"].extra, "is_last is never set: the episode was cut"
    assert episode.extra["episode_metadata"]["file_path"].endswith("/val/out.npy")
    assert episode.streams["action"].clock.quality is ClockQuality.UNKNOWN
    keys = source.keys()
    texts = {i.text for key in keys for i in source.episode(key).instructions}
    assert len(texts) == 4


def test_bridge_holds_all_that_it_declares(shared_data: Path):
    facts = rlds.read(shared_data / "rlds-bridge-octo" / "bridge_dataset" / "1.0.0").facts()
    assert facts.splits == {"train": 25, "val": 25}
    assert len(facts.declarations) == 4
    assert all(declaration.holds for declaration in facts.declarations)
    assert facts.sizes["observation/image_0"].is_estimate


def test_what_tensorflow_datasets_wrote_is_read(shared_data: Path):
    found = find_datasets(shared_data / "foreign-writers" / "rlds-tfds")
    assert [dataset.format for dataset in found] == ["rlds"]
    episode = rlds.read(found[0].path).episode("train/1")
    assert episode.streams["observation/wrist_image"].values[299].shape == (224, 224, 3)
    assert episode.streams["observation/state"].table.dtype == np.float32
    assert episode.streams["action"].extra["last_sample_is_void"] is True
    assert [i.text for i in episode.instructions] == ["pick up the cube"]


def test_pictures_are_passed_through_and_decoded_at_any_place(tmp_path: Path):
    source = rlds.read(make(tmp_path, episodes=4, steps=9))
    assert list(source.keys()) == ["train/0", "train/1", "train/2", "val/0"]
    for number, frame in ((3, 8), (0, 0), (2, 5)):
        stream = source.episode(source.keys()[number]).streams["observation/image"]
        assert read_barcode(stream.values[frame]) == (number, frame)
        assert stream.encoding == "jpeg"
        assert stream.pictures.encoded(frame).data[:2] == b"\xff\xd8"


def test_success_split_and_metadata_are_kept(tmp_path: Path):
    opened = rlds.read(make(tmp_path, episodes=3, steps=4)).episode("val/0")
    episode = pickle.loads(pickle.dumps(opened))  # our own bytes
    assert episode.outcome.success is True
    assert episode.origin.split == "val"
    assert episode.extra["episode_metadata"] == {"file_path": "/data/episode_2.npy", "success": True}


def test_the_version_folder_is_the_dataset_and_its_parent_is_not(tmp_path: Path):
    folder = make(tmp_path, episodes=2, steps=3)
    assert rlds.sniff(folder) == 0.95
    assert rlds.sniff(folder.parent) == rlds.sniff(tmp_path) == rlds.sniff(tmp_path / "gone") == 0
    assert rlds.sniff(next(folder.glob("*tfrecord*"))) == 0.9
    (folder / "features.json").unlink()
    assert rlds.sniff(folder) == 0.95


def test_one_shard_alone_is_read_by_the_features_beside_it(tmp_path: Path):
    folder = make(tmp_path, episodes=4, steps=3)
    source = rlds.read(folder / "tiny-train.tfrecord-00001-of-00002")
    assert list(source.keys()) == ["train/0", "train/1"]
    assert source.episode("train/0").streams["action"].table.shape == (3, 7)


def test_an_unknown_key_names_the_known_ones(tmp_path: Path):
    source = rlds.read(make(tmp_path, episodes=2, steps=3))
    for key in ("train/2", "test/0", "train/00", "train/-1", "0", "train/²"):
        with pytest.raises(UnknownName):
            source.episode(key)


def test_without_features_json_shapes_come_from_the_number_of_steps(tmp_path: Path):
    folder = make(tmp_path, episodes=1, steps=5)
    (folder / "features.json").unlink()
    streams = rlds.read(folder).episode("train/0").streams
    assert streams["action"].table.shape == (5, 7)
    assert streams["observation/image"].kind is Kind.IMAGE
    assert streams["language_instruction"].kind is Kind.TEXT
    assert streams["is_last"].values.dtype == bool
    assert streams["reward"].values.shape == (5,)


def test_steps_of_two_instructions_give_both_in_their_order(tmp_path: Path):
    lists = {**flags(3), "steps/language_instruction": ["open", "open", ""], "steps/language_instruction_2": [""] * 3}
    steps = {**FLAGS, "language_instruction": {"text": {}}, "language_instruction_2": {"text": {}}}
    episode = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0")
    assert [(i.text, i.source) for i in episode.instructions] == [
        ("open", "language_instruction"),
        ("", "language_instruction"),
        ("", "language_instruction_2"),
    ]


def test_an_instruction_kept_as_code_points_is_read(tmp_path: Path):
    codes = [ord(c) for c in "push blue"] + [0] * 7
    lists = {**flags(2), "steps/observation/instruction": codes * 2}
    steps = {**FLAGS, "observation": features_dict(instruction=tensor(16, dtype="int32"))}
    episode = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0")
    assert [i.text for i in episode.instructions] == ["push blue"]
    assert episode.streams["observation/instruction"].values.dtype == np.int32


def test_a_dataset_without_a_place_for_language_has_no_instructions(tmp_path: Path):
    episode = rlds.read(one_episode(tmp_path, flags(2), FLAGS)).episode("train/0")
    assert episode.instructions == ()


def test_action_and_reward_of_the_last_step_are_marked_and_kept(tmp_path: Path):
    streams = rlds.read(make(tmp_path, episodes=1, steps=4)).episode("train/0").streams
    marked = {name for name, stream in streams.items() if stream.extra.get("last_sample_is_void")}
    assert marked == {"action", "reward", "discount"}
    assert len(streams["action"]) == 4


def test_compressed_tensors_are_inflated_and_bombs_are_not(tmp_path: Path):
    rows = np.arange(6, dtype="<f8").reshape(2, 3)
    lists = {**flags(2), "steps/state": [zlib.compress(row.tobytes()) for row in rows]}
    steps = {**FLAGS, "state": tensor(3, dtype="float64", encoding="zlib")}
    stream = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0").streams["state"]
    assert np.array_equal(stream.table, rows)
    lists["steps/state"][1] = zlib.compress(bytes(10**7))
    folder = one_episode(tmp_path / "bomb", lists, steps)
    stream = rlds.read(folder).episode("train/0").streams["state"]
    with pytest.raises(DamagedData) as error:
        stream.values[1]
    assert str(error.value) == (
        f"{folder}/tiny-train.tfrecord-00000-of-00001 at byte 0: episode train/0: "
        "sample 1 of steps/state has 25 bytes, expected 24."
    )


def test_strings_that_are_no_text_stay_bytes(tmp_path: Path):
    lists = {**flags(2), "steps/observation/proprio": [zlib.compress(b"a"), zlib.compress(b"b")]}
    steps = {**FLAGS, "observation": features_dict(proprio=tensor(dtype="string"))}
    stream = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0").streams["observation/proprio"]
    assert stream.kind is Kind.MESSAGE
    assert zlib.decompress(stream.values[:][1]) == b"b"


def test_float64_that_the_wire_cut_to_float32_says_so(tmp_path: Path):
    lists = {**flags(2), "steps/observation/joint_position": [0.1] * 14}
    steps = {**FLAGS, "observation": features_dict(joint_position=tensor(7, dtype="float64"))}
    stream = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0").streams["observation/joint_position"]
    assert stream.values.dtype == np.float32
    assert stream.extra["declared_dtype"] == "float64"
    assert stream.role is Role.STATE


def test_raw_pictures_in_integer_lists_are_pictures(tmp_path: Path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 20, 3), dtype=np.uint8)
    lists = {**flags(2), "steps/observation/rgb": pictures.ravel().tolist()}
    steps = {**FLAGS, "observation": features_dict(rgb=tensor(16, 20, 3, dtype="uint8"))}
    stream = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0").streams["observation/rgb"]
    assert stream.kind is Kind.IMAGE
    assert np.array_equal(stream.values[:], pictures)


def test_float_depth_packed_into_rgba_is_not_decoded_as_colours(tmp_path: Path):
    lists = {**flags(1), "steps/observation/depth": [b"\x89PNG\r\n\x1a\n"]}
    steps = {**FLAGS, "observation": features_dict(depth=image(4, 4, 1, dtype="float32", codec="png"))}
    stream = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0").streams["observation/depth"]
    assert stream.kind is Kind.MESSAGE
    assert stream.extra["declared_dtype"] == "float32"


def test_samples_of_different_length_are_ragged(tmp_path: Path):
    lists = {**flags(2), "steps/hits/ragged_flat_values": [1.0, 2.0, 3.0], "steps/hits/ragged_row_lengths_0": [1, 2]}
    steps = {**FLAGS, "hits": dataset(tensor())}
    episode = rlds.read(one_episode(tmp_path, lists, steps)).episode("train/0")
    stream = episode.streams["hits"]
    assert stream.kind is Kind.RAGGED
    assert [part.tolist() for part in stream.values[:]] == [[1.0], [2.0, 3.0]]
    assert "absent_features" not in episode.extra


def test_an_episode_without_steps_is_legal(tmp_path: Path):
    folder = make(tmp_path, episodes=1, steps=0)
    episode = rlds.read(folder).episode("train/0")
    assert {len(stream) for stream in episode.streams.values()} == {0}
    assert episode.streams["action"].table.shape == (0, 7)


def test_no_episodes_are_legal(tmp_path: Path):
    source = rlds.read(make(tmp_path, episodes=0, steps=0))
    assert list(source.keys()) == []
    assert all(declaration.holds for declaration in source.facts().declarations)


def test_snake_case_features_json_is_read_too(tmp_path: Path):
    folder = make(tmp_path, episodes=1, steps=3)
    text = json.dumps(FEATURES).replace("featuresDict", "features_dict").replace("encodingFormat", "encoding_format")
    (folder / "features.json").write_text(text)
    assert rlds.read(folder).episode("train/0").streams["action"].table.shape == (3, 7)


def test_a_missing_shard_costs_its_episodes_only_and_keys_stay(tmp_path: Path):
    folder = make(tmp_path, episodes=5, steps=3)
    gone = folder / "tiny-train.tfrecord-00000-of-00002"
    gone.unlink()
    source = rlds.read(folder)
    assert list(source.keys()) == ["train/0", "train/1", "train/2", "train/3", "val/0"]
    assert read_barcode(source.episode("train/2").streams["observation/image"].values[1]) == (2, 1)
    with pytest.raises(MediaMissing) as error:
        source.episode("train/1")
    assert str(error.value) == f"{gone}: the file is not there. Fetch it again."
    broken = {d.subject: (d.declared, d.found) for d in source.facts().declarations if not d.holds}
    assert broken["splits.train"] == (4, 2)
    assert broken["shard tiny-train.tfrecord-00000-of-00002"] == (2, "no file")


def test_a_cut_shard_costs_the_episodes_behind_the_cut_only(tmp_path: Path):
    folder = write_version(tmp_path, {"train": [[example(flags(3))] * 3]}, features=None)
    shard = next(folder.glob("*.tfrecord*"))
    size = shard.stat().st_size // 3
    shard.write_bytes(shard.read_bytes()[: size + 20])
    source = rlds.read(folder)
    assert list(source.keys()) == ["train/0", "train/1", "train/2"]
    assert len(source.episode("train/0").streams["is_last"]) == 3
    with pytest.raises(DamagedData) as error:
        source.episode("train/1")
    assert str(error.value) == f"{shard} at byte {size}: the file ends inside this record. Fetch this file again."
    with pytest.raises(DamagedData) as error:
        source.episode("train/2")
    assert str(error.value) == (
        f"{shard}: holds 2 records where dataset_info.json promises 3; episode train/2 is lost. Fetch this file again."
    )


def test_counts_that_lie_are_told_and_the_records_are_believed(tmp_path: Path):
    folder = make(tmp_path, episodes=2, steps=3)
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["7", "9999999999999999999"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    source = rlds.read(folder)
    assert list(source.keys()) == ["train/0", "train/1"]
    told = {d.subject: (d.declared, d.found) for d in source.facts().declarations if not d.holds}
    assert told == {"shard tiny-train.tfrecord-00000-of-00002": (7, 1)}


def test_a_wild_count_of_a_missing_shard_makes_no_keys(tmp_path: Path):
    folder = make(tmp_path, episodes=2, steps=3)
    (folder / "tiny-train.tfrecord-00000-of-00002").unlink()
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["999999999999", "1"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    source = rlds.read(folder)
    assert list(source.keys()) == ["train/0"]
    assert ("splits.train", 1_000_000_000_000) in [(d.subject, d.declared) for d in source.facts().declarations]


def test_records_named_in_another_way_are_refused_by_name(tmp_path: Path):
    (tmp_path / "segment.tfrecord").write_bytes(maker.framed(b""))
    assert rlds.sniff(tmp_path) == 0.5
    with pytest.raises(Unsupported) as error:
        rlds.read(tmp_path).keys()
    assert str(error.value) == (
        f"{tmp_path}: segment.tfrecord is not named as TFDS names its files (<name>-<split>.tfrecord-00000-of-00001)."
    )


def test_a_shard_that_is_something_else_is_told_when_an_episode_is_asked_for(tmp_path: Path):
    folder = make(tmp_path, episodes=1, steps=3)
    shard = next(folder.glob("*.tfrecord*"))
    shard.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert rlds.sniff(folder) >= 0.5
    source = rlds.read(folder)
    with pytest.raises(DamagedData) as error:
        source.episode("train/0")
    assert str(error.value) == (
        f"{shard} at byte 0: no TFRecord starts here: the crc32c of the length differs. Fetch this file again."
    )


def test_a_feature_that_does_not_fall_into_steps_is_damage(tmp_path: Path):
    folder = one_episode(tmp_path, {**flags(3), "steps/action": [0.5] * 20}, {**FLAGS, "action": tensor(7)})
    with pytest.raises(DamagedData) as error:
        rlds.read(folder).episode("train/0")
    assert str(error.value) == (
        f"{folder}/tiny-train.tfrecord-00000-of-00001 at byte 0: episode train/0: "
        "steps/action holds 20 values, which are not 3 steps of 7."
    )


def test_a_feature_of_another_kind_than_declared_is_damage(tmp_path: Path):
    folder = one_episode(tmp_path, {**flags(3), "steps/action": [1] * 21}, {**FLAGS, "action": tensor(7)})
    with pytest.raises(DamagedData) as error:
        rlds.read(folder).episode("train/0")
    assert str(error.value) == (
        f"{folder}/tiny-train.tfrecord-00000-of-00001 at byte 0: episode train/0: "
        "steps/action is tensor of float32 in features.json, and a list of int64 here."
    )


def test_features_that_a_record_lacks_are_named(tmp_path: Path):
    folder = one_episode(tmp_path, {**flags(3), "steps/action": []}, {**FLAGS, "action": tensor(7), "x": tensor()})
    episode = rlds.read(folder).episode("train/0")
    assert "action" not in episode.streams
    assert episode.extra["absent_features"] == ["steps/x"]


def test_a_dataset_of_single_examples_is_told_from_episodes(tmp_path: Path):
    features = features_dict(image=image(28, 28, 1), label=tensor(dtype="int64"))
    folder = write_version(tmp_path, {"train": [[example({"label": [1]})]]}, features=features)
    with pytest.raises(Unsupported) as error:
        rlds.read(folder)
    assert str(error.value) == (
        f"{folder}: a TFDS dataset without steps (its features are image, label): not RLDS episodes."
    )
    (folder / "features.json").unlink()
    with pytest.raises(Unsupported, match="a TFDS example without steps \\(it holds label\\), no episode"):
        rlds.read(folder).episode("train/0")


def test_another_file_format_of_tfds_is_named(tmp_path: Path):
    folder = make(tmp_path, episodes=1, steps=2)
    (folder / "dataset_info.json").write_text('{"fileFormat": "array_record"}')
    with pytest.raises(Unsupported) as error:
        rlds.read(folder)
    assert str(error.value) == (f"{folder}: its fileFormat is 'array_record'; Robokata reads RLDS from TFRecord files.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read as JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        ("[1]", "holds a list where a JSON object belongs."),
        ('{"featuresDict": {"features": {"steps": 3}}}', "the feature 'steps' is no description of a feature."),
        (
            '{"tensor": {"shape": {"dimensions": ["many"]}}}',
            "the shape of '' holds 'many', which is no length.",
        ),
    ],
)
def test_damaged_features_json_is_named_and_not_guessed_over(tmp_path: Path, text: str, reason: str):
    folder = make(tmp_path, episodes=1, steps=2)
    (folder / "features.json").write_text(text)
    with pytest.raises(DamagedData) as error:
        rlds.read(folder)
    assert str(error.value) == (
        f"{folder / 'features.json'}: {reason} Fetch it again, or move it away to read the records without it."
    )


def test_a_shape_that_no_record_can_hold_is_refused(tmp_path: Path):
    folder = one_episode(tmp_path, {**flags(0), "steps/action": []}, {**FLAGS, "action": tensor(10**300, 0, 9)})
    with pytest.raises(TooLarge):
        rlds.read(folder).episode("train/0")


def test_at_most_two_records_are_in_memory_whatever_is_held_open(tmp_path: Path):
    source = rlds.read(make(tmp_path, episodes=8, steps=4))
    episodes, records = [], []
    keys = source.keys()
    for key in keys:
        episode = source.episode(key)
        for stream in episode.streams.values():
            assert len(stream.values[:]) == 4
        episodes.append(episode)
        records.append(weakref.ref(source._record(key)))
    gc.collect()
    assert sum(record() is not None for record in records) == 2
    assert read_barcode(episodes[0].streams["observation/image"].values[3]) == (0, 3)


def test_two_downloads_in_one_folder_are_not_mixed(tmp_path: Path):
    folder = make(tmp_path, episodes=2, steps=3)
    (folder / "tiny-train.tfrecord-00000-of-00005").write_bytes(maker.framed(example(flags(2))))
    assert list(rlds.read(folder).keys()) == ["train/0", "train/1"]
