"""Ids of episodes as names of files: every id has one, and no two share one."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from robokata.runtime.file_name import file_name, file_names, lone_file_name


@given(st.lists(st.text(min_size=1, max_size=300), unique=True, max_size=12))
def test_no_two_ids_of_a_folder_share_a_file(ids: list[str]) -> None:
    names = file_names(ids)
    assert list(names) == ids
    assert len({name.lower() for name in names.values()}) == len(ids)
    assert all(Path(name).name == name and len(name.encode()) < 240 for name in names.values())


@given(st.text(min_size=1, max_size=50))
def test_a_lone_name_never_leaves_its_folder(episode_id: str) -> None:
    assert Path(lone_file_name(episode_id)).name == lone_file_name(episode_id)


def test_ids_of_rlds_are_files_and_stay_apart() -> None:
    assert file_name("train/0") == "train_0"
    assert file_names(["train/0", "train_0"]) == {"train/0": "train_0", "train_0": "train_0_2"}
    assert lone_file_name("lift-0") == "lift-0"
    assert lone_file_name("train/0") != lone_file_name("train:0")
