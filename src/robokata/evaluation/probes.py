"""Generalization probes: one thing changes, the seed stays, and it is checked that only that thing changed.

Axes after STAR-Gen (visual, semantic, behavioural), one factor at a time and all mixed as Colosseum does. Every probe
is compared with a control arm on the same seeds, and carries a manipulation check: suites were published whose changed
prompt never reached the policy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import UnknownName
from robokata.core.estimate import Estimate
from robokata.core.world import Width
from robokata.evaluation.observations import NOTHING_SEEN
from robokata.evaluation.trial import Conditions
from robokata.evaluation.trials import TrialJob, Trials, evaluate_policy
from robokata.runtime.progress import Progress
from robokata.sim.variation import FACTORS, Variation
from robokata.statistics.comparison import Comparison, compare_pairs
from robokata.statistics.multiple import holm

ALL = "all"
"""In the place of a probe's name: every one."""
PICTURES, NUMBERS, INSTRUCTION, PHYSICS = "pictures", "numbers", "instruction", "physics"
SIGHT = "pictures and numbers"
"""Both together: a policy of pictures sees things move in them, and of itself the same joints."""
SYNONYMS = {
    **{"lift": "hoist", "pick": "take", "stack": "pile", "put": "set", "place": "lay", "push": "shove"},
    **{"grab": "seize", "raise": "hoist", "open": "pull open", "cube": "box", "block": "box", "drawer": "tray"},
}
"""Other words for the same thing, for a paraphrase that no demonstration was told with."""
COLOURS = {"red": "crimson", "green": "emerald", "blue": "navy", "yellow": "golden", "white": "pale", "black": "dark"}
_PIXEL_NOISE_LEVELS = 20.0
"""Of 255: a picture at ISO 6400."""
_HOW_FAR: Mapping[str, Callable[[float], str]] = {
    "light": lambda share: f"brightness ±{100 * share:g} %, direction ±{45 * share:g}° about each axis",
    "texture": lambda share: f"another pattern, colour ±{100 * share:g} % of full scale",
    "camera_pose": lambda metres: f"fixed cameras by {100 * metres:g} cm and {metres:g} rad",
    "distractors": lambda count: f"{count:g} more things on the table",
    "object_size": lambda share: f"±{100 * share:g} %",
    "object_mass": lambda share: f"x {1 / (1 + share):.2g} to x {1 + share:.2g}",
    "object_friction": lambda share: f"x {1 / (1 + share):.2g} to x {1 + share:.2g}",
    "object_shape": lambda count: "boxes become cylinders of the same width and height",
    "robot_start": lambda rad: f"{rad:g} rad per joint (standard deviation)",
}
"""Magnitudes of the factors as a reader meets them; what each does is in `sim/variation.py`."""


@dataclass(frozen=True)
class Probe:
    """One way in which a trial may differ from those that a policy was trained for."""

    name: str
    axis: str
    """`visual`, `semantic`, `behavioural`, `physical` or `mixed`."""
    magnitude: str
    """How far, with its unit."""
    may_change: frozenset[str]
    """What may differ from the control, seen or unseen: pictures, numbers, instruction, physics."""
    must_change: frozenset[str]
    factors: Mapping[str, float] = field(default_factory=dict)
    reworded: Mapping[str, str] = field(default_factory=dict)
    width: Width | None = None
    pixel_noise_levels: float = 0.0

    def conditions(self, control: Conditions, *, seed: int) -> Conditions:
        """The control's conditions with this one thing changed."""
        variation = Variation(dict(self.factors), seed)
        return replace(
            control,
            scene=replace(control.scene, distractors=variation.distractors),
            variation=variation,
            reworded=dict(self.reworded),
            width=self.width or control.width,
            pixel_noise_levels=self.pixel_noise_levels,
        )


