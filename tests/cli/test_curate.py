"""`kata curate`, and the ways of `kata expand` that are steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.core.shelf import shelf
from robokata.testing import tiny_episode, tiny_source


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("curate") / "tiny"
    shelf("formats")["mcap"].write(path, [tiny_episode(n, duration_s=2 + n / 2) for n in range(6)])
    return path


def test_words_choose_change_and_write_with_a_receipt(kata: Kata, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = kata("curate", tiny, "--by", "length which=longest", "--keep", "2", "--step", "add_noise", "--out", out)
    assert said.code == 0, said.err
    assert "2 episodes as mcap" in said.out
    assert "length left out 4" in said.out
    assert "correlation of the choice with length: +0.83" in said.out
    assert list(open_source(out).keys()) == ["4", "5"]
    receipt = json.loads((tmp_path / "out.receipt.json").read_text())
    assert receipt["recipe"]["step"][0]["name"] == "add_noise"


def test_the_recipe_of_words_is_printed_and_gives_the_same_again(kata: Kata, tiny: Path, tmp_path: Path) -> None:
    words = ("--by", "random", "--keep", "0.5", "--seed", "4", "--drop", "error")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(kata("curate", tiny, *words, "--recipe").out)
    plans = [json.loads(kata("curate", *what, "--plan", "--json").out) for what in ((tiny, *words), (recipe,))]
    assert plans[0]["selection"] == plans[1]["selection"]
    assert plans[0]["recipe_hash"] == plans[1]["recipe_hash"]
    assert len(plans[0]["selection"]["picks"]) == 3


def test_what_cannot_be_obeyed_is_said_in_one_line(kata: Kata, tiny: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[[source]]\npath = "{tiny}"\n')
    for words, message in [
        (
            (tiny, "--by", "random", "--plan"),
            "kata: --by and --keep go together: which curator, and how many episodes.",
        ),
        (
            (tiny, "--by", "best", "--keep", "1", "--plan"),
            "kata: command line, [selection]: No curator is called 'best'.",
        ),
        ((tiny, "--step", "add_noise level", "--plan"), "kata: --step 'add_noise level': 'level' is no KEY=VALUE."),
        (
            (recipe, "--seed", "1", "--plan"),
            f"kata: --seed goes with a dataset, and {recipe} is a recipe: write it there (seed).",
        ),
        ((tiny, "--by", "random", "--keep", "77", "--plan"), "kata: keep is 77, and only 6 episodes are there"),
    ]:
        said = kata("curate", *words)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(message)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert "exists and is not empty" in kata("curate", tiny, "--out", tmp_path / "full").err


def test_expanding_by_a_step_says_what_was_refused(kata: Kata, tiny: Path, tmp_path: Path) -> None:
    said = kata("expand", tiny, "--by", "retime", "--out", tmp_path / "slow", "--episodes", "3", "--workers", "1")
    assert said.code == 0, said.err
    assert "3 episodes" in said.out
    refused = kata("expand", tiny, "--by", "mirror", "--out", tmp_path / "no", "--workers", "1")
    assert refused.code == 2
    assert "no episode could be made of 6 tries. Most often: robot tiny_arm has no kinematic model" in refused.err
    nowhere = kata("expand", tiny, "--by", "world_model", "--out", tmp_path / "w")
    assert nowhere.err.startswith("kata: expander world_model: url is needed (a text).")


def test_a_set_without_a_rate_is_written_with_one_that_is_given(kata: Kata, tmp_path: Path) -> None:
    convert(tiny_source(3, duration_s=1.0), tmp_path / "z", "zarr_replay", accept_loss=True, workers=1)
    words = ("curate", tmp_path / "z", "--by", "random", "--keep", "1", "--to", "lerobot_v3", "--accept-loss")
    said = kata(*words, "--out", tmp_path / "out", "--option", "rate_hz=50")
    assert said.code == 0, said.err
    assert open_source(tmp_path / "out").facts().declared_rate_hz == 50
    said = kata(*words, "--out", tmp_path / "other", "--option", "rate=50")
    assert said.code == 2
    assert "rate_hz" in said.err


def test_the_training_split_is_curated_unless_another_is_named(kata: Kata, tmp_path: Path) -> None:
    convert(tiny_source(6, duration_s=1.0), tmp_path / "m", "mcap", accept_loss=True, workers=1)
    plain = json.loads(kata("curate", tmp_path / "m", "--plan", "--json").out)
    assert plain["recipe"]["source"][0]["split"] == "train"
    assert plain["notes"] == ["split train: 4 of 6 episodes; not used: val 2 (--split NAME or all)"]
    everything = json.loads(kata("curate", tmp_path / "m", "--plan", "--json", "--split", "all").out)
    assert len(everything["selection"]["picks"]) == 6
    drawn = json.loads(kata("curate", tmp_path / "m", "--plan", "--json", "--split", "train=0.5,val=0.5").out)
    assert len(drawn["moved"]) == 6
    said = kata("curate", tmp_path / "m", "--plan", "--where", "steps > 9000")
    assert said.code == 2
    assert "none of 6 episodes meets --where 'steps > 9000'" in said.err
