"""A recipe carried out: first which episodes, then, when somebody looks, what is in them.

The plan runs each step's dropping, refusing and expanding once; an episode is made from its sources when it is opened,
here or in a worker, and comes out the same.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from robokata.core.ancestry import name_of
from robokata.core.contracts import DatasetStepLeaf
from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import (
    DamagedData,
    LeafRefused,
    MissingPart,
    RateRefused,
    RecipeRefused,
    StepRefused,
    SuiteRefused,
    UnknownName,
)
from robokata.core.leaf_kinds import dataset_step, episode_step, refuse_silent_removal
from robokata.core.lineage import divided_by_family, moves_that_mend, refuse_torn
from robokata.core.selection import Described, Selection, read_selection, selection_of
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList, Facts, Source, row_of
from robokata.curation.recipe import ChoicePart, Recipe, StepPart
from robokata.loading.data_source import DataSource
from robokata.runtime.engine import Crew, map_episodes, worker_count
from robokata.runtime.episode_filter import choose_episodes, mixture_id
from robokata.runtime.options import takes

Result = TypeVar("Result")
_OURS = (RecipeRefused, RateRefused, SuiteRefused, UnknownName, MissingPart, LeafRefused)
"""What is wrong with the recipe, and not with one episode."""
_AGAIN = 1_000_003
"""A step that comes twice draws twice: the n-th time with seed + n * this prime."""


class Stage(NamedTuple):
    """A step that changes episodes, as it is applied."""

    name: str
    options: Mapping[str, Any]


class Line(NamedTuple):
    """One episode of the plan: where it comes from, and which outputs of which stages lead to it."""

    key: str
    source: int
    source_key: str
    outputs: tuple[int | None, ...] = ()
    """Number of the output of each stage; None: the stage is not applied."""
    split: str | None = None
    """The split that its family was moved to, None where it was not."""


class LeftOut(NamedTuple):
    """An episode that a recipe leaves out."""

    episode: str
    by: str
    """Name of the step, `checks`, the curator, or `damaged`."""
    reason: str


@dataclass(frozen=True)
class RecipeSource:
    """The episodes of a recipe as a Source: keys are known, episodes are made when they are opened."""

    parts: tuple[DataSource, ...]
    """With paths as seen from here."""
    stages: tuple[Stage, ...]
    lines: Mapping[str, Line]
    given: tuple[Source, ...] | None = field(default=None, repr=False)
    """Sources that are open already, None: they are opened by their paths."""

    format = "recipe"

    @property
    def travels(self) -> bool:
        """True where workers can be sent the recipe's plan: its sources lie in files."""
        return self.given is None

    @property
    def path(self) -> Path:
        """The one source's path; several have none in common."""
        return Path(self.parts[0].path) if len(self.parts) == 1 and self.given is None else Path("recipe")

    def keys(self) -> Sequence[str]:
        return list(self.lines)

    def episode(self, key: str) -> Episode:
        """Make one episode.

        Raises:
            UnknownName: no episode has this id.
            DamagedData: its source cannot be read, or has changed since it was planned.
        """
        if key not in self.lines:
            raise UnknownName("episode", key, list(self.lines))
        line = self.lines[key]
        episode = replace(self.sources[line.source].episode(line.source_key), ref=None)
        episode = replace(episode, id=mixture_id(line.source_key, source=line.source, sources=len(self.parts)))
        for stage, output in zip(self.stages, line.outputs, strict=False):
            if output is not None:
                episode = self._output(stage, output, episode)
        if line.split is not None:
            episode = replace(episode, origin=replace(episode.origin, split=line.split))
        return replace(episode, id=key, ref=None)

    def _output(self, stage: Stage, wanted: int, episode: Episode) -> Episode:
        for number, out in enumerate(episode_step(stage.name).step(episode, **stage.options)):
            if number == wanted:
                return out
        raise DamagedData(
            self.path, f"{stage.name} gives fewer episodes of {episode.id} than it did.", next_move="Do it again."
        )

    @property
    def sources(self) -> Sequence[Source]:
        """What goes in, open."""
        return self.given or [_opened(part.path, part.format, part.rate_hz or ()) for part in self.parts]

    def facts(self) -> Facts:
        """One row per episode; each is made for that."""
        rows = [row_of(self.episode(key)) for key in self.lines]
        robots = tuple(sorted({row.robot for row in rows if row.robot}))
        return Facts(format=self.format, version=None, rows=rows, robots=robots)