@dataclass(frozen=True)
class Manipulation:
    """Whether a probe changed what it meant to, and nothing else."""

    trials: int
    unchanged: Mapping[str, int]
    """What had to change -> trials in which it did not."""
    stray: Mapping[str, int]
    """What had to stay -> trials in which it changed."""
    unseen: tuple[str, ...] = ()
    """What had to change, and this policy never looks at."""

    @property
    def holds(self) -> bool:
        """True where every trial that could be compared is as meant, and there was one."""
        is_as_meant = not any(self.unchanged.values()) and not any(self.stray.values())
        return self.trials > 0 and self.reaches and is_as_meant

    @property
    def reaches(self) -> bool:
        """True where the policy looks at something of what the probe changes."""
        return not self.unchanged or set(self.unseen) != set(self.unchanged)

    def sentence(self) -> str:
        """In words."""
        if self.holds:
            return f"changed as meant in all {self.trials} trials, and nothing else did"
        wrong = [f"{name} did not change in {count}" for name, count in self.unchanged.items() if count]
        wrong += [f"{name} changed too in {count}" for name, count in self.stray.items() if count]
        if not self.reaches and not wrong:
            return f"the policy sees no {' and no '.join(self.unseen)}: this probe cannot reach it"
        return f"of {self.trials} trials: " + ", ".join(wrong or ["none could be compared"])


@dataclass(frozen=True)
class ProbeResult:
    """What a probe did to the policy."""

    probe: Probe
    trials: Trials
    comparison: Comparison
    """Probe minus control, paired by seed."""
    manipulation: Manipulation
    p_adjusted: float | None = None
    """After Holm, over all probes."""

    @property
    def success(self) -> Estimate:
        """Success at the end under the probe."""
        return self.trials.metrics["success_at_end"]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "probe": self.probe.name,
            "axis": self.probe.axis,
            "magnitude": self.probe.magnitude,
            "success": self.success.to_json(),
            "difference": self.comparison.to_json(),
            "p_adjusted": self.p_adjusted,
            "manipulation": self.manipulation.sentence(),
            "manipulation_holds": self.manipulation.holds,
            "trials": self.trials.to_json(),
        }


def probes_for(names: Sequence[str] | None, *, width: Width) -> list[Probe]:
    """The probes of these names, or all (None, or `all` among them); a wider reset than the control's is one of them.

    Raises:
        UnknownName: there is no such probe.
    """
    known = {probe.name: probe for probe in _all(width)}
    unknown = next((name for name in names or () if name not in (ALL, *known)), None)
    if unknown is not None:
        raise UnknownName("probe", unknown, (ALL, *known))
    if names is None or ALL in names:
        return list(known.values())
    return [known[name] for name in names]


class SkippedProbe(NamedTuple):
    """A probe that was not run."""

    probe: Probe
    reason: str


def reaching(control: Trials, probes: Sequence[Probe]) -> tuple[list[Probe], list[SkippedProbe]]:
    """The probes that can reach a policy, and those that change nothing but what it never looks at."""
    seen = [line.row["seen"] for line in control.lines if line.row["seen"]]
    blind = {name for name in (PICTURES, NUMBERS) if seen and all(each[name] == NOTHING_SEEN for each in seen)}
    kept, skipped = [], []
    for probe in probes:
        if probe.must_change and probe.must_change <= blind:
            unseen = " and no ".join(sorted(probe.must_change))
            skipped.append(SkippedProbe(probe, f"the policy sees no {unseen}, and it changes nothing else"))
        else:
            kept.append(probe)
    return kept, skipped


def run_probes(
    job: TrialJob,
    out: Path,
    control: Trials,
    probes: Sequence[Probe],
    *,
    trials: int,
    workers: int | None,
    progress: Progress,
) -> list[ProbeResult]:
    """Run each probe on the control's seeds; worst first.

    Raises:
        EvaluationStopped: too many trials failed for reasons outside the policy.
        WriteRefused: a folder holds something else or cannot be written.
    """
    results = []
    for probe in probes:
        conditions = probe.conditions(job.conditions, seed=job.seed)
        varied = replace(job, conditions=conditions, name=probe.name)
        made = evaluate_policy(varied, out / probe.name, trials=trials, workers=workers, advance=progress.advance)
        shared = sorted(set(control.successes) & set(made.successes))
        comparison = compare_pairs([control.successes[n] for n in shared], [made.successes[n] for n in shared])
        results.append(ProbeResult(probe, made, comparison, manipulation_of(probe, control, made)))
    adjusted = holm({r.probe.name: r.comparison.p_value for r in results if r.comparison.p_value is not None})
    results = [replace(result, p_adjusted=adjusted.get(result.probe.name)) for result in results]
    return sorted(results, key=_badness)


