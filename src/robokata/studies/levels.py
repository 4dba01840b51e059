"""What a factor may be set to: levels of a study as its file gives them, each refused where no arm could obey it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from robokata.core.errors import RecipeRefused, SuiteRefused, UnknownName
from robokata.core.finding import Level as Severity
from robokata.core.shelf import shelf
from robokata.core.suite import read_suite
from robokata.core.world import Width
from robokata.curation.recipe import Recipe, RecipePatch, patch_from
from robokata.expansion.expand import complete_options
from robokata.learn.training_spec import TrainingSpec, read_window

LARGEST_SEED = 2**32 - 1
"""Seeds of single steps are products of it with 1e9, and torch takes 64 bits."""
_RECIPE = ("step", "checks", "selection", "source")
_LEVEL_KEYS = ("name", *_RECIPE, "expand", "training", "size")
# The data are the arm's, and the policy's options the study's.
_TRAINING = ("steps", *(each.name for each in fields(TrainingSpec) if each.name not in ("sources", "options")))


@dataclass(frozen=True)
class ExpandPart:
    """Generated data that a level adds."""

    by: str
    """An expander."""
    episodes: int
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the expander, every default filled in."""


@dataclass(frozen=True)
class Level:
    """One level of a factor: what it adds to the recipe, to the data and to the training of its arms."""

    name: str
    recipe: RecipePatch = field(default_factory=RecipePatch)
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


def factor_from(data: Any, *, where: str) -> Factor:
    """A factor of a table with `name` and `level`.

    Raises:
        RecipeRefused: it has no two levels with different names, or one that no arm can obey; names the place.
    """
    refuse_unknown(data, ("name", "level"), where)
    levels = data.get("level", [])
    if "name" not in data or not isinstance(levels, list) or len(levels) < 2:
        raise RecipeRefused(f"{where}: needs a name and at least two [[factor.level]]; the first is the baseline.")
    refuse_unless(is_text(data["name"]), where, "name", data["name"], "a text")
    made = tuple(_level(each, f"{where} ({data['name']}), level {number}") for number, each in enumerate(levels, 1))
    names = [level.name for level in made]
    if len(set(names)) != len(names):
        raise RecipeRefused(f"{where}: two levels have one name ({', '.join(names)}).")
    return Factor(data["name"], made)


def refuse_absent_checks(recipe: Recipe | RecipePatch, *, where: str) -> None:
    """Say which level, check or suite file of a recipe does not exist: a recipe is told so by its first episode.

    Raises:
        RecipeRefused: there is none of this name.
    """
    if recipe.checks is not None:
        _checks(vars(recipe.checks), f"{where}, checks")
    for number, step in enumerate(recipe.steps, 1):
        place = f"{where}, step {number} ({step.name})"
        # Options that are called so hold names of checks, whatever the step is.
        if "checks" in step.options:
            _checks(step.options, place)
        if "check" in step.options:
            _known_check(step.options["check"], place)


def refuse_unknown(data: Any, known: Sequence[str], where: str) -> None:
    """Say which key of a table is none.

    Raises:
        RecipeRefused: it is no table, or holds another key.
    """
    refuse_no_table(data, where)
    unknown = next((name for name in data if name not in known), None)
    if unknown is not None:
        raise RecipeRefused(f"{where}: knows no {unknown!r}. It may hold: {', '.join(known)}.")


def refuse_no_table(data: Any, where: str) -> None:
    """Say that a table is needed.

    Raises:
        RecipeRefused: it is none.
    """
    if not isinstance(data, Mapping):
        raise RecipeRefused(f"{where}: is {data!r}, and a table is needed.")


def refuse_unless(is_right: bool, where: str, name: str, value: Any, wanted: str) -> None:
    """Say what a value is, and what is needed.

    Raises:
        RecipeRefused: it is not right.
    """
    if not is_right:
        raise RecipeRefused(f"{where}: {name} is {value!r}, and {wanted} is needed.")


def refuse_width(value: Any, where: str) -> None:
    """Say how wide resets may lie.

    Raises:
        RecipeRefused: they cannot lie that wide.
    """
    if value not in list(Width):
        raise RecipeRefused(f"{where}: width is {value!r}. It is one of {', '.join(Width)}.")


def refuse_seed(value: Any, where: str) -> None:
    """Say what a seed may be.

    Raises:
        RecipeRefused: it is none.
    """
    is_right = type(value) is int and 0 <= value <= LARGEST_SEED
    refuse_unless(is_right, where, "seed", value, f"a whole number of at least 0 and at most {LARGEST_SEED}")


def is_text(value: Any) -> bool:
    """True for a text that says something."""
    return isinstance(value, str) and bool(value.strip())


def is_number(value: Any) -> bool:
    """True for a finite number; true and false are none."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _level(data: Any, where: str) -> Level:
    refuse_unknown(data, _LEVEL_KEYS, where)
    if "name" not in data:
        raise RecipeRefused(f"{where}: needs a name.")
    refuse_unless(is_text(data["name"]), where, "name", data["name"], "a text")
    size = data.get("size")
    # The curve's abscissa is logarithmic.
    refuse_unless(size is None or (is_number(size) and size > 0), where, "size", size, "a number above 0")
    return Level(
        name=data["name"],
        recipe=_patch({name: data[name] for name in _RECIPE if name in data}, where),
        expand=_expand(data["expand"], f"{where}, expand") if "expand" in data else None,
        training=_training(data.get("training", {}), f"{where}, training"),
        size=None if size is None else float(size),
    )


def _patch(data: Mapping[str, Any], where: str) -> RecipePatch:
    patch = patch_from(data, where=where)
    refuse_absent_checks(patch, where=where)
    return patch


def _training(data: Any, where: str) -> dict[str, Any]:
    """Fields of the training that are given, as it takes them."""
    refuse_unknown(data, _TRAINING, where)
    window = {name: value for name, value in data.items() if name != "steps"}
    given = read_window(window, where=where, refused=RecipeRefused)
    if "steps" not in data:
        return given
    is_right = type(data["steps"]) is int and data["steps"] >= 1
    refuse_unless(is_right, where, "steps", data["steps"], "a whole number of at least 1")
    return {"steps": data["steps"], **given}


def _expand(data: Any, where: str) -> ExpandPart:
    refuse_no_table(data, where)
    by, episodes, seed = data.get("by"), data.get("episodes"), data.get("seed", 0)
    names = shelf("expanders").names()
    if by not in names:
        raise RecipeRefused(f"{where}: by is {by!r}. It is one of {', '.join(names)}.")
    is_count = type(episodes) is int and episodes >= 1
    refuse_unless(is_count, where, "episodes", episodes, "a whole number of at least 1")
    refuse_seed(seed, where)
    options = {name: value for name, value in data.items() if name not in ("by", "episodes", "seed")}
    return ExpandPart(by, episodes, seed, complete_options(by, options, where=where))


def _checks(options: Mapping[str, Any], where: str) -> None:
    if options.get("level", Severity.ERROR) not in list(Severity):
        raise RecipeRefused(f"{where}: level is {options['level']!r}. It is one of {', '.join(Severity)}.")
    for name in options["checks"]:
        _known_check(name, where)
    if options.get("suite"):
        try:
            read_suite(Path(options["suite"]))
        except SuiteRefused as refused:
            raise RecipeRefused(f"{where}, suite: {refused}") from None


def _known_check(name: str, where: str) -> None:
    if name not in shelf("checks"):
        raise RecipeRefused(f"{where}: {UnknownName('check', name, shelf('checks').names())}")
