"""What a study asks: factors of the data, each with levels, on one task with one policy.

```toml
name = "Does cleaning pay?"
task = "stack"                  # robot and width are optional
policy = "bc_mlp"
steps = 2000                    # of the optimizer, the same for every arm: equal compute
training_seeds = 3              # the replicate; fewer than 2 are refused, 3 is the least that we would publish
trials = 100                    # per training seed, on the same resets for every arm
design = "full"                 # full, fractional, one_at_a_time

[data]                          # a recipe: what every arm begins with
[[data.source]]
path = "demonstrations"

[[factor]]
name = "cleaning"
[[factor.level]]
name = "dirty"                  # the first level is the baseline
[[factor.level]]
name = "cleaned"
checks = { level = "error" }    # a fragment: step, checks, selection, source, expand, training
```
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from robokata.core.contracts import TrainableLeaf
from robokata.core.errors import RecipeRefused, TrainingRefused, UnknownName
from robokata.core.leaf_kinds import trainable_policies, trainable_policy
from robokata.core.shelf import shelf
from robokata.curation.recipe import Recipe, recipe_from
from robokata.learn.device import why_no_name
from robokata.learn.trainable import Habits
from robokata.runtime.schema import read_toml
from robokata.sim.demonstration import scene_of
from robokata.studies.levels import (
    ExpandPart,
    Factor,
    Level,
    factor_from,
    is_number,
    is_text,
    refuse_absent_checks,
    refuse_no_table,
    refuse_seed,
    refuse_unknown,
    refuse_unless,
    refuse_width,
)
from robokata.training.data import options_for

__all__ = ["DESIGNS", "ExpandPart", "Factor", "Level", "Study", "read_study", "study_from"]

DESIGNS = ("full", "fractional", "one_at_a_time")
_KEYS = (
    *("name", "task", "robot", "width", "policy", "steps", "training_seeds", "trials", "seed", "design", "data"),
    *("factor", "picture_px", "control_subsets", "cents_per_hour", "device", "options"),
)
_COUNTS = {"steps": 1, "training_seeds": 2, "trials": 2}
"""The least of each."""
_LARGEST_PICTURE_PX = 4096
"""As of a training's pictures."""


