"""Versions of a dataset: the same content is the same snapshot, and no version is ever lost."""

from __future__ import annotations

import importlib
import json
import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from robokata.cli.main import app
from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, MediaMissing, NotADataset, UnknownName, WriteRefused
from robokata.core.leaf_kinds import readable_formats
from robokata.core.source import EpisodeList
from robokata.steps import add_noise
from robokata.store.backend import Folder
from robokata.store.commit import Wish
from robokata.store.difference import difference
from robokata.store.edit import divided, merged, relabelled, without
from robokata.store.resolve import open_snapshot
from robokata.store.store import open_store
from robokata.store.verification import verify
from robokata.store.writer import relatives_of
from robokata.testing.tiny import tiny_episode

COPY = Wish(is_materialised=True)


def parts(store: Path) -> set[str]:
    return {file.name for file in (store / "objects").rglob("*") if file.is_file()}


def must_be_equal(one: Episode, other: Episode, *, exact_pictures: bool = True) -> None:
    assert list(one.streams) == list(other.streams)
    assert (one.id, one.embodiment, one.outcome, one.origin) == (
        other.id,
        other.embodiment,
        other.outcome,
        other.origin,
    )
    assert (one.instructions, one.annotations) == (other.instructions, other.annotations)
    assert one.declared_rate_hz == other.declared_rate_hz
    assert one.declared_statistics.keys() == other.declared_statistics.keys()
    for a, b in zip(one.streams.values(), other.streams.values(), strict=True):
        assert (a.name, a.kind, a.role, a.channels, a.meaning, len(a)) == (
            b.name,
            b.kind,
            b.role,
            b.channels,
            b.meaning,
            len(b),
        )
        np.testing.assert_array_equal(a.clock.places, b.clock.places)
        assert (a.clock.quality, a.clock.declared_rate_hz) == (b.clock.quality, b.clock.declared_rate_hz)
        for index in range(0, len(a), 7):
            np.testing.assert_array_equal(np.asarray(a.values[index]), np.asarray(b.values[index]))
            if a.is_picture:
                assert a.pictures.encoded(index) == b.pictures.encoded(index)


@pytest.mark.parametrize("name", [name for name in readable_formats() if name != "snapshot"])
@pytest.mark.parametrize("wish", [Wish(), COPY], ids=["referring", "materialised"])
def test_a_snapshot_of_every_format_gives_back_every_number_time_and_picture(
    name: str, wish: Wish, tmp_path, keep
) -> None:
    path = importlib.import_module(f"makers.{name}").make(tmp_path / "made", episodes=2, steps=24)
    source = open_source(path)
    kept = keep(source, wish)
    assert list(kept.keys()) == list(source.keys())
    for key in source.keys():
        must_be_equal(kept.episode(key), source.episode(key))
    assert verify(kept.store).problems == ()


def test_a_materialised_snapshot_needs_nothing_but_its_store(recorded, keep) -> None:
    kept = keep(recorded, COPY)
    before = kept.episode(kept.keys()[0])
    tables = {s.name: s.table for s in before.numeric()}
    for file in recorded.iterdir():
        file.unlink()
    after = open_snapshot(kept.store.url).episode(kept.keys()[0])
    assert {s.name: s.table.tolist() for s in after.numeric()} == {n: t.tolist() for n, t in tables.items()}


def test_the_same_content_is_the_same_snapshot_and_writes_nothing(recorded, keep, tmp_path) -> None:
    first = keep(recorded, Wish(message="first"))
    files = sorted(str(file) for file in (tmp_path / "store").rglob("*"))
    assert keep(recorded, Wish(message="again")).id == first.id
    assert sorted(str(file) for file in (tmp_path / "store").rglob("*")) == files
    assert keep(recorded, store=str(tmp_path / "elsewhere")).id == first.id


def test_deleting_splitting_and_relabelling_share_all_bytes(recorded, keep, tmp_path) -> None:
    first = keep(recorded, COPY)
    heavy = {each for each in parts(tmp_path / "store") if len(open_store(first.store.url).get(each)) > 3000}
    keys = list(first.keys())
    second = keep(first, Wish(edits=[lambda e: without(e, [keys[1]])]))
    third = keep(second, Wish(edits=[lambda e: relabelled(e, {keys[0]: "fold the towel"})]))
    shares = {"train": Fraction(1, 2), "val": Fraction(1, 2)}
    fourth = keep(third, Wish(edits=[lambda e: divided(e, relatives_of(third.store, e), shares)]))
    assert list(second.keys()) == [keys[0], *keys[2:]]
    assert [i.text for i in third.episode(keys[0]).instructions] == ["fold the towel"]
    assert {fourth.episode(key).origin.split for key in fourth.keys()} <= {"train", "val"}
    assert sum(fourth.facts().splits.values()) == 3
    new = {each for each in parts(tmp_path / "store") if len(open_store(first.store.url).get(each)) > 3000} - heavy
    assert all(open_store(first.store.url).get(each)[:4] == b"PAR1" for each in new), "only lists of episodes are new"
    assert [r.parents for r in first.store.history()] == [(), (first.id,), (second.id,), (third.id,)]
    assert list(open_snapshot(f"{first.store.url}@1").keys()) == keys, "the first version is as it was"


