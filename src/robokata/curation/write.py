"""A recipe's episodes written down, with a receipt that says what made them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robokata.conversion import convert as conversion
from robokata.core.errors import RecipeRefused, WriteRefused
from robokata.core.estimate import Estimate
from robokata.core.selection import Described
from robokata.curation.curate import Curated
from robokata.loading.data_source import DataSource
from robokata.runtime.atomic import replace_json
from robokata.runtime.file_name import file_names
from robokata.statistics.confound import correlation_with_choice


@dataclass(frozen=True)
class Written:
    """What was written, and what a reader must know of the choice."""

    out: str
    format: str
    episodes: int
    candidates: int
    """Episodes that were there to choose from, after all steps."""
    left_out: Mapping[str, int]
    """How many episodes each step, the checks and the curator left out."""
    moved: int
    """Episodes that were moved to the split of their family."""
    length_confound: Estimate
    """Correlation of the final choice with the episodes' length."""
    recipe_hash: str
    selection_hash: str
    receipt: str
    verified: Mapping[str, Any]
    """What was read back and compared before the target appeared."""
    notes: tuple[str, ...] = ()
    """What could not be judged, a sentence each."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**plain, "left_out": dict(self.left_out), "length_confound": self.length_confound.to_json()}


def length_confound(curated: Curated) -> Estimate:
    """Whether the final choice goes with the length of the episodes: every curator's first rival."""
    kept = set(curated.selection.episodes)
    return correlation_with_choice(
        "correlation of the choice with length",
        [row.episode in kept for row in curated.rows],
        _lengths(curated),
    )


def _lengths(curated: Curated) -> list[float]:
    """Seconds of each episode; steps where one of them keeps no times."""
    seconds = [row.duration_s for row in curated.rows if row.duration_s is not None]
    return seconds if len(seconds) == len(curated.rows) else [float(row.steps) for row in curated.rows]


def write_curated(
    curated: Curated,
    out: Path,
    *,
    to: str = "mcap",
    options: Mapping[str, Any] | None = None,
    accept_loss: bool = False,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Written:
    """Write what a recipe makes; the target appears in one rename, the receipt `OUT.receipt.json` beside it.

    Raises:
        RecipeRefused: no episode is left.
        WriteRefused: the target is occupied, the format would lose something, or a source changed meanwhile.
        UnknownName: the format cannot be written.
        DamagedData: an episode cannot be read.
    """
    if not curated.source.keys():
        raise RecipeRefused("no episode is left to write. `left_out` of the recipe says which step took them.")
    for source in curated.source.sources:
        conversion.refuse_target(source, out)
    before = states_of(curated)
    converted = conversion.convert(
        curated.source, out, to, options=options, accept_loss=accept_loss, workers=workers, advance=advance
    )
    if states_of(curated) != before:
        raise WriteRefused(f"{out}: a source changed while it was read. What was written mixes both: remove it.")
    receipt = conversion.receipt_path(out)
    _add(receipt, _told(curated, before))
    return Written(
        out=str(out),
        format=to,
        episodes=len(curated.source.keys()),
        candidates=len(curated.rows),
        left_out=Counter(each.by for each in curated.left_out),
        moved=len(curated.moved),
        length_confound=length_confound(curated),
        recipe_hash=curated.recipe.hash,
        selection_hash=curated.selection.hash,
        receipt=str(receipt),
        verified=converted.verified,
        notes=curated.notes,
    )


def training_sources(curated: Curated, out: Path) -> tuple[DataSource, ...]:
    """What a training reads of a recipe written as MCAP: one part per source and weight, with the recipe's shares.

    Without any weight, every sample counts the same. A source's weight is divided among its episodes by their steps
    and their own weights.

    Raises:
        RecipeRefused: a source has a weight, and none of its episodes is left.
    """
    _refuse_weight_of_nothing(curated)
    # A folder of files calls an episode by its file: `train/0` is `train_0` there.
    names = file_names(curated.source.keys())
    steps = {row.episode: row.steps for row in curated.rows}
    groups: dict[tuple[int, float], list[str]] = {}
    for key, weight in curated.weights.items():
        if not weight:
            continue  # it never comes in training
        groups.setdefault((curated.source.lines[key].source, weight), []).append(key)
    is_plain = all(part.weight is None for part in curated.recipe.sources) and {w for _, w in groups} <= {1.0}
    told = sorted(groups.items())
    if is_plain:
        return (DataSource(str(out), episodes=tuple(names[key] for _, keys in told for key in keys), format="mcap"),)
    mass = {group: sum(steps[key] for key in keys) * group[1] for group, keys in told}
    specs = []
    for (source, weight), keys in told:
        whole = sum(size for (other, _), size in mass.items() if other == source)
        wanted = curated.recipe.sources[source].weight
        share = whole if wanted is None else wanted
        specs.append(
            DataSource(
                str(out),
                episodes=tuple(names[key] for key in keys),
                weight=share * mass[source, weight] / whole,
                format="mcap",
            )
        )
    return tuple(specs)


def _refuse_weight_of_nothing(curated: Curated) -> None:
    left = {curated.source.lines[key].source for key, weight in curated.weights.items() if weight}
    for number, part in enumerate(curated.recipe.sources):
        if number not in left and len(curated.recipe.sources) > 1:
            weight = "" if part.weight is None else f" Its weight of {part.weight:g} would be given to nothing."
            raise RecipeRefused(
                f"source {number + 1} ({part.path}): none of its episodes is left to learn from.{weight} The recipe's "
                "receipt (left_out) says what took them; take the source out, or keep some."
            )


def states_of(curated: Curated) -> list[str]:
    """SHA-256 over path, size and time of change of every file of each source; empty for episodes in memory."""
    return [_state(Path(source.path)) for source in curated.source.sources]


def _state(path: Path) -> str:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file.relative_to(path.parent)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest() if files else ""


def _told(curated: Curated, states: list[str]) -> dict[str, Any]:
    rows = curated.kept_rows
    return {
        "recipe": curated.recipe.to_json(),
        "recipe_hash": curated.recipe.hash,
        "inputs": [
            {"path": part.path, "format": source.format, "state": state}
            for part, source, state in zip(curated.source.parts, curated.source.sources, states, strict=True)
        ],
        "selection": curated.selection.to_json(),
        "left_out": [each._asdict() for each in curated.left_out],
        "moved": dict(curated.moved),
        "notes": list(curated.notes),
        "length_confound": length_confound(curated).to_json(),
        "kept_duration_s": _total_s(rows),
        "weights": curated.weights,
    }


def _total_s(rows: Sequence[Described]) -> float | None:
    seconds = [row.duration_s for row in rows if row.duration_s is not None]
    return float(np.sum(seconds)) if len(seconds) == len(rows) else None


def _add(receipt: Path, more: Mapping[str, Any]) -> None:
    told = {**json.loads(receipt.read_text(encoding="utf-8")), **more}
    replace_json(receipt, told, consequence="The episodes are complete; only the receipt is not.")
