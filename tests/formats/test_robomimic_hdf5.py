"""Reading robomimic HDF5 and its relatives."""

from __future__ import annotations

import json
import os
import pickle
import time
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from makers import robomimic_hdf5 as maker
from robokata.core.clock import ClockQuality
from robokata.core.detection import detect
from robokata.core.episode import Instruction
from robokata.core.errors import DamagedData, TooLarge, UnknownName, UntrustedContent
from robokata.core.stream import Kind, Role
from robokata.formats import aloha_hdf5, robomimic_hdf5
from robokata.formats.robomimic_hdf5 import read
from robokata.testing import Barcode, read_barcode


def isaac_lab(path: Path, *, demos: int, steps: int = 10) -> Path:
    """The layout that Isaac Lab's recorder writes, Mimic annotations included."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = demos * steps
        data.attrs["env_args"] = json.dumps({"env_name": "Isaac-Stack-Indy7-v0", "type": 2})
        for number in range(demos):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"], demo.attrs["success"], demo.attrs["seed"] = steps, bool(number % 2), 7
            for name, width in (("actions", 7), ("obs/joint_pos", 6), ("obs/eef_pos", 3), ("obs/actions", 7)):
                demo.create_dataset(name, data=rng.normal(size=(steps, width)).astype("f4"), compression="gzip")
            demo["obs/datagen_info/subtask_term_signals/grasp_1"] = np.arange(steps) > 4
            demo["obs/datagen_info/eef_pose/robot"] = np.tile(np.eye(4, dtype="f4"), (steps, 1, 1))
            demo["states/articulation/robot/joint_position"] = rng.normal(size=(steps, 6))
            demo["states/rigid_object/cube_1/root_pose"] = rng.normal(size=(steps, 7))
            demo["initial_state/articulation/robot/joint_position"] = rng.normal(size=(1, 6))
    return path


def one_demo(path: Path, *, data_attributes: dict[str, Any] | None = None, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        demo = file.create_group("data/demo_0")
        demo["actions"] = np.zeros((20, 7))
        for name, value in (data_attributes or {}).items():
            file["data"].attrs[name] = value
        for name, value in datasets.items():
            demo[name.replace("__", "/")] = value
    return path


def test_every_picture_of_every_demonstration_is_the_one_asked_for(tmp_path: Path) -> None:
    source = read(maker.make(tmp_path, episodes=3, steps=12))
    for number, key in enumerate(source.keys()):
        for stream in source.episode(key).pictures():
            assert [read_barcode(p) for p in stream.values[:]] == [Barcode(number, i) for i in range(12)]
            assert read_barcode(stream.values[7]) == Barcode(number, 7)
            picked = stream.values[np.asarray([9, 2, 3, 2])]
            assert [read_barcode(p).frame for p in picked] == [9, 2, 3, 2]


def test_demonstrations_come_in_numeric_order(tmp_path: Path) -> None:
    source = read(maker.make(tmp_path, episodes=11, steps=1))
    assert list(source.keys()) == [f"demo_{number}" for number in range(11)]


def test_the_declared_control_rate_is_the_clock_and_next_obs_is_one_step_later(tmp_path: Path) -> None:
    episode = read(maker.make(tmp_path, episodes=1, steps=5)).episode("demo_0")
    now, then = episode.stream("obs/robot0_joint_pos"), episode.stream("next_obs/robot0_joint_pos")
    assert now.clock.quality is ClockQuality.DECLARED
    assert now.clock.declared_rate_hz == Fraction(20)
    np.testing.assert_array_equal(now.clock.times_ns[1:], then.clock.times_ns[:-1])
    np.testing.assert_array_equal(now.values[1:], then.values[:-1])
    assert then.role is Role.BOOKKEEPING
    assert then.extra == {"copy_of": "obs/robot0_joint_pos", "steps_later": 1}


def test_robot_model_and_splits_are_read(tmp_path: Path) -> None:
    source = read(maker.make(tmp_path, episodes=3, steps=4))
    episode = source.episode("demo_1")
    assert episode.embodiment is not None
    assert episode.embodiment.name == "Panda"
    assert episode.embodiment.model == '<mujoco model="base"></mujoco>'
    assert episode.embodiment.cameras == ("agentview", "robot0_eye_in_hand")
    assert episode.origin.split == "valid"
    facts = source.facts()
    assert facts.splits == {"train": 2, "valid": 1}
    assert facts.declared_rate_hz == 20
    assert [row.duration_s for row in facts.rows] == [0.2] * 3
    assert facts.extra["masks"] == {"demo.hdf5": {"train": ["demo_0", "demo_2"], "valid": ["demo_1"]}}
    assert all(declaration.holds for declaration in facts.declarations)


def test_roles_follow_the_names(tmp_path: Path) -> None:
    episode = read(maker.make(tmp_path, episodes=1, steps=4)).episode("demo_0")
    assert {name: stream.role for name, stream in episode.streams.items() if "next" not in name} == {
        "actions": Role.ACTION,
        "dones": Role.ENDING,
        "rewards": Role.REWARD,
        "states": Role.SENSOR,
        "obs/object": Role.SENSOR,
        "obs/robot0_joint_pos": Role.STATE,
        "obs/agentview_image": Role.CAMERA,
        "obs/robot0_eye_in_hand_image": Role.CAMERA,
    }


def test_counts_that_contradict_the_data_are_declarations_that_do_not_hold(tmp_path: Path) -> None:
    path = maker.make(tmp_path, episodes=2, steps=6)
    with h5py.File(path, "a") as file:
        file["data/demo_1"].attrs["num_samples"] = 9
        file["data"].attrs["total"] = 15
        file["mask/extra"] = np.asarray([b"demo_0", b"demo_77"])
    wrong = [d for d in read(path).facts().declarations if not d.holds]
    assert [(d.subject, d.declared, d.found) for d in wrong] == [
        ("demo_1.num_samples", 9, 6),
        ("total", 15, 12),
        ("mask/extra", 2, 1),
    ]
    assert wrong[2].hint == "not in the file: demo_77"
    assert read(path).episode("demo_1").declared_steps == 9


def test_no_control_rate_means_an_unknown_clock(tmp_path: Path) -> None:
    source = read(isaac_lab(tmp_path / "dataset.hdf5", demos=2))
    assert source.facts().declared_rate_hz is None
    assert source.facts().rows[0].duration_s is None
    assert source.episode("demo_0").stream("actions").clock.quality is ClockQuality.UNKNOWN


def test_isaac_lab_nested_groups_become_names_and_the_initial_state_is_kept(tmp_path: Path) -> None:
    episode = read(isaac_lab(tmp_path / "dataset.hdf5", demos=2)).episode("demo_1")
    assert {name: stream.role for name, stream in episode.streams.items()} == {
        "actions": Role.ACTION,
        "obs/actions": Role.UNKNOWN,
        "obs/datagen_info/eef_pose/robot": Role.SENSOR,
        "obs/datagen_info/subtask_term_signals/grasp_1": Role.SENSOR,
        "obs/eef_pos": Role.STATE,
        "obs/joint_pos": Role.STATE,
        "states/articulation/robot/joint_position": Role.STATE,
        "states/rigid_object/cube_1/root_pose": Role.SENSOR,
    }
    assert episode.extra["initial_state/articulation/robot/joint_position"].shape == (1, 6)
    assert episode.extra["seed"] == 7
    assert episode.outcome.success is True
    assert episode.embodiment is None
    assert episode.instructions == ()


def test_a_one_step_demonstration_keeps_its_initial_state_apart(tmp_path: Path) -> None:
    episode = read(isaac_lab(tmp_path / "d.hdf5", demos=1, steps=1)).episode("demo_0")
    assert "initial_state/articulation/robot/joint_position" in episode.extra


def test_a_file_without_demonstrations_is_a_dataset_of_none(tmp_path: Path) -> None:
    path = isaac_lab(tmp_path / "dataset.hdf5", demos=0)
    assert detect(path) == "robomimic_hdf5"
    assert list(read(path).keys()) == []
    assert read(path).facts().rows == []
    assert list(read(tmp_path).keys()) == []


@pytest.mark.parametrize("told", ["open the drawer", list("open the drawer")])
def test_libero_says_the_task_in_problem_info(tmp_path: Path, told: str | list[str]) -> None:
    about = {"problem_info": json.dumps({"language_instruction": told}), "bddl_file_name": "x.bddl"}
    path = one_demo(tmp_path / "task_demo.hdf5", data_attributes=about, obs__ee_ori=np.zeros((20, 3)))
    source = read(path)
    said = (Instruction("open the drawer", source="problem_info.language_instruction"),)
    assert source.episode("demo_0").instructions == said
    assert source.facts().rows[0].instructions == ("open the drawer",)
    assert source.facts().extra["data"]["task_demo.hdf5"]["bddl_file_name"] == "x.bddl"


def test_an_empty_libero_sentence_stays_an_empty_sentence(tmp_path: Path) -> None:
    about = {"problem_info": json.dumps({"language_instruction": ""})}
    path = one_demo(tmp_path / "a.hdf5", data_attributes=about)
    assert [told.text for told in read(path).episode("demo_0").instructions] == [""]


def test_robocasa_says_the_task_per_demonstration(tmp_path: Path) -> None:
    path = one_demo(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["data/demo_0"].attrs["ep_meta"] = json.dumps({"lang": "close the microwave"})
    assert read(path).episode("demo_0").instructions == (Instruction("close the microwave", source="ep_meta.lang"),)


@pytest.mark.parametrize(
    "env_args", ["{", "[1]", "[" * 100_000, '{"env_kwargs": [1]}', '{"env_kwargs": {"robots": 3}}']
)
def test_env_args_that_are_no_description_are_kept_as_text(tmp_path: Path, env_args: str) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w", libver="latest") as file:
        file.create_group("data/demo_0")["actions"] = np.zeros((3, 7))
        file["data"].attrs["env_args"] = env_args
    source = read(tmp_path / "a.hdf5")
    assert source.episode("demo_0").embodiment is None
    assert source.facts().extra["data"]["a.hdf5"]["env_args"] == env_args


@pytest.mark.parametrize("rate", [0, -5, True, "20", None, 1e400])
def test_a_control_rate_that_is_no_rate_is_none(tmp_path: Path, rate: Any) -> None:
    about = {"env_args": json.dumps({"env_kwargs": {"control_freq": rate}})}
    assert read(one_demo(tmp_path / "a.hdf5", data_attributes=about)).facts().declared_rate_hz is None


def test_a_folder_of_files_is_one_dataset(tmp_path: Path) -> None:
    for stem in ("task_b", "task_a"):
        maker.make(tmp_path / stem, episodes=2, steps=3)
        (tmp_path / stem / "demo.hdf5").rename(tmp_path / f"{stem}.hdf5")
        (tmp_path / stem).rmdir()
    source = read(tmp_path)
    assert source.format == "robomimic_hdf5"
    assert list(source.keys()) == ["task_a/demo_0", "task_a/demo_1", "task_b/demo_0", "task_b/demo_1"]
    assert source.facts().splits == {"train": 2, "valid": 2}
    assert all(declaration.holds for declaration in source.facts().declarations)
    again = pickle.loads(pickle.dumps(source.episode("task_b/demo_1")))  # our own bytes
    assert read_barcode(again.stream("obs/agentview_image").values[2]) == Barcode(1, 2)


def test_a_damaged_file_of_a_folder_costs_only_its_demonstrations(tmp_path: Path) -> None:
    one_demo(tmp_path / "good.hdf5")
    bad = tmp_path / "bad.hdf5"
    bad.write_bytes(one_demo(tmp_path / "x.h5").read_bytes()[:3000])
    (tmp_path / "x.h5").rename(tmp_path / "x.keep")
    source = read(tmp_path)
    assert list(source.keys()) == ["bad", "good/demo_0"]
    assert len(source.episode("good/demo_0").stream("actions")) == 20
    with pytest.raises(DamagedData) as damage:
        source.episode("bad")
    size = (tmp_path / "x.keep").stat().st_size
    assert str(damage.value) == f"{bad}: the file is cut: its header promises {size} bytes, it has 3000."
    assert source.facts().extra["unreadable"] == {"bad": str(damage.value)}


def test_a_file_that_is_only_called_hdf5_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    path.write_bytes(b"PK\x03\x04 and so on")
    assert detect(path) == "robomimic_hdf5"
    with pytest.raises(DamagedData) as damage:
        read(path)
    assert str(damage.value) == f"{path}: not HDF5: it starts with 50 4b 03 04 20 61 6e 64."


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.h5").touch()
    with pytest.raises(DamagedData) as damage:
        read(tmp_path / "x.h5")
    assert str(damage.value) == f"{tmp_path / 'x.h5'}: not HDF5: it is empty."


def test_sound_hdf5_of_another_layout_is_not_ours(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["data"] = np.zeros(3)
    assert robomimic_hdf5.sniff(tmp_path / "x.hdf5") == 0.0
    assert robomimic_hdf5.sniff(tmp_path / "none.txt") == 0.0
    assert aloha_hdf5.sniff(tmp_path / "x.hdf5") == 0.0


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.hdf5")
    assert aloha_hdf5.sniff(tmp_path / "x.hdf5") == 0.0
    assert robomimic_hdf5.sniff(tmp_path / "x.hdf5") <= 0.2


def test_an_unknown_demonstration_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as unknown:
        read(one_demo(tmp_path / "a.hdf5")).episode("demo_1")
    assert str(unknown.value) == "No episode is called 'demo_1'. Did you mean 'demo_0'? Known: demo_0."


def test_a_stream_that_lost_samples_stays_a_stream_and_a_calibration_matrix_is_extra(tmp_path: Path) -> None:
    path = one_demo(
        tmp_path / "a.hdf5",
        obs__robot0_eef_pos=np.zeros((13, 3)),
        obs__joint_pos=np.zeros((21, 3)),
        obs__intrinsics=np.eye(3),
        obs__agentview_image=np.zeros((3, 16, 16, 3), np.uint8),
        notes="a note",
    )
    episode = read(path).episode("demo_0")
    assert {name: len(stream) for name, stream in episode.streams.items()} == {
        "actions": 20,
        "obs/agentview_image": 3,
        "obs/joint_pos": 21,
        "obs/robot0_eef_pos": 13,
    }
    np.testing.assert_array_equal(episode.extra["obs/intrinsics"], np.eye(3))
    assert episode.extra["notes"] == "a note"


def test_texts_and_depth_and_compressed_pictures_are_read(tmp_path: Path) -> None:
    path = one_demo(
        tmp_path / "a.hdf5",
        obs__words=[f"step {i}" for i in range(20)],
        obs__agentview_depth=np.full((20, 16, 16, 1), 2.0, np.float32),
        obs__depth_mm=np.full((20, 16, 16), 700, np.uint16),
    )
    with h5py.File(path, "a") as file:
        pictures = np.random.default_rng(0).integers(0, 255, (20, 32, 32, 3), dtype=np.uint8)
        file["data/demo_0/obs"].create_dataset("rgb", data=pictures, compression="lzf", chunks=(7, 32, 32, 3))
    episode = read(path).episode("demo_0")
    words = episode.stream("obs/words")
    assert words.kind is Kind.TEXT
    assert list(words.values[3:5]) == ["step 3", "step 4"]
    assert next(iter(episode.stream("obs/agentview_depth").pictures.luma(4)))[0, 0] == 51
    assert episode.stream("obs/depth_mm").kind is Kind.IMAGE
    np.testing.assert_array_equal(episode.stream("obs/rgb").values[5:16:3], pictures[5:16:3])
    np.testing.assert_array_equal(episode.stream("obs/rgb").values[::-1], pictures[::-1])


def test_a_link_to_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(20.0)
    path = one_demo(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["data/demo_0/obs/x"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    with pytest.raises(UntrustedContent) as refusal:
        read(path).episode("demo_0")
    assert str(refusal.value) == (
        f"{path}: 'data/demo_0/obs/x' is a link to another file, which is not followed. "
        "Copy what it names into this file."
    )


def test_a_soft_link_through_a_link_to_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x/y"] = np.arange(20.0)
    path = one_demo(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["out"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
        file["data/demo_0/x"] = h5py.SoftLink("/out/y")
    with pytest.raises(UntrustedContent):
        read(path)


def test_values_that_lie_in_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(160))
    path = one_demo(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["data/demo_0"].create_dataset("x", (20,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 160)])
        layout = h5py.VirtualLayout((20,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "x", (20,))
        file.create_group("data/demo_1").create_virtual_dataset("actions", layout)
    for key, name in (("demo_0", "data/demo_0/x"), ("demo_1", "data/demo_1/actions")):
        with pytest.raises(UntrustedContent) as refusal:
            read(path).episode(key)
        assert str(refusal.value) == (
            f"{path}: '{name}' keeps its values in other files, which are not followed. "
            "Copy them into this file: h5repack does."
        )


def test_soft_links_inside_the_file_are_followed_and_circles_are_damage(tmp_path: Path) -> None:
    path = one_demo(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["data/demo_0/again"] = h5py.SoftLink("actions")
        file["data/demo_1"] = h5py.SoftLink("/data/demo_1")
        file["data/demo_2/self"] = h5py.SoftLink("/data/demo_2")
    source = read(path)
    assert len(source.episode("demo_0").stream("again")) == 20
    with pytest.raises(DamagedData) as damage:
        source.episode("demo_1")
    assert str(damage.value) == f"{path}: 'data/demo_1' is a soft link that leads in a circle."
    with pytest.raises(DamagedData, match="lies deeper than any layout nests groups"):
        source.episode("demo_2")


def test_a_dataset_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = one_demo(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["data/demo_0/obs"] = file.create_group("o")
        file["o"].create_dataset("flat", (20, 10**12), "u1", chunks=(1, 1000))
        file.create_dataset("data/demo_1/actions", (10**12, 7), "f4", chunks=(1000, 7), compression="gzip")
        file.create_dataset("data/demo_2/actions", (20, 2**28), "f8", chunks=(1, 2**28))
    source = read(path)
    with pytest.raises(TooLarge) as refusal:
        source.episode("demo_0").stream("obs/flat").values[:]
    assert str(refusal.value) == (
        f"{path}: 'data/demo_0/obs/flat' claims 20000000000000 bytes, of which the file holds 0."
    )
    with pytest.raises(TooLarge) as refusal:
        source.episode("demo_1")
    assert str(refusal.value) == f"{path}: 'data/demo_1/actions' claims 1000000000000 samples."
    with pytest.raises(TooLarge) as refusal:
        source.episode("demo_2")
    assert str(refusal.value) == (
        f"{path}: 'data/demo_2/actions' is stored in chunks of (1, 268435456), over 1 GiB each."
    )


def test_a_chunk_that_unpacks_to_more_than_it_stands_for_is_refused(tmp_path: Path) -> None:
    path = one_demo(tmp_path / "a.hdf5")
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(80)) + packer.flush()
    with h5py.File(path, "a") as file:
        dataset = file["data/demo_0"].create_dataset("x", (20, 10), "f8", chunks=(20, 10), compression="gzip")
        dataset.id.write_direct_chunk((0, 0), bomb)
    with pytest.raises(TooLarge) as refusal:
        read(path).episode("demo_0").stream("x").values[:]
    assert str(refusal.value) == (
        f"{path}: a chunk of 'data/demo_0/x' unpacks to more than the 1600 bytes that it stands for."
    )


def test_pickles_in_opaque_bytes_stay_bytes_and_references_are_not_followed(tmp_path: Path) -> None:
    path = one_demo(tmp_path / "a.hdf5")
    blob = pickle.dumps({"a": 1})
    with h5py.File(path, "a") as file:
        demo = file["data/demo_0"]
        demo["config"] = np.void(blob)
        demo.attrs["config"] = np.void(blob)
        demo.attrs["target"] = demo["actions"].ref
        demo.attrs["nothing"] = h5py.Empty("f4")
        demo.attrs["names"] = ["a", "b"]
    extra = read(path).episode("demo_0").extra
    assert extra["config"] == blob
    assert extra["target"] == "HDF5 references, which are not followed"
    assert extra["nothing"] is None
    assert extra["names"] == ["a", "b"]


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = one_demo(tmp_path / "a.hdf5")
    first = read(path).episode("demo_0")
    assert len(first.stream("actions").values[:]) == 20
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.ones((5, 7))
    path.write_bytes((tmp_path / "b.hdf5").read_bytes())
    os.utime(path, ns=(0, time.time_ns() + 10**9))
    np.testing.assert_array_equal(read(path).episode("demo_0").stream("actions").values[:], np.ones((5, 7)))


def test_a_damaged_chunk_costs_its_stream_only(tmp_path: Path) -> None:
    path = isaac_lab(tmp_path / "d.hdf5", demos=1)
    with h5py.File(path) as file:
        chunk = file["data/demo_0/obs/joint_pos"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    episode = read(path).episode("demo_0")
    assert episode.stream("actions").values[:].shape == (10, 7)
    with pytest.raises(DamagedData) as damage:
        episode.stream("obs/joint_pos").values[:]
    assert str(damage.value).startswith(f"{path}: 'data/demo_0/obs/joint_pos' cannot be read: ")


@pytest.mark.parametrize("size", [2**64 - 16, 2**64 - 8, 2**40])
def test_a_heap_of_texts_that_leads_nowhere_is_damage_and_not_a_hang(tmp_path: Path, size: int) -> None:
    path = one_demo(tmp_path / "a.hdf5", data_attributes={"env_args": "{}"})
    data = bytearray(path.read_bytes())
    # The first object's header stands 16 bytes into the heap, its size 8 bytes into that.
    first_size = data.index(b"GCOL") + 24
    data[first_size : first_size + 8] = size.to_bytes(8, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(DamagedData) as damage:
        read(path)
    assert str(damage.value) == f"{path}: the attributes of 'data' cannot be read: a heap of texts is broken."
