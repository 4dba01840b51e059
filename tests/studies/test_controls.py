"""Random subsets of equal size: each differs from its arm in the one factor that removes, and in nothing else."""

from typing import Any

import pytest

from robokata.learn.training_spec import TrainingSpec
from robokata.studies.design import Arm, arms_of, controls_of
from robokata.studies.effects import PRIMARY, Answer, answers_of, results_of
from robokata.studies.run import Data, Run
from robokata.studies.spec import Study, study_from

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
