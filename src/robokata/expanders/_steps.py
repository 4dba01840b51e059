"""Expansion by a step: each source changed by it, round after round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from robokata.core.contracts import ExpansionJobs
from robokata.core.declared_rate import Rate, rates_in, reopen_paced
from robokata.core.episode import Episode
from robokata.core.errors import RobokataError, StepRefused
from robokata.core.leaf_kinds import episode_step
from robokata.core.source import Source
from robokata.runtime.jobs import Made
from robokata.runtime.options import takes

_SUFFIX = "retimed"


@dataclass(frozen=True)
class StepJob:
    """Variant `number`: source number modulo their count, in round number divided by it."""

    path: str
    format: str
    keys: tuple[str, ...]
    by: str
    step: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    rates: tuple[Rate, ...] = ()
    counted: str | None = None
    """Option that takes the number of the round, from 1, while the seed stays; None: each round has its own seed."""

    def __call__(self, number: int) -> Made:
        source = reopen_paced(self.path, self.format, self.rates).episode(self.keys[number % len(self.keys)])
        turn = number // len(self.keys)
        try:
            episode = self._variant(source, turn)
        except RobokataError as error:
            reason = error.reason if isinstance(error, StepRefused) else str(error)
            return Made({"success": False, "reason": reason, "source": source.id})
        if episode.id == source.id:
            episode = replace(episode, id=f"{source.id}-{_SUFFIX}-s{self.seed}-{turn + 1}")
        return Made({"success": True, "reason": "", "source": source.id, "duration_s": episode.duration_s}, episode)

    def _variant(self, source: Episode, turn: int) -> Episode:
        step = episode_step(self.step).step
        chance = {"seed": self.seed + turn} if self.counted is None else {"seed": self.seed, self.counted: turn + 1}
        *_, last = step(source, **takes(step, {**self.options, **chance}))
        changed: Episode = last
        return changed

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many."""
        return {
            "by": self.by,
            "source": self.path,
            "source_format": self.format,
            "episodes": list(self.keys),
            "step": self.step,
            "options": {name: list(v) if isinstance(v, tuple) else v for name, v in self.options.items()},
            "seed": self.seed,
            **({"declared_rates": [str(rate) for rate in self.rates]} if self.rates else {}),
        }


def step_jobs(
    source: Source,
    *,
    keys: Sequence[str],
    by: str,
    step: str,
    options: Mapping[str, Any],
    rounds: int,
    seed: int = 0,
    counted: str | None = None,
) -> ExpansionJobs:
    """Jobs that apply a step to each of these episodes, `rounds` times at most."""
    job = StepJob(str(source.path), source.format, tuple(keys), by, step, options, seed, rates_in(source), counted)
    return ExpansionJobs(job, job.described(), tries_per_episode=None, most_tries=len(job.keys) * rounds)
