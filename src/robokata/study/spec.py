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
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from robokata.core.errors import RecipeRefused
from robokata.core.toml_file import read_toml
from robokata.recipe import Recipe, recipe_from
from robokata.sim.retelling import tellings_from

DESIGNS = ("full", "fractional", "one_at_a_time")
_EXPANSIONS = ("demonstrations", "factors")
_LEVEL_KEYS = ("name", "step", "checks", "selection", "source", "expand", "training", "size")
_KEYS = (
    *("name", "task", "robot", "width", "policy", "steps", "training_seeds", "trials", "seed", "design", "data"),
    *("factor", "picture_px", "control_subsets", "cents_per_hour", "device", "options"),
)


@dataclass(frozen=True)
class ExpandPart:
    """Generated data that a level adds."""

    by: str
    episodes: int
    width: str | None = None
    factors: tuple[str, ...] = ()
    """For `by = "factors"`: NAME or NAME=MAGNITUDE."""
    seed: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    """For `by = "demonstrations"`: how they are told again, as `kata expand --spec` reads it from a file."""
    clean_actions: bool = False
    """For `by = "demonstrations"`: store commands without the noise that moved the arm."""


@dataclass(frozen=True)
class Level:
    """One level of a factor: a fragment of a recipe."""

    name: str
    fragment: Mapping[str, Any] = field(default_factory=dict)
    """`step`, `checks`, `selection`, `source` as a recipe has them."""
    expand: ExpandPart | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the training: `cameras`, `inputs`, `steps`, ..."""
    size: float | None = None
    """Where levels are sizes (demonstrations, rooms): the abscissa of the scaling curve."""


@dataclass(frozen=True)
class Factor:
    """One data choice."""

    name: str
    levels: tuple[Level, ...]
    """The first is the baseline."""

    @property
    def baseline(self) -> Level:
        """The level that the others are compared with."""
        return self.levels[0]


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
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True, default=str).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("data", "factors")}
        levels = [
            {
                "name": f.name,
                "levels": [{**vars(level), "expand": level.expand and vars(level.expand)} for level in f.levels],
            }
            for f in self.factors
        ]
        return {**plain, "options": dict(self.options), "data": self.data.as_json(), "factors": levels}


def read_study(path: Path) -> Study:
    """The study of a TOML file.

    Raises:
        RecipeRefused: it is no TOML, or says what no study can; names file and key.
    """
    return study_from(read_toml(path), where=str(path), folder=str(path.parent))


def study_from(data: Mapping[str, Any], *, where: str = "study", folder: str = "") -> Study:
    """The study of a table as TOML gives it.

    Raises:
        RecipeRefused: an unknown key, a value of the wrong kind, or no factor.
    """
    _only(data, _KEYS, where)
    lacking = [key for key in ("name", "task", "policy", "data") if key not in data]
    if lacking:
        raise RecipeRefused(f"{where}: lacks {', '.join(lacking)}.")
    factors = data.get("factor", [])
    if not isinstance(factors, list) or not factors:
        raise RecipeRefused(f"{where}: asks nothing. Add a [[factor]] with at least two [[factor.level]].")
    if data.get("design", "full") not in DESIGNS:
        raise RecipeRefused(f"{where}: design is {data['design']!r}. It is one of {', '.join(DESIGNS)}.")
    for name, least in (("steps", 1), ("training_seeds", 2), ("trials", 2), ("seed", 0), ("picture_px", 16)):
        value = data.get(name, least)
        if type(value) is not int or value < least:
            extra = " The training seed is the replicate." if name == "training_seeds" else ""
            raise RecipeRefused(
                f"{where}: {name} is {value!r}, and a whole number of at least {least} is needed.{extra}"
            )
    plain = {name: data[name] for name in _KEYS if name in data and name not in ("data", "factor")}
    return Study(
        **plain,
        data=recipe_from(data["data"], where=f"{where}, [data]", folder=folder),
        factors=tuple(_factor(each, f"{where}, [[factor]] {number}") for number, each in enumerate(factors, 1)),
    )


def _plain(level: Level) -> dict[str, Any]:
    return {**vars(level), "expand": None if level.expand is None else vars(level.expand)}


def _factor(data: Any, where: str) -> Factor:
    _only(data, ("name", "level"), where)
    levels = data.get("level", [])
    if not isinstance(data.get("name"), str) or not isinstance(levels, list) or len(levels) < 2:
        raise RecipeRefused(f"{where}: needs a name and at least two [[factor.level]]; the first is the baseline.")
    made = tuple(_level(each, f"{where} ({data['name']}), level {number}") for number, each in enumerate(levels, 1))
    names = [level.name for level in made]
    if len(set(names)) != len(names):
        raise RecipeRefused(f"{where}: two levels have one name ({', '.join(names)}).")
    return Factor(data["name"], made)


def _level(data: Any, where: str) -> Level:
    _only(data, _LEVEL_KEYS, where)
    if not isinstance(data.get("name"), str):
        raise RecipeRefused(f"{where}: needs a name.")
    fragment = {name: data[name] for name in ("step", "checks", "selection", "source") if name in data}
    return Level(
        name=data["name"],
        fragment=fragment,
        expand=_expand(data["expand"], where) if "expand" in data else None,
        training=dict(data.get("training", {})),
        size=None if data.get("size") is None else float(data["size"]),
    )


def _expand(data: Any, where: str) -> ExpandPart:
    _only(data, tuple(ExpandPart.__dataclass_fields__), f"{where}, expand")
    if data.get("by") not in _EXPANSIONS or type(data.get("episodes")) is not int or data["episodes"] < 1:
        ways = " or ".join(_EXPANSIONS)
        raise RecipeRefused(f"{where}, expand: needs by = {ways}, and a number of episodes.")
    part = ExpandPart(**{**data, "factors": tuple(data.get("factors", ()))})
    if type(part.clean_actions) is not bool:
        raise RecipeRefused(f"{where}, expand: clean_actions is {part.clean_actions!r}, and true or false is needed.")
    alone = "factors" if part.by == "demonstrations" else next((n for n in ("spec", "clean_actions") if n in data), "")
    if alone and getattr(part, alone):
        raise RecipeRefused(f"{where}, expand: by = {part.by} knows no {alone}.")
    tellings_from(part.spec, where=f"{where}, expand, spec")
    return part


def _only(data: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(data, Mapping):
        raise RecipeRefused(f"{where}: is {data!r}, and a table is needed.")
    unknown = next((name for name in data if name not in known), None)
    if unknown is not None:
        raise RecipeRefused(f"{where}: knows no {unknown!r}. It may hold: {', '.join(known)}.")
