"""Text in another encoding: the message names it, and only what needs the text is lost."""

from __future__ import annotations

import importlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from robokata.core.detection import open_source
from robokata.core.errors import DamagedData

LATIN = "die Küche".encode("latin-1")


def made(name: str, root: Path) -> Path:
    path: Path = importlib.import_module(f"makers.{name}").make(root, episodes=2, steps=10)
    return path


def test_an_info_json_in_another_encoding_names_the_byte(tmp_path: Path) -> None:
    path = made("lerobot_v3", tmp_path)
    info = path / "meta" / "info.json"
    info.write_bytes(info.read_bytes().replace(b'"fps"', b'"note": "' + LATIN + b'", "fps"'))
    with pytest.raises(DamagedData) as caught:
        open_source(path)
    assert str(caught.value).endswith("not UTF-8, in which JSON is written: byte 0xfc. Save it as UTF-8.")
    assert caught.value.offset == info.read_bytes().index(b"\xfc")


def test_a_line_in_another_encoding_costs_that_line_only(tmp_path: Path) -> None:
    path = made("lerobot_v2", tmp_path)
    with (path / "meta" / "tasks.jsonl").open("ab") as file:
        file.write(b'{"task_index": 99, "task": "' + LATIN + b'"}\n')
    source = open_source(path)
    assert len(source.episode("1").streams["action"]) == 10


def test_texts_of_hdf5_in_another_encoding_are_shown_with_their_bytes(tmp_path: Path) -> None:
    path = made("aloha_hdf5", tmp_path)
    with h5py.File(path / "episode_0.hdf5", "a") as file:
        file.attrs["language_instruction"] = np.bytes_(LATIN)
        file["note"] = np.asarray([LATIN] * 10)
    episode = open_source(path).episode("episode_0")
    assert [i.text for i in episode.instructions] == ["die K\\xfcche"]
    assert list(episode.stream("note").values[:2]) == ["die K\\xfcche"] * 2
