"""Studies: designs that separate effects, effects that are there, answers that say when they are not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.core.errors import RecipeRefused
from robokata.learn.training_spec import TrainingSpec
from robokata.studies.design import Arm, arms_of
from robokata.studies.effects import PRIMARY, Answer, answers_of, points_of, results_of, scaling_of
from robokata.studies.run import Data, Run
from robokata.studies.spec import Study, read_study, study_from


def asked(factors: list[dict[str, Any]], **more: Any) -> Study:
    return study_from(
        {
            "name": "a question",
            "task": "stack",
            "policy": "bc_mlp",
            "data": {"source": [{"path": "demonstrations"}]},
            "factor": factors,
            **more,
        }
    )


def two(name: str, **level: Any) -> dict[str, Any]:
    return {"name": name, "level": [{"name": "no"}, {"name": "yes", **level}]}


def told_again(**more: Any) -> dict[str, Any]:
    return two("a", expand={"by": "demonstrations", "episodes": 3, **more})


def ran(
    study: Study, rate: Callable[[Arm], float], *, seeds: int = 3, trials: int = 200, seed: int = 0
) -> list[Answer]:
    """Answers from made-up runs in which each arm succeeds at a known rate, on shared resets."""
    rng = np.random.default_rng(seed)
    luck = rng.uniform(size=trials)  # how hard each reset is, the same for every arm
    arms = arms_of(study)
    runs = []
    for arm in arms:
        for number in range(3):
            values = {str(t): float(luck[t] + rng.normal(0, 0.05) < rate(arm)) for t in range(trials)}
            runs.append(Run(arm.name, number, "", "", {PRIMARY: values}, 0, 1.0, 1.0, 0.1))
    data = {arm.name: Data(arm.name, "", "", TrainingSpec(()), 30, 0, {}, 1.0) for arm in arms}
    return answers_of(study, results_of(arms, data, runs))


def test_a_full_design_has_every_combination_and_the_baseline_first() -> None:
    arms = arms_of(asked([two("a"), two("b"), two("c")]))
    assert len({tuple(arm.levels.values()) for arm in arms}) == 8
    assert arms[0].name == "a no, b no, c no (baseline)"


def test_one_at_a_time_changes_one_factor_per_arm() -> None:
    arms = arms_of(asked([two("a"), two("b"), two("c")], design="one_at_a_time"))
    assert [sum(level == "yes" for level in arm.levels.values()) for arm in arms] == [0, 1, 1, 1]


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_a_fraction_keeps_main_effects_apart(count: int) -> None:
    arms = arms_of(asked([two(f"f{n}") for n in range(count)], design="fractional"))
    signs = np.array([[1 if level == "yes" else -1 for level in arm.levels.values()] for arm in arms])
    assert len(arms) < 2**count
    assert (signs.sum(axis=0) == 0).all(), "every level equally often"
    for one, other in itertools.combinations(range(count), 2):
        assert signs[:, one] @ signs[:, other] == 0, "two factors cannot be told apart"
    if count == 7:  # 2^(7-3), resolution IV: no main effect equals an interaction of two others
        assert len(arms) == 16
        for one, (two_, three) in itertools.product(range(7), itertools.combinations(range(7), 2)):
            if one not in (two_, three):
                assert abs(signs[:, one] @ (signs[:, two_] * signs[:, three])) < len(arms)


def test_a_fraction_of_three_levels_is_refused() -> None:
    three = {"name": "a", "level": [{"name": "x"}, {"name": "y"}, {"name": "z"}]}
    with pytest.raises(RecipeRefused, match="three factors of two levels"):
        arms_of(asked([three, two("b"), two("c")], design="fractional"))


def test_an_effect_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    study = asked([two("good"), two("useless")])
    answers = {a.contrast.factor: a for a in ran(study, lambda arm: 0.5 + 0.2 * (arm.levels["good"] == "yes"))}
    good, useless = answers["good"], answers["useless"]
    assert good.is_resolved
    assert good.primary is not None
    assert good.primary.estimate.value == pytest.approx(0.2, abs=0.06)
    assert "changed success by +" in good.sentence()
    assert not useless.is_resolved
    assert "not resolvable with this budget" in useless.sentence()
    assert "training seeds" in useless.sentence()


def test_many_useless_choices_do_not_make_one_useful() -> None:
    study = asked([two(f"f{n}") for n in range(4)], design="one_at_a_time")
    found = [a.is_resolved for seed in range(12) for a in ran(study, lambda arm: 0.6, seed=seed, trials=60)]
    assert sum(found) <= 2, "of 48 useless choices, Holm lets about one in twenty studies claim anything"


def test_no_interval_of_a_share_leaves_what_shares_can_be() -> None:
    study = asked([two("good")])
    for seed in range(6):
        (answer,) = ran(study, lambda arm: 0.98 * (arm.levels["good"] == "yes"), seed=seed, trials=4)
        effect = answer.effects[PRIMARY].estimate
        assert effect.low is None or -1 <= effect.low <= effect.high <= 1


def test_a_size_gives_a_scaling_curve() -> None:
    levels = [{"name": str(n), "size": n, "step": [{"name": "take_subset", "episodes": n}]} for n in (10, 30, 100)]
    study = asked([{"name": "demonstrations", "level": levels}])
    rates = {"10": 0.2, "30": 0.5, "100": 0.8}
    arms = arms_of(study)
    runs = []
    for arm, seed in itertools.product(arms, range(3)):
        rate = rates[arm.levels["demonstrations"]]
        values = {str(trial): float(trial % 10 < 10 * rate) for trial in range(50)}
        runs.append(Run(arm.name, seed, "", "", {PRIMARY: values}, 0, 1.0, 1.0, 0.1))
    data = {arm.name: Data(arm.name, "", "", TrainingSpec(()), 30, 0, {}, 1.0) for arm in arms}
    points = scaling_of(study.factors[0], results_of(arms, data, runs))
    assert [point.size for point in points] == [10, 30, 100]
    assert [point.success.value for point in points] == pytest.approx([0.2, 0.5, 0.8])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": []}, "asks nothing"),
        ({"training_seeds": 1}, "whole number of at least 2 is needed. The training seed is the replicate."),
        ({"design": "magic"}, "design is 'magic'. It is one of full, fractional, one_at_a_time."),
        ({"steps": "many"}, "steps is 'many'"),
        ({"factor": [two("a", expnad={})]}, "knows no 'expnad'"),
        ({"factor": [{"name": "a", "level": [{"name": "x"}]}]}, "at least two"),
        ({"colour": 1}, "knows no 'colour'"),
        (
            {"factor": [two("a", expand={"by": "magic", "episodes": 3})]},
            "by is 'magic'. It is one of demonstrations, factors,",
        ),
        ({"factor": [told_again(factors=["light"])]}, "expand: knows no option 'factors'. It has: reset_range"),
        ({"factor": [told_again(by="factors", clean_actions=True)]}, "expand: knows no option 'clean_actions'."),
        ({"factor": [told_again(clean_actions="yes")]}, "clean_actions is 'yes', and true or false is needed."),
        ({"factor": [told_again(spec={"noise_mm": 5})]}, "expand, spec: unknown key 'noise_mm'. Allowed: choice"),
        ({"factor": [told_again(spec=5)]}, "expand: spec is 5, and a table is needed."),
        ({"factor": [told_again(spec={"subtask": {"take": 1}})]}, "spec, [subtask.take] must be a table, got 1"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    words: dict[str, Any] = {"factors": [two("a")], **{k: v for k, v in change.items() if k != "factor"}}
    with pytest.raises(RecipeRefused) as refused:
        asked(change.get("factor", words.pop("factors")), **{k: v for k, v in words.items() if k != "factors"})
    assert message in str(refused.value)
    assert str(refused.value).startswith("study")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "question.toml"
    path.write_text("name = ")
    with pytest.raises(RecipeRefused, match=r"question\.toml: is not TOML"):
        read_study(path)


def test_the_same_question_has_the_same_hash_and_another_seed_another() -> None:
    assert asked([two("a")]).hash == asked([two("a")]).hash
    assert asked([two("a")]).hash != asked([two("a")], seed=1).hash


def test_an_effect_larger_than_the_whole_scale_is_none_that_can_be_found() -> None:
    assert points_of(0.123) == "12 points"
    assert points_of(1.0) == "100 points"
    assert points_of(3.3) == "none, it would have to exceed 100 points"