def test_an_episode_stays_in_its_split_when_others_come_and_go(recorded, keep) -> None:
    kept = keep(recorded)
    entries, relatives = kept.manifest.entries, relatives_of(kept.store, kept.manifest.entries)
    shares = {"train": Fraction(8, 10), "val": Fraction(2, 10)}
    whole = {e.id: e.row["split"] for e in divided(entries, relatives, shares, seed=3)}
    assert {e.id: e.row["split"] for e in divided(entries[1:], relatives[1:], shares, seed=3)} == {
        i: whole[i] for i in list(whole)[1:]
    }
    with pytest.raises(
        WriteRefused, match=re.escape("the shares of the splits add up to 0.8, not 1. Write train=0.8,val=0.2.")
    ):
        divided(entries, relatives, {"train": Fraction(8, 10)})


def test_what_was_made_from_an_episode_lies_in_its_split_and_so_does_its_session(keep, tmp_path) -> None:
    sources = [tiny_episode(n, duration_s=1.0) for n in range(8)]
    made = [out for source in sources for out in add_noise.step(source, seed=1)]
    made = [replace(episode, id=f"noisy-{n}") for n, episode in enumerate(made)]
    convert(EpisodeList([*sources, *made]), tmp_path / "recorded", "mcap", accept_loss=True)
    words = ["snapshot", str(tmp_path / "recorded"), "--store", str(tmp_path / "kept"), "--split", "train=0.5,val=0.5"]
    assert CliRunner().invoke(app, words).exit_code == 0
    kept = open_snapshot(str(tmp_path / "kept"))
    split = {entry.id: entry.row["split"] for entry in kept.manifest.entries}
    assert [split[f"noisy-{n}"] for n in range(8)] == [split[source.id] for source in sources]
    assert set(split.values()) == {"train", "val"}
    # Two sessions of four: what was made from the one's episodes follows all of it.
    entries = [
        replace(e, row={**e.row, "session": None if e.id.startswith("noisy") else f"day {n // 4}"})
        for n, e in enumerate(kept.manifest.entries)
    ]
    relatives = relatives_of(kept.store, entries)
    seen = {
        tuple(
            e.row["split"] for e in divided(entries, relatives, {"a": Fraction(1, 2), "b": Fraction(1, 2)}, seed=seed)
        )
        for seed in range(8)
    }
    assert seen <= {(one,) * 4 + (other,) * 4 + (one,) * 4 + (other,) * 4 for one in "ab" for other in "ab"}
    assert len(seen) > 1


def test_merging_takes_another_robot_and_refuses_only_ids_that_clash(recorded, keep, tmp_path) -> None:
    other = importlib.import_module("makers.robomimic_hdf5").make(tmp_path / "other", episodes=2, steps=10)
    keep(recorded)
    both = keep(other, Wish(join=lambda old, new: merged(old, new)))
    assert len(both.keys()) == 6
    assert len(both.facts().robots) >= 1
    again = keep(other, Wish(join=lambda old, new: merged(old, new)))
    assert again.id == both.id, "the same episodes twice stay one"
    copied = Wish(is_materialised=True, join=lambda old, new: merged(old, new))
    with pytest.raises(WriteRefused, match=r"2 ids mean different episodes in both: .*--prefix new/"):
        keep(other, copied)
    assert open_store(both.store.url).latest().id == both.id
    prefixed = keep(other, Wish(is_materialised=True, join=lambda old, new: merged(old, new, prefix="new/")))
    assert len(prefixed.keys()) == 8
    must_be_equal(
        prefixed.episode(f"new/{both.keys()[4]}"),
        replace(both.episode(both.keys()[4]), id=f"new/{both.keys()[4]}"),
    )


def test_the_difference_names_episodes_and_fields(recorded, keep) -> None:
    first = keep(recorded)
    keys = list(first.keys())
    second = keep(first, Wish(edits=[lambda e: relabelled(without(e, [keys[3]]), {keys[0]: "pour"})]))
    found = difference(first.manifest, second.manifest)
    assert (found.added, found.removed, found.same) == ((), (keys[3],), 2)
    (change,) = found.changed[keys[0]]
    assert (change.field, change.after) == ("instructions", ["pour"])
    back = difference(second.manifest, first.manifest)
    assert back.added == (keys[3],)
    assert difference(first.manifest, first.manifest).is_empty


