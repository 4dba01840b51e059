"""Expansion by a step: the same episodes mirrored, at another speed, or asked for in other words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robokata.core.declared_rate import Rate, rates_in, reopen_paced
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, StepRefused, WriteRefused
from robokata.core.leaf_kinds import episode_step
from robokata.core.source import Source
from robokata.runtime.jobs import Made, Production, Tried, produce, with_receipt
from robokata.runtime.options import fitted, options_of, takes, told

_CALLED_ANEW = "retimed"


@dataclass(frozen=True)
class Way:
    """How a word of the command line becomes a step."""

    step: str
    usual: Mapping[str, Any]
    """Options where the user says none."""
    rounds: int
    """Times that each source may be used: a mirror image is one."""


WAYS: Mapping[str, Way] = {
    "mirror": Way("mirror_episode", {}, 1),
    # Each variant draws its own speed, so that a second round is not the first one again.
    "retime": Way("retime_motion", {"spread_ratio": 0.25}, 64),
    # No task has more wordings than that; a source that has no more is refused, which costs nothing.
    "paraphrase": Way("paraphrase_instruction", {}, 16),
}


@dataclass(frozen=True)
class StepReport:
    """What an expansion by a step or by a world model made."""

    production: Production
    asked: int
    reasons: Mapping[str, int]
    """Why attempts failed, most frequent first."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**self.production.as_json(), "asked": self.asked, "reasons": dict(self.reasons)}


@dataclass(frozen=True)
class StepJob:
    """Variant `number`: source number modulo their count, in round number divided by it."""

    path: str
    format: str
    keys: tuple[str, ...]
    way: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    rates: tuple[Rate, ...] = ()

    def __call__(self, number: int) -> Made:
        source = reopen_paced(self.path, self.format, self.rates).episode(self.keys[number % len(self.keys)])
        round_ = number // len(self.keys)
        try:
            episode = self._variant(source, round_)
        except RobokataError as error:
            reason = error.reason if isinstance(error, StepRefused) else str(error)
            return Made({"success": False, "reason": reason, "source": source.id})
        if episode.id == source.id:
            episode = replace(episode, id=f"{source.id}-{_CALLED_ANEW}-s{self.seed}-{round_ + 1}")
        return Made({"success": True, "reason": "", "source": source.id, "duration_s": episode.duration_s}, episode)

    def _variant(self, source: Episode, round_: int) -> Episode:
        step = episode_step(WAYS[self.way].step).step
        if self.way == "paraphrase":
            # One draw for all rounds: each takes the next wording of the same order, and none comes twice.
            told = {**self.options, "wordings": round_ + 1, "seed": self.seed}
        else:
            told = {**self.options, "seed": self.seed + round_}
        *_, last = step(source, **takes(step, told))
        changed: Episode = last
        return changed

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many."""
        return {
            "by": self.way,
            "source": self.path,
            "source_format": self.format,
            "episodes": list(self.keys),
            "step": WAYS[self.way].step,
            "options": {name: list(v) if isinstance(v, tuple) else v for name, v in self.options.items()},
            "seed": self.seed,
            **({"declared_rates": [str(rate) for rate in self.rates]} if self.rates else {}),
        }


def job_for(source: Source, way: str, *, keys: Sequence[str], words: Sequence[str] = (), seed: int = 0) -> StepJob:
    """The job of one way to expand; `words` are options as `KEY=VALUE`.

    Raises:
        RecipeRefused: an option that the step does not have, or of the wrong kind.
    """
    step = episode_step(WAYS[way].step).step
    known = {name: o for name, o in options_of(step).items() if name not in ("keep_original", "wordings")}
    _, said = told(f"{way} {' '.join(words)}", where="--factor")
    options = fitted({**WAYS[way].usual, **said}, known, where=f"--by {way}")
    return StepJob(str(source.path), source.format, tuple(keys), way, options, seed, rates_in(source))


def expand_by_step(
    job: StepJob,
    out: Path,
    *,
    episodes: int,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> StepReport:
    """Make `episodes` variants, or as many as the sources give; a run that was killed goes on where it stopped.

    Raises:
        WriteRefused: the folder holds something else or cannot be written, or every source is refused.
    """
    at_most = len(job.keys) * WAYS[job.way].rounds
    recipe = job.described()
    lines = produce(job, out, wanted=episodes, at_most=at_most, same_as=recipe, workers=workers, advance=advance)
    return reported(out, lines, recipe, asked=episodes)


def reported(
    out: Path, lines: list[Tried], recipe: Mapping[str, Any], *, asked: int, versions: Mapping[str, str] | None = None
) -> StepReport:
    """The report of a finished run, with its receipt.

    Raises:
        WriteRefused: nothing was made, with the most frequent reason; or the receipt cannot be written.
    """
    reasons = Counter(str(tried.row["reason"]) for tried in lines if not tried.row["success"])
    made = with_receipt(out, lines, recipe, versions=versions or {})
    if not made.kept:
        reason = reasons.most_common(1)[0][0] if reasons else "there is no source"
        raise WriteRefused(f"{out}: no episode could be made of {len(lines)} tries. Most often: {reason}")
    return StepReport(made, asked, dict(reasons.most_common()))
