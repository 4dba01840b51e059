"""For every metric: trials whose true value is known, drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metrics.made_trials import trial
from robokata.core.episode import Episode


class Planted(NamedTuple):
    trial: Episode
    truth: float | None
    """What `observe` must say: None where the metric is a number that only its formula knows."""


Rng = np.random.Generator


def _success(rng: Rng) -> Planted:
    success = bool(rng.random() < 0.7)
    return Planted(trial(rng, success=success), float(success))


def _progress(rng: Rng) -> Planted:
    is_held, success = bool(rng.random() < 0.8), bool(rng.random() < 0.6)
    return Planted(trial(rng, is_held=is_held, success=success and is_held), (is_held + (success and is_held)) / 2)


def _time(rng: Rng) -> Planted:
    success = bool(rng.random() < 0.75)
    made = trial(rng, success=success, stall_s=float(rng.integers(0, 8)) / 4)
    done_s = made.extra["simulation"]["first_success_s"]
    return Planted(made, 30.0 if done_s is None else done_s)


def _attempts(rng: Rng) -> Planted:
    empties, drops = int(rng.poisson(0.7)), int(rng.random() < 0.2)
    return Planted(trial(rng, empties=empties, drops=drops), float(empties + drops + 1))


def _first_try(rng: Rng) -> Planted:
    empties = int(rng.random() < 0.4)
    return Planted(trial(rng, empties=empties), float(not empties))


def _recoveries(rng: Rng) -> Planted:
    is_held = bool(rng.random() < 0.6)
    return Planted(trial(rng, empties=1, is_held=is_held, success=is_held), float(is_held))


def _drops(rng: Rng) -> Planted:
    drops = int(rng.poisson(0.5))
    return Planted(trial(rng, drops=drops), float(drops))


def _collisions(rng: Rng) -> Planted:
    contacts = int(rng.poisson(0.6))
    return Planted(trial(rng, contacts=contacts), float(contacts))


def _stalls(rng: Rng) -> Planted:
    stalls = int(rng.random() < 0.4)
    return Planted(trial(rng, empties=1, stall_s=3.0 * stalls), float(stalls))


def _efficiency(rng: Rng) -> Planted:
    return Planted(trial(rng, empties=int(rng.poisson(0.5)), detour_m=float(rng.uniform(0, 0.1))), None)


def _chatter(rng: Rng) -> Planted:
    return Planted(trial(rng, chatter=float(rng.choice([0.0, 0.003, 0.01])), empties=int(rng.random() < 0.3)), None)


def _smoothness(rng: Rng) -> Planted:
    return Planted(trial(rng, empties=int(rng.poisson(0.7)), stall_s=float(rng.uniform(0, 1))), None)


def _jump(rng: Rng) -> Planted:
    return Planted(trial(rng, executed_steps=10, jump=float(rng.uniform(0, 0.05))), None)


def _cause(rng: Rng) -> Planted:
    empties, is_held, drops = int(rng.random() < 0.5), bool(rng.random() < 0.5), int(rng.random() < 0.3)
    return Planted(trial(rng, empties=empties, is_held=is_held, drops=drops, success=False), 1.0)


PLANTS: dict[str, Callable[[Rng], Planted]] = {
    "success_at_end": _success,
    "success_once": _success,
    "subgoal_progress": _progress,
    "time_to_success": _time,
    "attempts": _attempts,
    "first_try_success": _first_try,
    "recoveries": _recoveries,
    "drops": _drops,
    "collisions": _collisions,
    "stalls": _stalls,
    "path_efficiency": _efficiency,
    "action_chatter": _chatter,
    "smoothness_sparc": _smoothness,
    "smoothness_ldlj": _smoothness,
    "chunk_boundary_jump": _jump,
    "failure_cause": _cause,
}
