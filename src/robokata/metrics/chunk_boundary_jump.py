"""How much the commands jump where one predicted chunk follows another.

Definition:
    Mean length of the step between commands at the boundary of two chunks over that within chunks; channels in
    shares of their range in the trial, grippers left out. 1: boundaries cannot be told; 3: three times as large.

Unit:
    None (a ratio).

Needs:
    Recorded actions, and where chunks begin: `extra["trial"]["chunk_starts"]` (numbers of action samples) or
    `extra["trial"]["executed_steps"]` (the length that is executed of each chunk).

Limits:
    None for demonstrations, for chunks of one step, and for trials of fewer than three chunks. Smoothing between
    chunks (temporal ensembling) hides jumps by design: then 1 says nothing of the predictions.

Source:
    Chunk-boundary jump ratio, E|a(t+1) - a(t)| at boundaries over within. Interval: Student's t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics._actions import commands_of
from robokata.metrics._scripted_trial import scripted_trial
from robokata.metrics._trial import trial_facts

UNIT: str | None = None
MEAN = Mean.OF_NUMBERS
_FEWEST_CHUNKS = 3


def observe(trial: Episode) -> Observation:
    """Step at boundaries over step within chunks."""
    commands = commands_of(trial)
    if isinstance(commands, str):
        return Observation(None, commands)
    starts = _starts(trial, len(commands.arm))
    if starts is None:
        return Observation(None, "nobody says where chunks begin")
    if len(starts) < _FEWEST_CHUNKS:
        return Observation(None, f"{len(starts)} chunks; a jump between them needs {_FEWEST_CHUNKS}")
    steps = np.linalg.norm(np.diff(commands.arm, axis=0), axis=1)
    at_boundary = np.zeros(len(steps), dtype=bool)
    at_boundary[starts[starts > 0] - 1] = True
    if at_boundary.all():
        return Observation(None, "chunks of one step have no inside")
    within = float(steps[~at_boundary].mean())
    if within == 0:
        return Observation(None, "the commands do not change within chunks")
    return Observation(float(steps[at_boundary].mean()) / within)


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Jumps of up to 5 % at the chunk boundaries."""
    return PlantedTrial(scripted_trial(rng, executed_steps=10, jump_rad=float(rng.uniform(0, 0.05))), None)


def _starts(trial: Episode, samples: int) -> NDArray[np.int64] | None:
    facts = trial_facts(trial)
    if facts.get("chunk_starts") is not None:
        starts = np.unique(np.asarray(facts["chunk_starts"], dtype=np.int64))
        return starts[(starts >= 0) & (starts < samples)]
    if facts.get("executed_steps"):
        return np.arange(0, samples, int(facts["executed_steps"]), dtype=np.int64)
    return None
