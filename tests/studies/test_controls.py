"""Random subsets of equal size: each differs from its arm in the one factor that removes, and in nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robokata.core.errors import LeafRefused
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.curation.curate import curated
from robokata.curation.recipe import Recipe, StepPart
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.studies.design import Arm, arms_of, controls_of
from robokata.studies.effects import PRIMARY, Answer, answers_of, results_of
from robokata.studies.run import Data, Run
from robokata.studies.spec import Study, study_from
from robokata.testing import tiny_episode

CLEANED = {"name": "cleaned", "checks": {"level": "error"}}
NOISY = {"name": "noisy", "step": [{"name": "add_noise"}], "training": {"chunk_steps": 4}}


def asked(*factors: dict[str, Any], **more: Any) -> Study:
    data = {"source": [{"path": "recorded"}]}
    return study_from({"name": "q", "task": "lift", "policy": "bc_mlp", "data": data, "factor": list(factors), **more})


def factor(name: str, *levels: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "level": list(levels)}


def controls(study: Study, kept: dict[str, int]) -> list[Arm]:
    arms = arms_of(study)
    return controls_of(study, arms, {arm.name: kept[arm.levels["data"]] for arm in arms})


def answered(study: Study, arms: list[Arm]) -> list[Answer]:
    data = {arm.name: Data(arm.name, "", "", TrainingSpec(()), 30, 0, {}, 1.0) for arm in arms}
    runs = [
        Run(arm.name, seed, "", "", {PRIMARY: {str(n): float((n + seed) % 2) for n in range(10)}}, 0, 1.0, 1.0, 0.1)
        for arm in arms
        for seed in range(3)
    ]
    return answers_of(study, results_of(arms, data, runs))


def test_the_control_is_a_random_subset_of_what_was_not_cleaned() -> None:
    (control,) = controls(asked(factor("data", {"name": "all"}, CLEANED)), {"all": 30, "cleaned": 17})
    assert control.recipe.checks is None
    assert [(step.name, step.options["episodes"]) for step in control.recipe.steps] == [("take_subset", 17)]
    assert (control.control_of, control.control_for) == ("data cleaned", "data")


def test_the_other_factors_stay_as_they_are_and_get_no_control() -> None:
    study = asked(factor("data", {"name": "all"}, CLEANED), factor("noise", {"name": "none"}, NOISY))
    found = controls(study, {"all": 30, "cleaned": 17})
    assert {control.control_of: control.levels["noise"] for control in found} == {
        "data cleaned, noise none": "none",
        "data cleaned, noise noisy": "noisy",
    }
    noisy = next(control for control in found if control.levels["noise"] == "noisy")
    assert [step.name for step in noisy.recipe.steps] == ["add_noise", "take_subset"]
    assert noisy.training == {"chunk_steps": 4}
    told = [
        (a.contrast.factor, a.contrast.level, a.contrast.is_control) for a in answered(study, [*arms_of(study), *found])
    ]
    assert told == [("data", "cleaned", False), ("data", "cleaned", True), ("noise", "noisy", False)]


def test_what_a_level_does_besides_removing_its_control_does_too() -> None:
    grown = CLEANED | {
        "name": "grown",
        "expand": {"by": "demonstrations", "episodes": 90},
        "training": {"chunk_steps": 4},
    }
    grown["step"] = [{"name": "add_noise"}, {"name": "drop_duplicate"}]
    (control,) = controls(asked(factor("data", {"name": "all"}, grown)), {"all": 30, "grown": 17})
    assert [step.name for step in control.recipe.steps] == ["add_noise", "take_subset"]
    assert control.recipe.checks is None
    assert [part.episodes for part in control.expansions] == [90]
    assert control.training == {"chunk_steps": 4}


def test_a_baseline_that_removes_is_compared_with_a_random_subset_too() -> None:
    study = asked(factor("data", CLEANED, {"name": "all"}))
    found = controls(study, {"all": 30, "cleaned": 17})
    assert [control.control_of for control in found] == ["data cleaned (baseline)"]
    assert found[0].recipe.checks is None
    told = [(a.contrast.level, a.contrast.baseline) for a in answered(study, [*arms_of(study), *found])]
    assert told == [("cleaned", "a random subset of equal size"), ("all", "cleaned")]


def test_what_the_checks_of_another_factor_leave_out_goes_before_the_subset_is_drawn() -> None:
    few = {"name": "few", "step": [{"name": "take_subset", "episodes": 9}]}
    study = asked(factor("data", {"name": "all"}, few), factor("checks", {"name": "none"}, CLEANED))
    found = controls_of(study, arms_of(study), {a.name: 9 if a.levels["data"] == "few" else 30 for a in arms_of(study)})
    control = next(c for c in found if c.control_for == "data" and c.levels["checks"] == "cleaned")
    assert control.recipe.checks is None
    assert [step.name for step in control.recipe.steps] == ["drop_found", "take_subset"]


@pytest.fixture
def drop_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A step of another package that drops short episodes; it can be made not to say so."""
    file = tmp_path / "their_drop_short.py"
    file.write_text(
        "REMOVES_EPISODES = True\n"
        "def step(episode, *, at_least_s: float = 3.0):\n"
        "    if episode.duration_s >= at_least_s:\n"
        "        yield episode\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(vars(shelf("steps")), "_foreign", {"drop_short": "their_drop_short"})
    yield file
    shelf("steps")._loaded.pop("drop_short", None)
    sys.modules.pop("their_drop_short", None)


@pytest.mark.usefixtures("drop_short")
def test_a_new_step_that_removes_gets_its_control_and_no_list_was_edited() -> None:
    long = {"name": "long", "step": [{"name": "drop_short"}]}
    (control,) = controls(asked(factor("data", {"name": "all"}, long)), {"all": 30, "long": 12})
    assert [(step.name, step.options["episodes"]) for step in control.recipe.steps] == [("take_subset", 12)]


def test_a_step_that_drops_in_silence_is_refused(drop_short: Path) -> None:
    drop_short.write_text(drop_short.read_text().replace("REMOVES_EPISODES = True\n", ""))
    source = EpisodeList([tiny_episode(0, duration_s=4.0), tiny_episode(1, duration_s=2.0)])
    recipe = Recipe((DataSource("memory"),), (StepPart("drop_short", {}),))
    with pytest.raises(LeafRefused, match=r"the step 'drop_short' gives nothing for episode 1, and does not say"):
        curated(recipe, sources=[source], workers=1)


def test_a_step_that_refused_episodes_of_this_arm_gets_a_control_too() -> None:
    mirrored = {"name": "mirrored", "step": [{"name": "mirror_episode"}]}
    study = asked(factor("data", {"name": "all"}, mirrored))
    kept = {arm.name: 30 if "all" in arm.name else 21 for arm in arms_of(study)}
    assert controls_of(study, arms_of(study), kept) == []
    (control,) = controls_of(study, arms_of(study), kept, {"data mirrored": {"mirror_episode": 9}})
    assert [(step.name, step.options["episodes"]) for step in control.recipe.steps] == [("take_subset", 21)]


def test_adding_data_needs_no_control() -> None:
    more = {"name": "more", "source": [{"path": "others"}]}
    assert controls(asked(factor("data", {"name": "own"}, more)), {"own": 10, "more": 30}) == []


@pytest.mark.parametrize(("steps", "said"), [({}, "equal steps"), ({"steps": 500}, "500 against 2,000 steps")])
def test_the_answer_says_seeds_combinations_and_steps(steps: dict[str, int], said: str) -> None:
    study = asked(
        factor("noise", {"name": "none"}, NOISY | {"training": steps}), factor("data", {"name": "a"}, {"name": "b"})
    )
    answer = next(a for a in answered(study, arms_of(study)) if a.contrast.factor == "noise")
    assert f"(3 training seeds x 2 combinations of the other factors x 10 trials, {said};" in answer.sentence()
    assert set(answer.adjusted) == set(answer.effects) == {PRIMARY}
