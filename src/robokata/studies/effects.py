"""From finished runs to effects: every level against its baseline, the training seed being the replicate.

Runs are paired by training seed and by the other factors' levels, and trials by their reset (common random numbers).
The interval and the p-value are those of `statistics.replicates.effect_of`; p-values of all levels are adjusted by
Holm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from robokata.core.estimate import Estimate
from robokata.core.shelf import shelf
from robokata.statistics.intervals import mean_of_numbers
from robokata.statistics.multiple import holm
from robokata.statistics.replicates import Effect, effect_of
from robokata.studies.design import Arm, steps_of
from robokata.studies.run import Data, Run
from robokata.studies.spec import Factor, Study

PRIMARY = "success_at_end"
FIRST_TRY = "first_try_success"
INTERVAL = "95 %, unadjusted"
"""What the interval of an effect is, beside a p-value that is adjusted: it holds for this contrast alone."""


def studied_metrics() -> tuple[str, ...]:
    """Every metric of the shelf whose difference means something: success first, then headlines, then the others.

    Of a trial that fails, the time to success is its horizon: the mean is the restricted one.
    """
    names = [name for name in shelf("metrics").names() if shelf("metrics")[name].IS_STUDIED]
    return tuple(sorted(names, key=lambda name: (name != PRIMARY, not is_headline(name), name)))


def is_headline(metric: str) -> bool:
    """True where the effects of a study show a metric at once."""
    return shelf("metrics")[metric].IS_HEADLINE


class Contrast(NamedTuple):
    """What is compared with what."""

    factor: str
    level: str
    baseline: str
    """Level, or the random subset of equal size."""
    is_control: bool = False


class Statement(NamedTuple):
    """A part of an answer."""

    text: str
    is_resolved: bool
    """Only what is resolved is a claim; views emphasize nothing else."""


@dataclass(frozen=True)
class Answer:
    """One contrast's effects, quantity by quantity."""

    contrast: Contrast
    effects: Mapping[str, Effect]
    episodes: tuple[int, int]
    """Episodes learnt from: at the baseline, at the level (means over the other factors)."""
    steps: tuple[int, int]
    """Steps of training, the same way."""
    combinations: int = 1
    """Of the other factors' levels: each is compared with its own like, and all together give the effect."""
    adjusted: Mapping[str, float] = field(default_factory=dict)
    """Quantity -> its p-value after Holm over all contrasts."""

    @property
    def p_adjusted(self) -> float | None:
        """Of the primary quantity."""
        return self.adjusted.get(PRIMARY)

    @property
    def primary(self) -> Effect | None:
        """The effect on success at the end."""
        return self.effects.get(PRIMARY)

    @property
    def is_resolved(self) -> bool:
        """True where success at the end is resolved."""
        return self.resolves(PRIMARY)

    def resolves(self, quantity: str) -> bool:
        """True where the quantity's interval excludes 0, and its p-value after Holm is below 5 %."""
        effect = self.effects.get(quantity)
        return effect is not None and effect.is_resolved and self.adjusted.get(quantity, 1.0) < 0.05

    def statements(self) -> tuple[Statement, ...]:
        """The answer in words: success at the end, then first-try success where success at the end is resolved."""
        effect = self.primary
        if effect is None or effect.estimate.value is None:
            return (Statement(f"{self.contrast.factor}: {self.contrast.level} could not be compared.", False),)
        what = f"{self.contrast.factor} = {self.contrast.level} against {self.contrast.baseline}"
        budget, holm_p = self._budget(effect), p_of(self.adjusted.get(PRIMARY, 1.0))
        if self.is_resolved:
            said = f"{what} changed success by {_in_points(effect)} ({budget}; {holm_p} after Holm)."
            return (Statement(said, True), *self._first_try())
        needed = effect.seeds_needed()
        seeds = None if needed is None else math.ceil(needed / self.combinations)
        more = "more than 1,000 training seeds" if seeds is None else f"{seeds} training seeds"
        found = f"smallest effect that it finds: {points_of(effect.detectable)}"
        said = f"{_in_points(effect)} ({budget}; {holm_p} after Holm; {found}; it would take {more})."
        return (Statement(f"{what}: not resolvable with this budget: {said}", False),)

    def sentence(self) -> str:
        """The answer in words, as one text."""
        return " ".join(statement.text for statement in self.statements())

    def _first_try(self) -> tuple[Statement, ...]:
        first = self.effects.get(FIRST_TRY)
        if first is None or first.estimate.value is None:
            return ()
        effect, holm_p = _in_points(first), p_of(self.adjusted.get(FIRST_TRY, 1.0))
        if self.resolves(FIRST_TRY):
            return (Statement(f"It changed first-try success by {effect} ({holm_p} after Holm).", True),)
        return (
            Statement(f"First-try success: not resolvable with this budget: {effect} ({holm_p} after Holm).", False),
        )

    def _budget(self, effect: Effect) -> str:
        seeds = f"{effect.seeds // self.combinations} training seeds"
        others = f" x {self.combinations} combinations of the other factors" if self.combinations > 1 else ""
        same = "equal steps" if self.steps[0] == self.steps[1] else f"{self.steps[1]:,} against {self.steps[0]:,} steps"
        return f"{seeds}{others} x {effect.trials} trials, {same}"

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            **self.contrast._asdict(),
            "sentence": self.sentence(),
            "is_resolved": self.is_resolved,
            "p_adjusted": self.p_adjusted,
            "episodes": list(self.episodes),
            "steps": list(self.steps),
            "combinations": self.combinations,
            "adjusted": dict(self.adjusted),
            "effects": {name: effect.to_json() for name, effect in self.effects.items()},
        }


