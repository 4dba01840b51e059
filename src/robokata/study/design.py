"""Which combinations of levels a study runs: all, a fraction, or one factor at a time.

Fractions of two-level designs after Box and Hunter, Technometrics 3 (1961) 311: each further factor is the product of
some of the first ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robokata.core.errors import RecipeRefused
from robokata.recipe import Recipe, recipe_from
from robokata.study.spec import ExpandPart, Factor, Level, Study

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

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "name": self.name,
            "levels": dict(self.levels),
            "recipe": self.recipe.as_json(),
            "expansions": [vars(part) for part in self.expansions],
            "training": dict(self.training),
            "control_of": self.control_of,
        }


def arms_of(study: Study) -> list[Arm]:
    """The arms of a study, the baseline first.

    Raises:
        RecipeRefused: a fraction of factors that do not have two levels, or fragments that contradict each other.
    """
    return [_arm(study, combination) for combination in _combinations(study)]


def subset_control(arm: Arm, baseline: Arm, *, episodes: int) -> Arm:
    """A random subset of the baseline's data that is as large as what an arm keeps: what is left of an effect against
    it is not due to having less data.
    """
    data = baseline.recipe.as_json()
    data["step"] = [*data.get("step", []), {"name": "take_subset", "episodes": episodes}]
    recipe = recipe_from(data, where=f"control of {arm.name}", folder=baseline.recipe.folder)
    name = f"random subset of {episodes}, as {arm.name}"
    return Arm(name, dict(arm.levels), recipe, arm.expansions, baseline.training, control_of=arm.name)


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
    if any(len(factor.levels) != 2 for factor in factors) or len(factors) < 3:
        raise RecipeRefused("a fractional design needs at least three factors of two levels each; use design = full.")
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
    data = study.data.as_json()
    training: dict[str, Any] = {}
    for factor, level in zip(study.factors, combination, strict=True):
        fragment = dict(level.fragment)
        data["step"] = [*data.get("step", []), *_listed(fragment.pop("step", []))]
        data["source"] = [*data["source"], *_listed(fragment.pop("source", []))]
        for name, value in fragment.items():
            if name in data:
                raise RecipeRefused(
                    f"factor {factor.name}, level {level.name}: [{name}] is said already, by the data or another level."
                )
            data[name] = value
        training |= level.training
    names = {factor.name: level.name for factor, level in zip(study.factors, combination, strict=True)}
    is_baseline = all(level is factor.baseline for factor, level in zip(study.factors, combination, strict=True))
    shown = ", ".join(f"{factor} {level}" for factor, level in names.items())
    return Arm(
        name=f"{shown} ({BASELINE})" if is_baseline else shown,
        levels=names,
        recipe=recipe_from(data, where=f"arm {shown}", folder=study.data.folder),
        expansions=tuple(level.expand for level in combination if level.expand is not None),
        training=training,
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