@dataclass(frozen=True)
class Curated:
    """What a recipe gave: episodes, what was left out and why, and what the choice goes with."""

    recipe: Recipe
    source: RecipeSource
    rows: tuple[Described, ...]
    """Of every episode that was there to choose from."""
    selection: Selection
    """Of all of them where the recipe chooses none."""
    left_out: tuple[LeftOut, ...]
    moved: Mapping[str, str]
    """Episode -> split that its family was moved to, or drawn for."""
    notes: tuple[str, ...] = ()
    """What must be said of the choice, a sentence each: splits that are not used, what could not be judged."""

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each kept episode."""
        return {pick.episode: pick.weight for pick in self.selection.picks}

    @property
    def kept_rows(self) -> list[Described]:
        """Rows of the kept episodes."""
        return [row for row in self.rows if row.episode in self.source.lines]


def curated(
    recipe: Recipe,
    *,
    sources: Sequence[Source] | None = None,
    workers: int | None = None,
    is_for_training: bool = False,
    advance: Callable[[str], None] = lambda stage: None,
) -> Curated:
    """Plan a recipe. `sources` stand for its own where they are open already (episodes in memory).

    `is_for_training`: sources that name no split give their training split. `advance` is told the name of each stage
    when it begins. The result does not depend on `workers`.

    Raises:
        RecipeRefused: it asks for what the data cannot give.
        NotADataset: a source is not there.
        UnknownName: a source has no such episode or split.
        QueryRefused: no episode of a source is left.
        SelectionRefused: a family would lie in several splits, or a selection was made from other data.
    """
    plan = _Plan(recipe, sources, workers, advance, is_for_training)
    try:
        for step in recipe.steps:
            plan.take(step)
        if recipe.checks is not None:
            plan.leave_out("drop_found", vars(recipe.checks), dataset_step("drop_found"), called="checks")
        return plan.finish()
    finally:
        plan.crew.dismiss()


class _Plan:
    """The episodes so far. A class, because each step works on what the one before left."""

    def __init__(
        self,
        recipe: Recipe,
        sources: Sequence[Source] | None,
        workers: int | None,
        advance: Callable[[str], None],
        is_for_training: bool,
    ) -> None:
        self.recipe, self.advance = recipe, advance
        parts = tuple(replace(part, path=recipe.place_of(part.path)) for part in recipe.sources)
        self.source = RecipeSource(parts, (), {}, None if sources is None else tuple(sources))
        self.is_for_training, self.notes = is_for_training, list[str]()
        lines = [line for number in range(len(parts)) for line in self._lines_of(number)]
        self.lines = {line.key: line for line in lines}
        in_files = [source for source in self.source.sources if not isinstance(source, EpisodeList)]
        usual = worker_count(in_files[0], len(lines), size_bytes=None) if in_files and self.source.travels else 1
        self.crew = Crew(workers or usual)
        self.left_out: list[LeftOut] = []
        self._times: dict[str, int] = {}

    def _lines_of(self, number: int) -> list[Line]:
        part, source = self.source.parts[number], self.source.sources[number]
        choice = choose_episodes(
            source,
            episodes=part.episodes,
            where=part.where,
            split=part.split,
            is_for_training=self.is_for_training,
        )
        if choice.sentence is not None:
            place = f"{part.path}: " if len(self.source.parts) > 1 else ""
            self.notes.append(f"{place}{choice.sentence}")
        lines = [Line("", number, key) for key in choice.keys]
        return [
            line._replace(key=mixture_id(line.source_key, source=number, sources=len(self.source.parts)))
            for line in lines
        ]

    def take(self, step: StepPart) -> None:
        """Apply one step to what is there."""
        seed = self._seed_of(step.name)
        leaf = shelf("steps")[step.name]
        if isinstance(leaf, DatasetStepLeaf):
            self.leave_out(step.name, step.options, leaf)
            return
        self.advance(step.name)
        stage = Stage(step.name, {**step.options, **takes(leaf.step, {"seed": seed})})
        before, self.source = self._now(), replace(self.source, stages=(*self.source.stages, stage))
        chosen = _share_of(list(self.lines), step.share, f"{step.name}|{seed}")
        made: dict[str, Line] = {}
        told = dict(self._each(before, functools.partial(_outputs, stage), chosen, by=step.name))
        for key, line in self.lines.items():
            if key not in chosen:
                self._add(made, line._replace(outputs=(*line.outputs, None)), step.name)
                continue
            ids, reason = told.get(key, ((), None))
            for number, name in enumerate(ids):
                self._add(made, line._replace(key=name, outputs=(*line.outputs, number)), step.name)
            if reason is not None:
                self.left_out.append(LeftOut(key, step.name, reason))
            elif not ids and key in told:
                self.left_out.append(LeftOut(key, step.name, "dropped"))
        self.lines = made

    def leave_out(
        self, name: str, options: Mapping[str, Any], leaf: DatasetStepLeaf, *, called: str | None = None
    ) -> None:
        """Apply a step that looks at all episodes."""
        by = called or name
        self.advance(by)
        if options.get("suite"):
            options = {**options, "suite": self.recipe.place_of(str(options["suite"]))}
        rows = self._described(functools.partial(leaf.describe, **takes(leaf.describe, options)), by)
        told = {**options, "seed": self._seed_of(name)}
        self._keep(leaf.choose(rows, **takes(leaf.choose, told)), by)

    def finish(self) -> Curated:
        """Choose, and keep families together."""
        choice = self.recipe.selection
        by = "selection" if choice is None else choice.curator or "selection"
        self.advance(by)
        rows = self._described(_describer(choice), by)
        selection = self._chosen(rows, choice)
        rows = [row._replace(value=None) for row in rows]
        self._keep(selection, by)
        relatives = [row.relative for row in rows if row.episode in self.lines]
        moved: Mapping[str, str] = {}
        if self.recipe.splits or self.recipe.families == "move":
            shares, seed = dict(self.recipe.splits), self.recipe.seed
            moved = divided_by_family(relatives, shares, seed=seed) if shares else moves_that_mend(relatives)
            self.lines = {key: line._replace(split=moved.get(key)) for key, line in self.lines.items()}
        else:
            refuse_torn(relatives)
        notes = tuple(self.notes)
        return Curated(self.recipe, self._now(), tuple(rows), selection, tuple(self.left_out), moved, notes)

    def _chosen(self, rows: Sequence[Described], choice: ChoicePart | None) -> Selection:
        if choice is None:
            return selection_of(rows, (row.episode for row in rows))
        if choice.file is not None:
            selection = read_selection(Path(self.recipe.place_of(choice.file)))
            selection.refuse_other_data(rows)
            return selection
        leaf = shelf("curators")[str(choice.curator)]
        rng = np.random.default_rng(self.recipe.seed)
        return leaf.choose(rows, keep=choice.count_of(len(rows)), rng=rng, **takes(leaf.choose, choice.options))

    def _keep(self, selection: Selection, by: str) -> None:
        kept = set(selection.episodes)
        self.notes += selection.notes
        self.left_out += [LeftOut(key, by, selection.left_out.get(key, "")) for key in self.lines if key not in kept]
        self.lines = {key: line for key, line in self.lines.items() if key in kept}

    def _described(self, describe: Callable[[Episode], Any], by: str) -> list[Described]:
        return [row for _, row in self._each(self._now(), functools.partial(_row, describe), self.lines, by=by)]

    def _each(
        self, source: RecipeSource, function: Callable[[Episode], Result], keys: Any, *, by: str
    ) -> list[tuple[str, Result]]:
        """What a function gives of each episode; one that cannot be read is left out."""
        out: list[tuple[str, Result]] = []
        for key, value, error in map_episodes(source, function, keys=list(keys), workers=self.crew):
            if value is not None:
                out.append((key, value))
                continue
            if isinstance(error, _OURS):
                raise error
            self.left_out.append(LeftOut(key, "damaged", f"{by}: {error}"))
            self.lines = {name: line for name, line in self.lines.items() if name != key}
        return out

    def _now(self) -> RecipeSource:
        return replace(self.source, lines=dict(self.lines))

    def _seed_of(self, name: str) -> int:
        times = self._times.get(name, 0)
        self._times[name] = times + 1
        return self.recipe.seed + _AGAIN * times

    def _add(self, made: dict[str, Line], line: Line, step: str) -> None:
        if line.key in made:
            raise RecipeRefused(f"{step}: two episodes would be called {line.key!r}. It was applied before.")
        made[line.key] = line


def _outputs(stage: Stage, episode: Episode) -> tuple[tuple[str, ...], str | None]:
    """Ids of a step's outputs, and why it refuses (the rest of) the episode."""
    ids: list[str] = []
    try:
        for out in episode_step(stage.name).step(episode, **stage.options):
            ids.append(out.id)
    except StepRefused as refusal:
        return tuple(ids), refusal.reason
    if not ids:
        refuse_silent_removal(stage.name, episode.id)
    return tuple(ids), None