class Point(NamedTuple):
    """One size of a scaling curve."""

    size: float
    success: Estimate
    """Mean over training seeds."""


@dataclass(frozen=True)
class ArmResult:
    """How one arm did."""

    arm: Arm
    data: Data
    metrics: Mapping[str, Estimate]
    """Means over training seeds: the seed is the replicate."""
    runs: tuple[Run, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "arm": self.arm.to_json(),
            "data": self.data.to_json(),
            "metrics": {name: each.to_json() for name, each in self.metrics.items()},
            "runs": [run.to_json() for run in self.runs],
        }


def results_of(arms: Sequence[Arm], data: Mapping[str, Data], runs: Sequence[Run]) -> list[ArmResult]:
    """Arms with their runs and means."""
    out = []
    for arm in arms:
        own = tuple(sorted((run for run in runs if run.arm == arm.name), key=lambda run: run.seed))
        metrics = {name: _mean_over_seeds(name, own) for name in studied_metrics()}
        out.append(ArmResult(arm, data[arm.name], metrics, own))
    return out


def answers_of(study: Study, results: Sequence[ArmResult]) -> list[Answer]:
    """Every level against its baseline, and against the random subset of its size where there is one."""
    found = []
    for contrast, pairs in _contrasts(study, results):
        effects = {}
        for quantity in studied_metrics():
            baseline, changed = _runs(quantity, [p[0] for p in pairs]), _runs(quantity, [p[1] for p in pairs])
            if len(set(baseline) & set(changed)) >= 2:
                effect = effect_of(quantity, baseline=baseline, changed=changed)
                effects[quantity] = replace(effect, estimate=_within(effect.estimate, -1.0, 1.0))
        episodes = [round(float(np.mean([pair[side].data.episodes for pair in pairs]))) for side in (0, 1)]
        steps = [round(float(np.mean([steps_of(pair[side].arm, study) for pair in pairs]))) for side in (0, 1)]
        found.append(Answer(contrast, effects, (episodes[0], episodes[1]), (steps[0], steps[1]), len(pairs)))
    return _adjusted(found)


