"""Expansion by steps: mirrored, retimed, reworded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from robokata.core.detection import open_source
from robokata.core.errors import RecipeRefused, WriteRefused
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.expansion.expand import expand, plan_expansion
from robokata.testing import tiny_episode
from steps.simulated import lifted


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("sources") / "set"
    shelf("formats")["mcap"].write(path, [lifted(0), lifted(1)])
    return open_source(path)


def test_each_source_has_one_mirror_image_however_many_are_asked_for(sources: Source, tmp_path: Path) -> None:
    made = expand(sources, by="mirror", out=tmp_path / "out", episodes=5, workers=1)
    assert (made.production.kept, made.asked, made.reasons) == (2, 5, {})
    new = open_source(tmp_path / "out")
    assert list(new.keys()) == [f"{key}-mirrored" for key in sources.keys()]
    assert new.episode(new.keys()[0]).origin.made_from[0].startswith(f"{sources.keys()[0]}@")


def test_rounds_of_wordings_never_repeat_one_and_end_where_the_task_has_no_more(
    sources: Source, tmp_path: Path
) -> None:
    made = expand(sources, by="paraphrase", out=tmp_path / "out", episodes=50, seed=2, workers=1)
    assert made.production.kept == 6, "two sources, three other wordings each"
    new = open_source(tmp_path / "out")
    texts = Counter((key.rpartition("-said")[0], new.episode(key).instructions[0].text) for key in new.keys())
    assert set(texts.values()) == {1}
    assert made.reasons == {"3 other wordings are known, and 4 are asked for.": 2} | {
        f"3 other wordings are known, and {n} are asked for.": 2 for n in range(5, 17)
    }


def test_a_run_goes_on_where_it_stopped_and_gives_the_same_files(sources: Source, tmp_path: Path) -> None:
    for folder, episodes in (("whole", 4), ("parts", 1), ("parts", 4)):
        expand(sources, by="retime", out=tmp_path / folder, episodes=episodes, seed=1, workers=1)
    for file in sorted((tmp_path / "whole").glob("*.mcap")):
        assert (tmp_path / "parts" / file.name).read_bytes() == file.read_bytes()
    receipts = [json.loads((tmp_path / f"{name}.receipt.json").read_text()) for name in ("whole", "parts")]
    assert receipts[0]["files"] == receipts[1]["files"]


def test_options_are_those_of_the_step_and_a_robot_without_symmetry_is_said(tmp_path: Path) -> None:
    shelf("formats")["mcap"].write(tmp_path / "tiny", [tiny_episode(0, duration_s=1.0)])
    tiny = open_source(tmp_path / "tiny")
    with pytest.raises(WriteRefused, match=r"no episode could be made of 1 tries\. Most often: robot tiny_arm has no"):
        expand(tiny, by="mirror", out=tmp_path / "out", episodes=1, workers=1)
    jobs = plan_expansion(tiny, "retime", keys=["0"], options={"speed_ratio": 0.5})
    assert jobs.recipe["options"] == {"speed_ratio": 0.5, "spread_ratio": 0.25, "within_limits": True}
    with pytest.raises(RecipeRefused, match="expander retime: knows no option 'speed'"):
        plan_expansion(tiny, "retime", keys=["0"], options={"speed": 2})
