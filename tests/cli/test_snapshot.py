"""`kata snapshot`, `snapshots`, `diff` and `verify` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

from kata_command import Kata


def test_a_dataset_is_kept_changed_compared_and_verified(kata: Kata, sound: Path, tmp_path: Path) -> None:
    store = tmp_path / "versions"
    made = kata("snapshot", sound, "--store", store, "-m", "as recorded")
    assert (made.code, made.err) == (0, "")
    assert f"2 episodes in {store}" in made.out
    changed = kata("snapshot", store, "--relabel", "0=fold the towel", "--delete", "1")
    assert changed.code == 0
    history = json.loads(kata("snapshots", store, "--json").out)["snapshots"]
    assert [record["number"] for record in history] == [2, 1]
    assert history[1]["message"] == "as recorded"
    assert history[0]["parents"] == [history[1]["id"]]
    assert history[0]["made"]["words"] == {"relabel": {"0": "fold the towel"}, "delete": ["1"]}
    assert "as recorded" in kata("snapshots", store).out
    said = kata("diff", f"{store}@1", store)
    assert said.code == 1
    assert "- 1\n~ 0\n    instructions: " in said.out
    assert "-> ['fold the towel']" in said.out
    assert kata("diff", store, store).code == 0
    verified = kata("verify", store)
    assert verified.code == 0
    assert "all as it was" in verified.out


def test_a_changed_recording_is_named_by_verify(kata: Kata, sound: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(sound, tmp_path / "recorded")
    kata("snapshot", copy, "--store", tmp_path / "versions")
    victim = next(copy.glob("data/**/*.parquet"))
    sound_bytes = victim.read_bytes()
    for damaged in (sound_bytes[:-1] + b"x", sound_bytes[:40] + b"x" + sound_bytes[41:]):
        victim.write_bytes(damaged)
        said = kata("verify", tmp_path / "versions")
        assert said.code == 1
        assert victim.name in said.out
    assert f"{victim} held" in said.out
    assert "they have changed, or are no longer its" in " ".join(said.out.split())


def test_a_snapshot_is_a_dataset_like_any_other(kata: Kata, sound: Path, tmp_path: Path) -> None:
    store, out = tmp_path / "versions", tmp_path / "out"
    kata("snapshot", sound, "--store", store, "--split", "train=1", "--materialise")
    looked = kata("look", store)
    assert looked.code == 0
    assert "snapshot, version 1" in looked.out
    assert "train 2" in looked.out
    assert kata("check", store).code == kata("check", sound).code
    assert kata("convert", store, out, "--to", "lerobot_v2").code == 0
    assert "2" in kata("look", out).out


def test_merging_another_dataset_needs_a_prefix_where_ids_clash(kata: Kata, sound: Path, tmp_path: Path) -> None:
    store = tmp_path / "versions"
    kata("snapshot", sound, "--store", store)
    clash = kata("snapshot", sound, "--store", store, "--append", "--materialise")
    assert clash.code == 2
    assert clash.err == (
        "kata: 2 ids mean different episodes in both: 0, 1. Give the added ones other ids: --prefix new/\n"
    )
    assert kata("snapshot", sound, "--store", store, "--append", "--materialise", "--prefix", "b/").code == 0
    assert "4 episodes" in kata("snapshot", store, "-m", "again").out


def test_what_cannot_be_obeyed_is_one_line(kata: Kata, sound: Path, tmp_path: Path) -> None:
    store = tmp_path / "versions"
    said = [
        kata("snapshot", sound),
        kata("snapshot", sound, "--store", sound),
        kata("snapshot", sound, "--store", store, "--relabel", "nonsense"),
        kata("snapshot", sound, "--store", store, "--split", "train=much"),
        kata("snapshots", tmp_path),
    ]
    assert [one.code for one in said] == [2] * 5
    assert [one.err.removeprefix("kata: ") for one in said] == [
        "say where to keep it: --store FOLDER (or s3://bucket/name).\n",
        f"{sound} exists and is no store. Choose another; nothing is ever overwritten.\n",
        "--relabel 'nonsense' is not NAME=VALUE.\n",
        "--split train=much: the shares are numbers: train=0.8,val=0.2.\n",
        f"{tmp_path}: no store of snapshots (robokata_store.json is not there). "
        "Make one: kata snapshot DATASET --store.\n",
    ]
    assert not store.exists()