def _badness(result: ProbeResult) -> float:
    """Worst first; where nothing could be compared, last."""
    difference = result.comparison.difference.value
    return math.inf if difference is None else difference


def manipulation_of(probe: Probe, control: Trials, varied: Trials) -> Manipulation:
    """Compare what the policy saw first in each trial with what it saw in the control's trial of the same seed."""
    before = {line.number: line.row["seen"] for line in control.lines if line.row["seen"]}
    after = {line.number: line.row["seen"] for line in varied.lines if line.row["seen"]}
    shared = sorted(set(before) & set(after))
    unchanged = dict.fromkeys(sorted(probe.must_change), 0)
    stray = dict.fromkeys(sorted({PICTURES, NUMBERS, INSTRUCTION, PHYSICS} - probe.may_change - probe.must_change), 0)
    # A policy that sees no pictures cannot have seen them change.
    unseen = [n for n in unchanged if n in (PICTURES, NUMBERS) and {before[k][n] for k in shared} == {NOTHING_SEEN}]
    for number in shared:
        for name in unchanged:
            unchanged[name] += name not in unseen and _seen(before[number], name) == _seen(after[number], name)
        for name in stray:
            stray[name] += before[number][name] != after[number][name]
    return Manipulation(len(shared), unchanged, stray, tuple(unseen))


def _seen(hashes: Mapping[str, str], name: str) -> tuple[str, ...]:
    return (hashes[PICTURES], hashes[NUMBERS]) if name == SIGHT else (hashes[name],)


def _all(width: Width) -> list[Probe]:
    looks = frozenset({PICTURES})
    seen = {
        "light": (looks, looks),
        "texture": (looks, looks),
        # The fixed camera moves; a policy that has only a wrist camera sees the same.
        "camera_pose": (looks, looks),
        # Fixed things stand beside: their places are no numbers of the task's props.
        "distractors": (looks | {NUMBERS, PHYSICS}, frozenset({PICTURES})),
        "object_size": (looks | {NUMBERS}, frozenset({PHYSICS})),
        "object_mass": (looks | {NUMBERS}, frozenset({PHYSICS})),
        "object_friction": (looks | {NUMBERS}, frozenset({PHYSICS})),
        "object_shape": (looks | {NUMBERS}, frozenset({PHYSICS})),
        "robot_start": (looks | {NUMBERS}, frozenset({NUMBERS, PHYSICS})),
    }
    out = []
    for factor in FACTORS:
        may, must = seen[factor.name]
        axis = "visual" if must == looks else "behavioural" if factor.name == "robot_start" else "physical"
        axis = "semantic" if factor.name == "object_shape" else axis
        how_far = _HOW_FAR.get(factor.name)
        magnitude = how_far(factor.usual) if how_far else f"{factor.usual:g} {factor.unit}"
        out.append(Probe(factor.name, axis, magnitude, may, must, {factor.name: factor.usual}))
    noise = f"{_PIXEL_NOISE_LEVELS:g} of 255 levels"
    out.append(Probe("sensor_noise", "visual", noise, looks, looks, pixel_noise_levels=_PIXEL_NOISE_LEVELS))
    words = frozenset({INSTRUCTION})
    out.append(Probe("paraphrase", "semantic", "unheard words", words, words, reworded=SYNONYMS))
    # An instruction without a colour stays what it is, and the check says so.
    out.append(Probe("colour_word", "semantic", "other colour words", words, words, reworded=COLOURS))
    everything = frozenset({PICTURES, NUMBERS, PHYSICS, INSTRUCTION})
    wider = [other for other in Width if other > width]
    out += [
        Probe(f"object_pose_{other}", "behavioural", f"resets {other}", everything, frozenset({SIGHT}), width=other)
        for other in wider
    ]
    mixed = {factor.name: factor.usual for factor in FACTORS}
    out.append(
        Probe(
            "all_mixed",
            "mixed",
            "all of these at once" + (f", resets {wider[0]}" if wider else ""),
            everything,
            everything,
            mixed,
            reworded={**SYNONYMS, **COLOURS},
            # The next wider reset: the widest alone would decide what the mixture shows.
            width=wider[0] if wider else None,
            pixel_noise_levels=_PIXEL_NOISE_LEVELS,
        )
    )
    return out
