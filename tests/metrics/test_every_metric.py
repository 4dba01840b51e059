"""Every metric, the moment its file exists: it finds what was planted, its interval covers, it abstains in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from robokata.core.shelf import shelf
from robokata.evaluation.metric import measure_trials, summarise
from robokata.metrics._scripted_trial import without_simulator
from robokata.testing import METRIC_CLAUSES, scripted_trial

every_metric = pytest.mark.parametrize("name", shelf("metrics").names())


@every_metric
@pytest.mark.parametrize("clause", METRIC_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_metric_keeps_the_contract(name: str, clause: Callable[[str], None]) -> None:
    clause(name)


@every_metric
def test_measuring_is_observing_and_then_summarising(name: str) -> None:
    leaf, rng = shelf("metrics")[name], np.random.default_rng(9)
    trials = [leaf.plant(rng).trial for _ in range(5)]
    assert measure_trials(name, trials) == summarise(name, [leaf.observe(each) for each in trials])


@every_metric
def test_a_robots_log_is_measured_or_abstained_from_in_words(name: str) -> None:
    log = without_simulator(scripted_trial(np.random.default_rng(1), empties=1))
    seen = shelf("metrics")[name].observe(replace(log, outcome=type(log.outcome)(None)))
    assert (seen.value is None) == (seen.reason is not None)
