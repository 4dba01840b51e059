"""Which combinations of levels a study runs: all, a fraction, or one factor at a time.

Fractions of two-level designs after Box and Hunter, Technometrics 3 (1961) 311: each further factor is the product of
some of the first ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robokata.core.contracts import DatasetStepLeaf
from robokata.core.shelf import shelf
from robokata.curation.recipe import Recipe, RecipePatch, StepPart, patched
from robokata.studies.spec import ExpandPart, Factor, Level, Study

BASELINE = "baseline"


@dataclass(frozen=True)
class Arm:
    """One way to make the data, and to train on it."""

    name: str
    levels: Mapping[str, str]
    """Factor -> level."""
    recipe: Recipe
    expansions: tuple[ExpandPart, ...]
    training: Mapping[str, Any]
    control_of: str | None = None
    """The arm whose size this random subset has."""
    control_for: str | None = None
    """The factor whose removing it is the control for."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "name": self.name,
            "levels": dict(self.levels),
            "recipe": self.recipe.to_json(),
            "expansions": [vars(part) for part in self.expansions],
            "training": dict(self.training),
            "control_of": self.control_of,
            "control_for": self.control_for,
        }


def arms_of(study: Study) -> list[Arm]:
    """The arms of a study, the baseline first. That its levels can be met in one arm was settled in reading it."""
    return [_arm(study, combination) for combination in _combinations(study)]


def controls_of(
    study: Study, arms: Sequence[Arm], kept: Mapping[str, int], left_out: Mapping[str, Mapping[str, int]] | None = None
) -> list[Arm]:
    """The random subsets that levels which remove data must be compared with.

    `kept` is the number of recorded episodes of every arm, `left_out` what each step left out of it: a step that
    refuses episodes removes them too, whatever it says of itself. A control is its arm without what one factor's level
    removes, and as many episodes as the arm keeps are drawn of that: all else, expansion too, is the arm's own. Where
    an arm of the study shows that nothing was removed, there is none.
    """
    sizes = {str(arm.recipe.to_json()): kept[arm.name] for arm in arms}
    out = []
    for arm in arms:
        levels, seen = levels_of(study, arm), (left_out or {}).get(arm.name, {})
        for number, (factor, level) in enumerate(zip(study.factors, levels, strict=True)):
            if may_remove(level, left_out=seen):
                whole = _arm(study, (*levels[:number], _without_removing(level, seen), *levels[number + 1 :]))
                if sizes.get(str(whole.recipe.to_json()), math.inf) > kept[arm.name]:
                    out.append(subset_control(arm, whole, factor=factor.name, episodes=kept[arm.name]))
    return out


def _without_removing(level: Level, left_out: Mapping[str, int]) -> Level:
    steps = tuple(step for step in level.recipe.steps if not _removes(step.name, left_out))
    return replace(level, recipe=RecipePatch(level.recipe.sources, steps))


def may_remove(level: Level, *, left_out: Mapping[str, int] | None = None) -> bool:
    """True where a level can leave episodes out: which ones, only the data can tell (`left_out`, by step)."""
    patch = level.recipe
    chooses = patch.checks is not None or patch.selection is not None
    return chooses or any(_removes(step.name, left_out or {}) for step in patch.steps)


def _removes(step: str, left_out: Mapping[str, int]) -> bool:
    leaf = shelf("steps")[step]
    return isinstance(leaf, DatasetStepLeaf) or leaf.REMOVES_EPISODES or bool(left_out.get(step))


def subset_control(arm: Arm, whole: Arm, *, factor: str, episodes: int) -> Arm:
    """A random subset of `whole` that is as large as what `arm` keeps, which differs from it in `factor` alone: what is
    left of an effect against it is not due to having less data.
    """
    # What another factor's checks leave out goes first: the subset is drawn of what they keep.
    checks = whole.recipe.checks
    first = () if checks is None else (StepPart("drop_found", vars(checks)),)
    steps = (*whole.recipe.steps, *first, StepPart("take_subset", {"episodes": episodes}))
    recipe = replace(whole.recipe, steps=steps, checks=None)
    drawn = f"random subset of {episodes} as {arm.levels[factor]}"
    shown = ", ".join(f"{name} {drawn if name == factor else level}" for name, level in arm.levels.items())
    return Arm(
        shown,
        dict(arm.levels),
        recipe,
        whole.expansions,
        whole.training,
        control_of=arm.name,
        control_for=factor,
    )


def levels_of(study: Study, arm: Arm) -> tuple[Level, ...]:
    """The levels that an arm is made of, in the order of the factors."""
    return _combination(study, arm.levels)


def steps_of(arm: Arm, study: Study) -> int:
    """Steps of the optimizer: the study's, or what a level says."""
    return int(arm.training.get("steps", study.steps))


def _combination(study: Study, names: Mapping[str, str]) -> tuple[Level, ...]:
    return tuple(next(level for level in factor.levels if level.name == names[factor.name]) for factor in study.factors)


def _combinations(study: Study) -> Iterator[tuple[Level, ...]]:
    factors = study.factors
    if study.design == "one_at_a_time":
        yield tuple(factor.baseline for factor in factors)
        for number, factor in enumerate(factors):
            for level in factor.levels[1:]:
                yield tuple(level if at == number else other.baseline for at, other in enumerate(factors))
    elif study.design == "fractional":
        yield from _fraction(factors)
    else:
        yield from itertools.product(*(factor.levels for factor in factors))


def _fraction(factors: Sequence[Factor]) -> Iterator[tuple[Level, ...]]:
    count = len(factors)
    # Resolution IV: products of an odd number of factors keep every main effect clear of every interaction of two; of
    # k first factors there are 2^(k-1) - k. Three factors have no such fraction: theirs is the product of two.
    first = 2 if count == 3 else next(k for k in range(3, count) if 2 ** (k - 1) - k >= count - k)
    lengths = [first] if count - first == 1 else [length for length in range(first, 2, -1) if length % 2]
    products = [word for length in lengths for word in itertools.combinations(range(first), length)]
    for signs in itertools.product((0, 1), repeat=first):
        # A product of signs -1, +1 is +1 where an even number of them is -1; level 0 is -1.
        rest = [(sum(signs[i] for i in word) + len(word) + 1) % 2 for word in products[: count - first]]
        yield tuple(factor.levels[sign] for factor, sign in zip(factors, (*signs, *rest), strict=True))


def _arm(study: Study, combination: tuple[Level, ...]) -> Arm:
    recipe = study.data
    training: dict[str, Any] = {}
    for level in combination:
        recipe = patched(recipe, level.recipe)
        training |= level.training
    names = {factor.name: level.name for factor, level in zip(study.factors, combination, strict=True)}
    is_baseline = all(level is factor.baseline for factor, level in zip(study.factors, combination, strict=True))
    shown = ", ".join(f"{factor} {level}" for factor, level in names.items())
    return Arm(
        name=f"{shown} ({BASELINE})" if is_baseline else shown,
        levels=names,
        recipe=recipe,
        expansions=tuple(level.expand for level in combination if level.expand is not None),
        training=training,
    )