def _row(describe: Callable[[Episode], Any], episode: Episode) -> Described:
    origin, steps = episode.origin, row_of(episode).steps or 0
    value, name = describe(episode), name_of(episode)
    return Described(episode.id, name, origin.made_from, origin.split, steps, episode.duration_s, value)


def _describer(choice: ChoicePart | None) -> Callable[[Episode], Any]:
    if choice is None or choice.curator is None:
        return _nothing
    leaf = shelf("curators")[choice.curator]
    return functools.partial(leaf.describe, **takes(leaf.describe, choice.options))


def _nothing(episode: Episode) -> None:
    return None


def _share_of(keys: list[str], share: float | None, chance: str) -> set[str]:
    """`share` of the episodes, rounded, drawn by hash: the episodes of a smaller share are among those of a larger."""
    if share is None:
        return set(keys)
    drawn = sorted(keys, key=lambda key: hashlib.sha256(f"{chance}|{key}".encode()).hexdigest())
    return set(drawn[: round(share * len(keys))])


@functools.lru_cache(maxsize=16)
def _opened(path: str, format_name: str | None, rate_hz: tuple[str, ...]) -> Source:
    from robokata.store.resolve import is_snapshot, open_snapshot

    if format_name is None and is_snapshot(path):
        return with_rates(open_snapshot(path), rates_from(rate_hz))
    return with_rates(open_source(path, format=format_name), rates_from(rate_hz))
