"""`kata look`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kata_command import Kata


def test_a_dataset_is_described(kata: Kata, sample: Path) -> None:
    said = kata("look", sample)
    assert said.code == 0
    assert said.err == ""
    for words in ("lerobot_v3, version v3.0", "tiny_arm", "'stack the green cube on the blue cube'", "50 Hz"):
        assert words in said.out
    assert "total_frames: declared 17684, found 3600 meta/info.json" in said.out


def test_json_is_one_object_and_nothing_else(kata: Kata, sample: Path) -> None:
    said = kata("look", sample, "--json")
    view = json.loads(said.out)
    assert view["format"] == "lerobot_v3"
    assert view["episodes"] == view["selected_episodes"] == 12
    assert {s["name"] for s in view["streams"]} >= {"observation.state", "action", "observation.images.front"}
    assert [c["subject"] for c in view["contradictions"]] == ["total_frames", "splits.train"]


def test_one_episode_is_shown_one_level_down(kata: Kata, sample: Path) -> None:
    said = kata("look", sample, "--episode", "7")
    assert said.code == 0
    assert "'asdf'" in said.out
    assert "shoulder_pan, shoulder_lift" in said.out
    view = json.loads(kata("look", sample, "--episode", "7", "--json").out)
    assert view["id"] == "7"
    assert view["instructions"] == ["asdf"]


def test_where_leaves_the_episodes_that_meet_it(kata: Kata, sample: Path) -> None:
    assert "1 selected of 12" in kata("look", sample, "--where", "instruction = 'asdf'").out
    said = kata("look", sample, "--json", "--where", "false")
    assert json.loads(said.out)["selected_episodes"] == 0
    assert said.code == 2
    assert said.err.startswith(f"kata: {sample}: none of 12 episodes meets --where 'false'.")


def test_several_datasets_are_a_list(kata: Kata, sound: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(sound, tmp_path / "all" / name)
    said = kata("look", tmp_path / "all", "--json")
    assert [Path(view["path"]).name for view in json.loads(said.out)["datasets"]] == ["a", "b"]
    shown = kata("look", tmp_path / "all").out
    assert str(tmp_path / "all" / "a") in shown
    assert str(tmp_path / "all" / "b") in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episode", "99"], "No episode is called '99'"),
        (["--where", "colour = 3"], "is no condition on the table of episodes"),
        (["--where", "1); COPY episodes TO '/tmp/x"], "is no condition on the table of episodes"),
        (["--format", "lerobot_v9"], "No format is called 'lerobot_v9'. Did you mean 'lerobot_v"),
    ],
)
def test_what_cannot_be_done_is_code_2_and_a_message(kata: Kata, sound: Path, words: list[str], message: str) -> None:
    said = kata("look", sound, *words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("kata: ")
    assert message in said.err
    assert "defect of Robokata" not in said.err


def test_a_path_that_is_not_there_and_one_that_holds_nothing_are_told_apart(kata: Kata, tmp_path: Path) -> None:
    gone = kata("look", tmp_path / "gone")
    assert gone == (2, "", f"kata: {tmp_path / 'gone'}: no such file or directory. Check the path.\n")
    (tmp_path / "notes.txt").write_text("nothing")
    nothing = kata("look", tmp_path)
    assert nothing.code == 2
    assert "holds no dataset that Robokata recognises. Looked for:\n" in nothing.err
    assert "lerobot_v3: " in nothing.err