def test_a_file_that_changed_costs_its_episode_and_verify_names_it(recorded, keep) -> None:
    kept = keep(recorded)
    keys, files = list(kept.keys()), sorted(recorded.iterdir())
    data = bytearray(files[0].read_bytes())
    data[-10] ^= 1
    stat = files[0].stat()
    files[0].write_bytes(data)
    with pytest.raises(DamagedData, match="the snapshot refers to this file, and it has changed since") as error:
        kept.episode(keys[0])
    assert error.value.file == str(files[0])
    kept.episode(keys[1])
    os.utime(files[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    files[1].unlink()
    with pytest.raises(MediaMissing, match="it is gone"):
        kept.episode(keys[1])
    problems = verify(kept.store).problems
    assert [(p.place, p.problem) for p in problems] == [
        (str(files[0]), "has changed since the snapshot was made."),
        (str(files[1]), "is gone."),
    ]


def test_every_flipped_byte_of_a_store_is_found(recorded, keep, tmp_path) -> None:
    kept = keep(recorded, COPY)
    rng = np.random.default_rng(0)
    for file in sorted(
        f for f in (tmp_path / "store").rglob("*") if f.is_file() and f.parent.name not in ("store", "history")
    ):
        sound = file.read_bytes()
        data = bytearray(sound)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(data)
        is_spacing = file.suffix == ".json" and json_of(data) == json.loads(sound)
        assert is_spacing or verify(open_store(kept.store.url)).problems, file
        file.write_bytes(sound)
    assert verify(open_store(kept.store.url)).is_sound


def json_of(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_a_source_that_changes_meanwhile_is_detected(recorded, keep) -> None:
    source = open_source(recorded)
    file = sorted(recorded.iterdir())[0]

    def touch(episodes: int) -> None:
        file.write_bytes(file.read_bytes() + b" ")

    from robokata.store.commit import make_snapshot

    store = open_store(str(recorded.parent / "store"), is_new=True)
    with pytest.raises(WriteRefused, match=r"changed while it was read\. No snapshot was made"):
        make_snapshot(store, source, Wish(), advance=touch)
    assert store.latest() is None


def test_what_is_no_store_is_refused(recorded, tmp_path) -> None:
    with pytest.raises(WriteRefused, match="exists and is no store"):
        open_store(str(recorded), is_new=True)
    with pytest.raises(NotADataset, match="no store of snapshots"):
        open_store(str(recorded))
    store = open_store(str(tmp_path / "new"), is_new=True)
    with pytest.raises(NotADataset, match="holds no snapshot yet"):
        open_snapshot(store.url)
    with pytest.raises(UnknownName, match="No snapshot is called '7'"):
        store.resolve("7")


def test_a_change_of_a_snapshot_that_another_writer_left_behind_is_refused(recorded, keep) -> None:
    first = keep(recorded)
    keys = list(first.keys())

    def interfere(entries):
        if len(first.store.history()) == 1:
            keep(recorded, Wish(keys=keys[:1]))
        return without(entries, [keys[0]])

    with pytest.raises(WriteRefused, match=r"another writer made snapshot .* meanwhile"):
        keep(first, Wish(edits=[interfere]))
    assert len(first.store.history()) == 2


def test_a_full_disk_is_one_clear_error_and_the_versions_stay(recorded, keep, monkeypatch) -> None:
    import resource

    kept = keep(recorded)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(WriteRefused, match="The snapshots that were there are whole; make room and try again"):
            keep(recorded, COPY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert verify(open_store(kept.store.url)).is_sound
    assert open_store(kept.store.url).latest().id == kept.id
    assert not list(Path(kept.store.url).glob("objects/.unfinished*"))


def test_leftovers_of_killed_writers_are_removed_and_those_of_living_ones_stay(tmp_path) -> None:
    store = open_store(str(tmp_path / "store"), is_new=True)
    place = store.place
    assert isinstance(place, Folder)
    (tmp_path / "store" / "objects").mkdir(exist_ok=True)
    dead = tmp_path / "store" / "objects" / f".unfinished-{place._host}-999999999-1"
    alive = dead.with_name(f".unfinished-{place._host}-{os.getpid()}-77")
    elsewhere = dead.with_name(".unfinished-another-999999999-1")
    for file in (dead, alive, elsewhere):
        file.write_bytes(b"x")
    open_store(str(tmp_path / "store"), is_new=True)
    assert (dead.exists(), alive.exists(), elsewhere.exists()) == (False, True, True)


def test_appending_to_an_empty_store_gives_the_ids_that_were_asked_for(recorded, keep) -> None:
    first = keep(recorded, Wish(join=lambda old, new: merged(old, new, prefix="monday/")))
    assert all(key.startswith("monday/") for key in first.keys())
    must_be_equal(
        first.episode("monday/episode_0"), replace(open_source(recorded).episode("episode_0"), id="monday/episode_0")
    )


def test_an_episode_whose_video_is_absent_is_kept_without_it_and_a_video_that_appears_is_a_change(
    keep, tmp_path
) -> None:
    path = importlib.import_module("makers.lerobot_v3").make(tmp_path / "made", episodes=2, steps=10)
    video = sorted(path.glob("videos/*/*/*.mp4"))[0]
    held = video.read_bytes()
    video.unlink()
    kept = keep(path)
    must_be_absent = [s.pictures.media().is_absent for s in kept.episode("0").pictures()]
    assert any(must_be_absent)
    assert verify(kept.store).is_sound
    video.write_bytes(held)
    with pytest.raises(DamagedData, match="it has changed since"):
        kept.episode("0")
    assert [p.problem for p in verify(kept.store).problems] == ["has changed since the snapshot was made."]
