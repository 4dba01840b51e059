"""What a metric must do, as functions that third parties run on theirs; each takes the metric's name."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.core.shelf import shelf
from robokata.evaluation.metric import measure_trials, summarise

SECTIONS = ("Definition:", "Unit:", "Needs:", "Limits:", "Source:")
POOL = 120
"""Planted trials that a clause draws from."""


@functools.cache
def pool(metric: str) -> tuple[Observation, ...]:
    """What a metric says of its own planted trials."""
    leaf, rng = shelf("metrics")[metric], np.random.default_rng(7)
    return tuple(leaf.observe(leaf.plant(rng).trial) for _ in range(POOL))


def metric_has_five_sections(metric: str) -> None:
    """The docstring has a first sentence and the five sections, in order."""
    text = shelf("metrics")[metric].__doc__ or ""
    assert re.findall(r"^(\w+:)$", text, flags=re.M) == list(SECTIONS), f"the sections are {', '.join(SECTIONS)}"


def metric_observes_what_it_plants(metric: str) -> None:
    """Every planted trial has a value, the true one where it is known."""
    leaf, rng = shelf("metrics")[metric], np.random.default_rng(3)
    for _ in range(25):
        planted = leaf.plant(rng)
        seen = leaf.observe(planted.trial)
        assert seen.value is not None, f"{metric} observes nothing in its own trial: {seen.reason}"
        if planted.truth is not None:
            is_near = math.isclose(seen.value, planted.truth, rel_tol=1e-6, abs_tol=0.051)
            assert is_near, f"{metric} observes {seen.value}, planted was {planted.truth}"


def metric_gives_one_estimate(metric: str) -> None:
    """Value, interval, unit and name; plain values for JSON."""
    estimate = summarise(metric, pool(metric))
    assert (estimate.quantity, estimate.unit, estimate.reason) == (metric, shelf("metrics")[metric].UNIT, None)
    assert estimate.value is not None
    assert estimate.low is not None, f"{POOL} trials have an interval"
    assert estimate.high is not None
    assert estimate.low <= estimate.value <= estimate.high
    json.dumps(estimate.to_json(), allow_nan=False)


def metric_covers_the_truth(metric: str) -> None:
    """The interval of 40 trials holds the value of all in 90 of 100 draws or more."""
    rows, rng = pool(metric), np.random.default_rng(11)
    truth = summarise(metric, rows).value
    assert truth is not None
    hits = 0
    for _ in range(200):
        found = summarise(metric, [rows[k] for k in rng.integers(0, POOL, 40)])
        hits += found.low is None or found.high is None or found.low <= truth <= found.high
    # 95 % nominal; 200 draws of a sound interval fall below 90 % once in a thousand times.
    assert hits / 200 >= 0.90, f"the interval of {metric} covers {hits} of 200 times"


def metric_does_not_mind_the_order(metric: str) -> None:
    """Trials come from any number of workers, in any order."""
    rows = pool(metric)
    shuffled = [rows[k] for k in np.random.default_rng(0).permutation(POOL)]
    assert summarise(metric, shuffled) == summarise(metric, rows)


def metric_abstains_in_words(metric: str) -> None:
    """No trials, and trials that hold nothing, give no value and a reason."""
    none = measure_trials(metric, [])
    assert (none.value, none.low, none.high, none.n) == (None, None, None, 0)
    assert none.reason
    empty = measure_trials(metric, [Episode("empty", {})] * 3)
    assert (empty.value, empty.unmeasured) == (None, 3)
    assert str(empty.reason).endswith("(3 episodes)"), "the reason says how many trials it holds for"


def metric_leaves_out_the_infrastructure(metric: str) -> None:
    """A trial that failed for reasons outside the policy is counted, and in no number."""
    leaf, rng = shelf("metrics")[metric], np.random.default_rng(5)
    trials = [leaf.plant(rng).trial for _ in range(6)]
    broken = replace(trials[0], extra={**trials[0].extra, "trial": {"infrastructure": "the server died"}})
    alone, together = measure_trials(metric, trials), measure_trials(metric, [*trials, broken, broken])
    assert together.infrastructure == 2
    assert replace(together, infrastructure=0) == alone
    assert measure_trials(metric, [broken]).value is None


METRIC_CLAUSES: tuple[Callable[[str], None], ...] = (
    metric_has_five_sections,
    metric_observes_what_it_plants,
    metric_gives_one_estimate,
    metric_covers_the_truth,
    metric_does_not_mind_the_order,
    metric_abstains_in_words,
    metric_leaves_out_the_infrastructure,
)
"""All that a metric must do."""
