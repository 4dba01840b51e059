"""Every metric, the moment its file exists: it finds what was planted, its interval covers, it abstains in words."""

from __future__ import annotations

import functools
import inspect
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.core.shelf import shelf
from robokata.evaluation.metric import measure_trials, summarise
from robokata.metrics._scripted_trial import scripted_trial, without_simulator

SECTIONS = ("Definition:", "Unit:", "Needs:", "Limits:", "Source:")
METRICS = shelf("metrics").names()
POOL = 120
every_metric = pytest.mark.parametrize("name", METRICS)


@functools.cache
def pool(name: str) -> tuple[Observation, ...]:
    rng = np.random.default_rng(7)
    return tuple(shelf("metrics")[name].observe(shelf("metrics")[name].plant(rng).trial) for _ in range(POOL))


@every_metric
def test_the_docstring_has_its_five_sections(name: str) -> None:
    text = inspect.getdoc(shelf("metrics")[name]) or ""
    assert re.findall(r"^(\w+:)$", text, flags=re.M) == list(SECTIONS)


@every_metric
def test_the_estimate_bears_the_metrics_name_and_unit(name: str) -> None:
    leaf = shelf("metrics")[name]
    estimate = summarise(name, pool(name))
    assert (estimate.quantity, estimate.unit, estimate.reason) == (name, leaf.UNIT, None)
    assert estimate.low is not None
    assert estimate.low <= estimate.value <= estimate.high
    json.dumps(estimate.to_json(), allow_nan=False)


@every_metric
def test_what_was_planted_is_observed(name: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(25):
        made = shelf("metrics")[name].plant(rng)
        seen = shelf("metrics")[name].observe(made.trial)
        assert seen.value is not None, seen.reason
        if made.truth is not None:
            assert seen.value == pytest.approx(made.truth, abs=0.051), seen


@every_metric
def test_the_interval_covers_the_truth(name: str) -> None:
    rows, rng = pool(name), np.random.default_rng(11)
    truth = summarise(name, rows).value
    hits = 0
    for _ in range(200):
        found = summarise(name, [rows[k] for k in rng.integers(0, POOL, 40)])
        hits += found.low is None or found.low <= truth <= found.high
    # 95 % nominal; 200 draws of a sound interval fall below 90 % once in a thousand times.
    assert hits / 200 >= 0.90


@every_metric
def test_the_order_of_the_trials_does_not_matter(name: str) -> None:
    rows = pool(name)
    shuffled = [rows[k] for k in np.random.default_rng(0).permutation(POOL)]
    assert summarise(name, shuffled) == summarise(name, rows)


@every_metric
def test_no_trials_give_no_value_and_a_reason(name: str) -> None:
    estimate = measure_trials(name, [])
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
    assert estimate.reason


@every_metric
def test_an_episode_that_holds_nothing_is_told_so_in_words(name: str) -> None:
    estimate: Estimate = measure_trials(name, [Episode("empty", {})] * 3)
    assert estimate.value is None
    assert estimate.unmeasured == 3
    assert estimate.reason is not None
    assert estimate.reason.endswith("(3 episodes)")


@every_metric
def test_trials_of_the_infrastructure_are_counted_and_left_out(name: str) -> None:
    rng = np.random.default_rng(5)
    trials = [shelf("metrics")[name].plant(rng).trial for _ in range(6)]
    broken = replace(trials[0], extra={**trials[0].extra, "trial": {"infrastructure": "the server died"}})
    alone, together = measure_trials(name, trials), measure_trials(name, [*trials, broken, broken])
    assert together.infrastructure == 2
    assert replace(together, infrastructure=0) == alone
    assert measure_trials(name, [broken]).value is None


@every_metric
def test_measuring_is_observing_and_then_summarising(name: str) -> None:
    leaf, rng = shelf("metrics")[name], np.random.default_rng(9)
    trials = [shelf("metrics")[name].plant(rng).trial for _ in range(5)]
    assert measure_trials(name, trials) == summarise(name, [leaf.observe(each) for each in trials])


@every_metric
def test_a_robots_log_is_measured_or_abstained_from_in_words(name: str) -> None:
    log = without_simulator(scripted_trial(np.random.default_rng(1), empties=1))
    seen = shelf("metrics")[name].observe(replace(log, outcome=type(log.outcome)(None)))
    assert (seen.value is None) == (seen.reason is not None)
