"""Expansion by wording: the same episodes, asked for in other words."""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.contracts import ExpansionJobs
from robokata.core.source import Source
from robokata.expanders._steps import step_jobs

_ROUNDS = 16
"""No task has more wordings than that; a source that has no more is refused, which costs nothing."""


def plan(
    source: Source,
    *,
    keys: Sequence[str],
    seed: int = 0,
    # Empty: the paraphrases of the task that a simulated episode names; else the path of a TOML file with templates.
    table: str = "",
) -> ExpansionJobs:
    """Jobs that give these episodes their instructions' other wordings. See the step `paraphrase_instruction`."""
    # One draw for all rounds: each takes the next wording of the same order, and none comes twice.
    return step_jobs(
        source,
        keys=keys,
        by="paraphrase",
        step="paraphrase_instruction",
        options={"table": table},
        rounds=_ROUNDS,
        seed=seed,
        counted="wordings",
    )
