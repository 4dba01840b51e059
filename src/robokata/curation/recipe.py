"""What a dataset is made of: sources, steps, what checks may find, a choice of episodes, a seed.

A TOML file and a Python object that say the same:

```toml
seed = 7
families = "refuse"                 # or "move": a family that would lie in two splits is moved as a whole

splits = { train = 0.9, val = 0.1 } # drawn anew, each family whole; left out: as in the sources

[[source]]
path = "stack"                      # relative to this file
where = "success"                   # SQL on the table of episodes
split = "train"                     # left out: every split, each episode in its own
rate_hz = 10                        # of the steps, where the source keeps no times; or ["STREAM=10", ...]
weight = 2.0                        # share of the training samples, relative to other sources

[[step]]
name = "plant_defect"               # a step, and its options
check = "stuck_encoder"
share = 0.3                         # of the episodes, drawn by the seed; every step may be given one

[checks]                            # after the steps: what has findings is left out
level = "error"

[selection]                         # last
curator = "diversity"
keep = 50                           # a number, or a share such as 0.5
```
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from robokata.core.contracts import DatasetStepLeaf, StepLeaf
from robokata.core.errors import RecipeRefused, UnknownName
from robokata.core.shelf import shelf
from robokata.loading.data_source import DataSource, read_sources
from robokata.runtime.options import Option, fitted, options_of, told
from robokata.runtime.schema import read_toml, require_keys, require_table

FAMILIES = ("refuse", "move")


@dataclass(frozen=True)
class StepPart:
    """One step with all its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    share: float | None = None
    """Share of the episodes that it is applied to, drawn by the seed; None: all."""

    def __post_init__(self) -> None:
        # Defaults are filled in: written in Python or in TOML, the same step has the same hash.
        known = step_options(shelf("steps")[self.name])
        object.__setattr__(self, "options", fitted(self.options, known, where=f"step {self.name}"))


@dataclass(frozen=True)
class ChecksPart:
    """What checks may not find: such episodes are left out, after all steps."""

    level: str = "error"
    checks: tuple[str, ...] = ()
    suite: str = ""


@dataclass(frozen=True)
class ChoicePart:
    """Which episodes stay in the end: by a curator, or as a file says."""

    curator: str | None = None
    keep: int | float | None = None
    """A whole number of episodes, or a share between 0 and 1."""
    options: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    """A selection that was kept; it is refused on other data than it was made from."""

    def __post_init__(self) -> None:
        if self.curator is not None:
            leaf = shelf("curators")[self.curator]
            known = options_of(leaf.describe, leaf.choose)
            object.__setattr__(self, "options", fitted(self.options, known, where=f"curator {self.curator}"))

    def count_of(self, episodes: int) -> int:
        """How many episodes of so many are kept.

        Raises:
            RecipeRefused: more are asked for than there are.
        """
        count = round(self.keep * episodes) if isinstance(self.keep, float) else int(self.keep or 0)
        if count > episodes:
            raise RecipeRefused(f"keep is {self.keep}, and only {episodes} episodes are there to choose from.")
        return count