@dataclass(frozen=True)
class Study:
    """A whole study."""

    name: str
    task: str
    policy: str
    data: Recipe
    factors: tuple[Factor, ...]
    robot: str | None = None
    width: str = "D0"
    steps: int = 2000
    training_seeds: int = 3
    trials: int = 100
    seed: int = 0
    design: str = "full"
    picture_px: int = 128
    control_subsets: bool = True
    """A random subset of equal size for every level that removes data. Off only for a first look."""
    cents_per_hour: float | None = None
    device: str = "cpu"
    """Where policies are trained: cpu, cuda, cuda:N or auto. Trials run on the CPU beside the simulator."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the policy."""

    @cached_property
    def hash(self) -> str:
        """Content hash of what the study asks."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True, default=str).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("data", "factors")}
        levels = [
            {
                "name": f.name,
                "levels": [asdict(level) for level in f.levels],
            }
            for f in self.factors
        ]
        return {**plain, "options": dict(self.options), "data": self.data.to_json(), "factors": levels}


def read_study(path: Path) -> Study:
    """The study of a TOML file.

    Raises:
        RecipeRefused: it is no TOML, or says what no study can; names file and key.
    """
    return study_from(read_toml(path), where=str(path), folder=str(path.parent))


def study_from(data: Mapping[str, Any], *, where: str = "study", folder: str = "") -> Study:
    """The study of a table as TOML gives it.

    Raises:
        RecipeRefused: an unknown key, name or value, no factor, or levels that contradict each other; names the place.
    """
    refuse_unknown(data, _KEYS, where)
    lacking = [key for key in ("name", "task", "policy", "data") if key not in data]
    if lacking:
        raise RecipeRefused(f"{where}: lacks {', '.join(lacking)}.")
    factors = data.get("factor", [])
    if not isinstance(factors, list) or not factors:
        raise RecipeRefused(f"{where}: asks nothing. Add a [[factor]] with at least two [[factor.level]].")
    _refuse_wrong(data, where)
    _refuse_nobody(data, where)
    recipe = recipe_from(data["data"], where=f"{where}, [data]", folder=folder)
    refuse_absent_checks(recipe, where=f"{where}, [data]")
    study = Study(
        **{name: data[name] for name in _KEYS if name in data and name not in ("data", "factor")},
        data=recipe,
        factors=tuple(
            factor_from(each, where=f"{where}, [[factor]] {number}") for number, each in enumerate(factors, 1)
        ),
    )
    _refuse_arms(study, where)
    return study


def _refuse_wrong(data: Mapping[str, Any], where: str) -> None:
    """Numbers, texts and words of a closed list."""
    refuse_unless(is_text(data["name"]), where, "name", data["name"], "a text")
    if data.get("design", "full") not in DESIGNS:
        raise RecipeRefused(f"{where}: design is {data['design']!r}. It is one of {', '.join(DESIGNS)}.")
    for name, least in _COUNTS.items():
        value = data.get(name, least)
        if type(value) is not int or value < least:
            extra = " The training seed is the replicate." if name == "training_seeds" else ""
            raise RecipeRefused(
                f"{where}: {name} is {value!r}, and a whole number of at least {least} is needed.{extra}"
            )
    refuse_seed(data.get("seed", 0), where)
    px = data.get("picture_px", 128)
    is_right = type(px) is int and 16 <= px <= _LARGEST_PICTURE_PX
    refuse_unless(is_right, where, "picture_px", px, f"a whole number from 16 to {_LARGEST_PICTURE_PX}")
    refuse_width(data.get("width", "D0"), where)
    controls = data.get("control_subsets", True)
    refuse_unless(type(controls) is bool, where, "control_subsets", controls, "true or false")
    cents = data.get("cents_per_hour")
    is_right = cents is None or (is_number(cents) and cents >= 0)
    refuse_unless(is_right, where, "cents_per_hour", cents, "a number of at least 0")
    if (why := why_no_name(data.get("device", "cpu"))) is not None:
        raise RecipeRefused(f"{where}: {why}")


def _refuse_nobody(data: Mapping[str, Any], where: str) -> None:
    """Names of files: task, robot and policy, and what the policy may be told."""
    task, robot, policy, options = data["task"], data.get("robot"), data["policy"], data.get("options", {})
    refuse_unless(is_text(task), where, "task", task, f"a text, one of {', '.join(shelf('tasks').names())},")
    names = ", ".join(shelf("robots").names())
    refuse_unless(robot is None or is_text(robot), where, "robot", robot, f"a text, one of {names},")
    known = trainable_policies()
    refuse_unless(is_text(policy), where, "policy", policy, f"a text, one of {', '.join(known)},")
    refuse_no_table(options, f"{where}, options")
    try:
        scene_of(task, robot)
        leaf = trainable_policy(policy)
    except UnknownName as unknown:
        raise RecipeRefused(f"{where}: {unknown}") from None
    if not isinstance(leaf, TrainableLeaf):
        return  # Somebody else's code takes options that only it knows.
    habits: Habits = leaf.HABITS
    try:
        options_for(habits, options)
    except (UnknownName, TrainingRefused) as refused:
        raise RecipeRefused(f"{where}, options: {refused}") from None
    for name, value in options.items():
        is_right = isinstance(value, str) or is_number(value) or isinstance(habits.options[name], bool)
        refuse_unless(is_right, f"{where}, options", name, value, "a text or a finite number")


def _refuse_arms(study: Study, where: str) -> None:
    """What no arm can be made of, although each level by itself can be obeyed."""
    names = [factor.name for factor in study.factors]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeRefused(f"{where}: two factors have the name {twice!r}. Give each its own.")
    if study.design == "fractional" and (len(names) < 3 or any(len(factor.levels) != 2 for factor in study.factors)):
        raise RecipeRefused(
            f"{where}: a fractional design needs at least three factors of two levels each; use design = full."
        )
    told = [(factor, level) for factor in study.factors for level in factor.levels]
    in_data = [name for name in ("checks", "selection") if getattr(study.data, name) is not None]
    for factor, level in told:
        said = next((name for name in in_data if getattr(level.recipe, name) is not None), None)
        if said is not None:
            raise RecipeRefused(f"{where}: {_called(factor, level)} says [{said}], and so does [data]. Leave one out.")
    for (factor, level), (other, beside) in itertools.combinations(told, 2):
        is_met = study.design != "one_at_a_time" or level is factor.baseline or beside is other.baseline
        both = _contradicted(level, beside)
        if factor is not other and is_met and both is not None:
            raise RecipeRefused(
                f"{where}: {_called(factor, level)} and {_called(other, beside)} are in one arm and both say {both}. "
                "Let one factor say it."
            )


def _contradicted(level: Level, other: Level) -> str | None:
    both = ((name, getattr(level.recipe, name), getattr(other.recipe, name)) for name in ("checks", "selection"))
    parts = (f"[{name}]" for name, one, two in both if one is not None and two is not None)
    rest = (f"training.{n}" for n in level.training if level.training[n] != other.training.get(n, level.training[n]))
    return next(itertools.chain(parts, rest), None)


def _called(factor: Factor, level: Level) -> str:
    return f"factor {factor.name}, level {level.name}"