def _adjusted(answers: Sequence[Answer]) -> list[Answer]:
    """With p-values after Holm over all contrasts, each quantity by itself."""
    adjusted: list[dict[str, float]] = [{} for _ in answers]
    for quantity in studied_metrics():
        told = {str(n): a.effects[quantity].p_value for n, a in enumerate(answers) if quantity in a.effects}
        for number, p_value in holm(told).items():
            adjusted[int(number)][quantity] = p_value
    return [replace(answer, adjusted=each) for answer, each in zip(answers, adjusted, strict=True)]


def scaling_of(factor: Factor, results: Sequence[ArmResult]) -> list[Point]:
    """Success over the sizes of a factor, all other factors at their baseline; empty where levels have no sizes."""
    points = []
    for level in factor.levels:
        if level.size is None:
            return []
        own = [r for r in results if r.arm.control_of is None and r.arm.levels[factor.name] == level.name]
        runs = tuple(run for result in own[:1] for run in result.runs)
        points.append(Point(level.size, _mean_over_seeds(PRIMARY, runs)))
    return points


def _contrasts(
    study: Study, results: Sequence[ArmResult]
) -> Iterator[tuple[Contrast, list[tuple[ArmResult, ArmResult]]]]:
    plain = [result for result in results if result.arm.control_of is None]
    controls = {(r.arm.control_of, r.arm.control_for): r for r in results if r.arm.control_of is not None}
    for factor in study.factors:
        for level in factor.levels:
            changed = [result for result in plain if result.arm.levels[factor.name] == level.name]
            pairs = []
            for result in changed:
                wanted = {**result.arm.levels, factor.name: factor.baseline.name}
                if level is not factor.baseline:
                    pairs += [(other, result) for other in plain if dict(other.arm.levels) == wanted]
            if pairs:
                yield Contrast(factor.name, level.name, factor.baseline.name), pairs
            asked = [(controls.get((result.arm.name, factor.name)), result) for result in changed]
            against = [(control, result) for control, result in asked if control is not None]
            if against:
                yield Contrast(factor.name, level.name, "a random subset of equal size", is_control=True), against


def _runs(quantity: str, results: Sequence[ArmResult]) -> dict[str, dict[str, float]]:
    """Replicate -> trial -> value; a replicate is a training seed at one combination of the other factors."""
    return {
        f"{number}|{run.seed}": dict(run.observed[quantity])
        for number, result in enumerate(results)
        for run in result.runs
        if run.observed.get(quantity)
    }


def _mean_over_seeds(quantity: str, runs: Sequence[Run]) -> Estimate:
    means = [float(np.mean(list(run.observed[quantity].values()))) for run in runs if run.observed.get(quantity)]
    return _within(mean_of_numbers(quantity, means), 0.0, 1.0)


def _within(estimate: Estimate, least: float, most: float) -> Estimate:
    """The interval without what cannot be: it covers as often as before."""
    if estimate.low is None or estimate.high is None or not shelf("metrics")[estimate.quantity].MEAN.is_share:
        return estimate
    return replace(estimate, low=max(least, estimate.low), high=min(most, estimate.high))


def p_of(number: float) -> str:
    """A p-value in words."""
    shown = p_shown(number)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def p_shown(number: float) -> str:
    """A p-value as a number: how far below 0.001 it lies is beyond what a few training seeds can say."""
    return f"{number:.2g}" if number >= 0.001 else "< 0.001"


def _in_points(effect: Effect) -> str:
    ends = (effect.estimate.value, effect.estimate.low, effect.estimate.high)
    points = [100 * float(end or 0.0) for end in ends]
    return f"{points[0]:+.1f} points [{points[1]:+.1f}, {points[2]:+.1f}; {INTERVAL}]"


def points_of(detectable_share: float) -> str:
    """The smallest effect on a share that can be found, in words: no share changes by more than 100 points."""
    return (
        f"{100 * detectable_share:.0f} points" if detectable_share <= 1 else "none, it would have to exceed 100 points"
    )