@dataclass(frozen=True)
class Recipe:
    """What a dataset is made of. Equal recipes have equal hashes, whatever file they come from."""

    sources: tuple[DataSource, ...]
    steps: tuple[StepPart, ...] = ()
    checks: ChecksPart | None = None
    selection: ChoicePart | None = None
    families: str = "refuse"
    splits: Mapping[str, float] = field(default_factory=dict)
    """Split -> its share; families are drawn whole. Empty: the splits are the sources' own."""
    seed: int = 0
    folder: str = field(default="", compare=False)
    """Where relative paths begin: the folder of its file; not part of what it says."""

    @cached_property
    def hash(self) -> str:
        """64 hexadecimal digits that depend on nothing but what the recipe says, every default included."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def place_of(self, path: str) -> str:
        """A path of the recipe, as seen from here."""
        is_elsewhere = "://" in path or not self.folder
        return path if is_elsewhere else str(Path(self.folder) / path)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; `recipe_from` takes them back."""
        steps: list[dict[str, Any]] = [
            {"name": s.name, **({} if s.share is None else {"share": s.share}), **_plain(s.options)} for s in self.steps
        ]
        out: dict[str, Any] = {"seed": self.seed, "families": self.families}
        out |= {"splits": dict(self.splits)} if self.splits else {}
        # Empty fields are left out: a recipe that does not use them says the same, and has the same hash.
        out["source"] = [{n: v for n, v in _plain(vars(s)).items() if v not in ([], {})} for s in self.sources]
        out |= {"step": steps} if steps else {}
        out |= {"checks": _plain(vars(self.checks))} if self.checks else {}
        if self.selection:
            choice = {**vars(self.selection), "options": None}
            out["selection"] = {**_plain(choice), **_plain(self.selection.options)}
        return out

    def as_toml(self) -> str:
        """The recipe as a TOML file."""
        lines = [f"seed = {self.seed}", f'families = "{self.families}"']
        for name, value in self.to_json().items():
            if name in ("source", "step"):
                for entry in value:
                    lines += ["", f"[[{name}]]", *_lines(entry)]
            elif isinstance(value, dict):
                lines += ["", f"[{name}]", *_lines(value)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class RecipePatch:
    """What is added to a recipe: sources and steps after its own, checks and a selection in the place of its own."""

    sources: tuple[DataSource, ...] = ()
    steps: tuple[StepPart, ...] = ()
    checks: ChecksPart | None = None
    selection: ChoicePart | None = None


def patched(recipe: Recipe, patch: RecipePatch) -> Recipe:
    """The recipe with a patch."""
    return replace(
        recipe,
        sources=(*recipe.sources, *patch.sources),
        steps=(*recipe.steps, *patch.steps),
        checks=patch.checks or recipe.checks,
        selection=patch.selection or recipe.selection,
    )


def patch_from(data: Mapping[str, Any], *, where: str) -> RecipePatch:
    """The patch of a table with any of `source`, `step`, `checks`, `selection`; one source or step needs no list.

    Raises:
        RecipeRefused: a value that a recipe does not take; names the place.
    """
    sources, steps = _listed(data.get("source", [])), _listed(data.get("step", []))
    return RecipePatch(
        sources=read_sources(sources, where=where) if sources else (),
        steps=tuple(step_from(each, where=f"{where}, [[step]] {n}") for n, each in enumerate(steps, 1)),
        checks=_checks(data["checks"], f"{where}, [checks]") if "checks" in data else None,
        selection=choice_from(data["selection"], where=f"{where}, [selection]") if "selection" in data else None,
    )


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file.

    Raises:
        RecipeRefused: it is not TOML, or says what no recipe can; names file and key.
    """
    return recipe_from(read_toml(path), where=str(path), folder=str(path.parent))


def recipe_from(data: Mapping[str, Any], *, where: str = "recipe", folder: str = "") -> Recipe:
    """The recipe of a table as TOML gives it.

    Raises:
        RecipeRefused: an unknown key, a value of the wrong kind, or no source; names the place.
    """
    require_keys(data, ("source", "step", "checks", "selection", "families", "splits", "seed"), where=where)
    steps = data.get("step", [])
    if not isinstance(steps, list):
        raise RecipeRefused(f"{where}: steps are written as [[step]], one table each.")
    families, seed = data.get("families", "refuse"), data.get("seed", 0)
    if families not in FAMILIES:
        raise RecipeRefused(f"{where}: families must be one of {', '.join(FAMILIES)}, got {families!r}.")
    if type(seed) is not int or seed < 0:
        raise RecipeRefused(f"{where}: seed must be an integer >= 0, got {seed!r}.")
    return Recipe(
        sources=read_sources(data.get("source"), where=where),
        steps=tuple(step_from(each, where=f"{where}, [[step]] {n}") for n, each in enumerate(steps, 1)),
        checks=_checks(data["checks"], f"{where}, [checks]") if "checks" in data else None,
        selection=choice_from(data["selection"], where=f"{where}, [selection]") if "selection" in data else None,
        families=families,
        splits=_splits(data.get("splits", {}), f"{where}, splits"),
        seed=seed,
        folder=folder,
    )


def step_from(data: Any, *, where: str) -> StepPart:
    """One step of a table: `name`, `share`, and the step's own options, with all defaults filled in.

    Raises:
        RecipeRefused: there is no such step or option, or a value of the wrong kind.
    """
    require_table(data, where=where)
    options = {name: value for name, value in data.items() if name != "name"}
    name, share = data.get("name"), None
    leaf = _leaf("steps", name, where)
    known = step_options(leaf)
    if "share" not in known:
        share = options.pop("share", None)
    if share is not None and not (type(share) in (int, float) and 0 <= share <= 1):
        raise RecipeRefused(f"{where}: share must be a number from 0 to 1, got {share!r}.")
    if share is not None and not isinstance(leaf, StepLeaf):
        raise RecipeRefused(f"{where}: {name} looks at all episodes at once and takes no share.")
    return StepPart(str(name), fitted(options, known, where=f"{where} ({name})"), share)


def choice_from(data: Any, *, where: str) -> ChoicePart:
    """A selection of a table: `curator`, `keep` and the curator's own options, or a `file`.

    Raises:
        RecipeRefused: neither or both, no such curator or option, or a value of the wrong kind.
    """
    require_table(data, where=where)
    if "file" in data:
        require_keys(data, ("file",), where=where)
        return ChoicePart(file=str(data["file"]))
    curator, keep = data.get("curator"), data.get("keep")
    leaf = _leaf("curators", curator, where)
    is_count = type(keep) is int and keep >= 1
    if not is_count and not (type(keep) is float and 0 < keep <= 1):
        raise RecipeRefused(f"{where}: keep must be a number of episodes or a share such as 0.5, got {keep!r}.")
    options = {name: value for name, value in data.items() if name not in ("curator", "keep")}
    known = options_of(leaf.describe, leaf.choose)
    return ChoicePart(str(curator), keep, fitted(options, known, where=f"{where} ({curator})"))


def step_options(leaf: StepLeaf | DatasetStepLeaf) -> dict[str, Option]:
    """What a step may be told."""
    return options_of(leaf.step) if isinstance(leaf, StepLeaf) else options_of(leaf.describe, leaf.choose)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _splits(data: Any, where: str) -> dict[str, float]:
    require_table(data, where=where)
    is_right = all(type(share) in (int, float) and 0 <= share <= 1 for share in data.values())
    if data and (not is_right or abs(sum(data.values()) - 1) > 1e-9):
        raise RecipeRefused(f"{where} must be shares that add up to 1, got {dict(data)!r}.")
    return {str(name): float(share) for name, share in data.items()}


def _checks(data: Any, where: str) -> ChecksPart:
    require_table(data, where=where)
    options = fitted(data, step_options(shelf("steps")["drop_found"]), where=where)
    return ChecksPart(options["level"], options["checks"], options["suite"])


def _leaf(folder: str, name: Any, where: str) -> Any:
    word = folder.removesuffix("s")
    key = "name" if folder == "steps" else "curator"
    if not isinstance(name, str):
        raise RecipeRefused(f"{where}: {key} must be one of {', '.join(shelf(folder).names())}, got {name!r}.")
    try:
        return shelf(folder)[name]
    except UnknownName as error:
        raise RecipeRefused(f"{where}: {error} See docs/curating.md for every {word}.") from None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What TOML can hold: tuples as lists, and nothing for None."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _lines(table: Mapping[str, Any]) -> list[str]:
    # JSON's texts, numbers, lists and true/false are TOML's too.
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]


def recipe_of_words(path: str, words: Mapping[str, Any]) -> Recipe:
    """The recipe that a command line says: `by`, `keep`, `step`, `drop`, `where`, `rate_hz`, `families`, `split`,
    `seed`.

    Each may be None. `split` is a split to take, or shares (`train=0.9,val=0.1`) to draw anew.

    Raises:
        RecipeRefused: a word cannot be obeyed.
    """
    is_drawn = words["split"] is not None and "=" in words["split"]
    split = None if is_drawn else words["split"]
    source = {"path": path, "where": words["where"], "split": split, "rate_hz": words.get("rate_hz")}
    data: dict[str, Any] = {"source": [_plain(source)]}
    data |= _plain({"families": words["families"], "seed": words["seed"]})
    if is_drawn:
        data["splits"] = told(f"split {words['split'].replace(',', ' ')}", where="--split")[1]
    steps = [told(text, where="--step") for text in words["step"] or ()]
    data |= {"step": [{**options, "name": name} for name, options in steps]} if steps else {}
    data |= {"checks": {"level": words["drop"]}} if words["drop"] is not None else {}
    if (words["by"] is None) != (words["keep"] is None):
        raise RecipeRefused("--by and --keep go together: which curator, and how many episodes.")
    if words["by"] is not None:
        name, options = told(words["by"], where="--by")
        data["selection"] = {**options, "curator": name, "keep": _number(words["keep"])}
    return recipe_from(data, where="command line")


def _number(word: str) -> int | float | str:
    try:
        return int(word) if word.isdecimal() else float(word)
    except ValueError:
        return word
