"""What an expander must do, as functions that third parties run on theirs.

Each takes the expander's name, a source that it can use, and options that suit it (`{}` where none is needed).
"""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from robokata.core.contracts import ExpansionJobs
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.runtime.options import options_of, takes

Options = Mapping[str, Any]
_TRIES = 4


def expander_has_plain_options(expander: str, source: Source, options: Options) -> None:
    """Every option can be written in a TOML file, and chance comes from `seed` alone."""
    plan = shelf("expanders")[expander].plan
    options_of(plan)
    assert "rng" not in inspect.signature(plan).parameters, "an expander draws from its seed, and takes no rng"


def expander_plans_without_making(expander: str, source: Source, options: Options) -> None:
    """The plan is plain values, the same each time, with a bound on the tries."""
    plan, again = (_plan(expander, source, options) for _ in range(2))
    assert json.dumps(plan.recipe, sort_keys=True) == json.dumps(again.recipe, sort_keys=True)
    assert plan.at_most(3) >= 1
    assert not plan.advice or plan.advice.endswith("."), "the advice is a sentence"


def expander_repeats_itself(expander: str, source: Source, options: Options) -> None:
    """A job is a pure function of its number, here and in another process."""
    plan = _plan(expander, source, options)
    job = plan.job
    elsewhere = pickle.loads(pickle.dumps(job))  # noqa: S301 - bytes that were made on this line
    for number in range(min(_TRIES, plan.most_tries or _TRIES)):
        first, second = job(number), elsewhere(number)
        assert dict(first.row) == dict(second.row), f"job {number} says something else the second time"
        assert (first.episode is None) == (second.episode is None)
        for stream in () if first.episode is None else first.episode.numeric():
            assert stream.table.tobytes() == second.episode.stream(stream.name).table.tobytes(), stream.name


def expander_says_why(expander: str, source: Source, options: Options) -> None:
    """Every row says `success`, and `reason` where there is none; what succeeds is an episode with an id of its own."""
    plan, ids = _plan(expander, source, options), set(source.keys())
    for number in range(min(_TRIES, plan.most_tries or _TRIES)):
        result = plan.job(number)
        assert result.row["success"] in (True, False)
        assert result.row["success"] or result.row["reason"], f"job {number} fails without a reason"
        if result.row["success"]:
            assert result.episode is not None
            assert result.episode.id not in ids, f"job {number} gives an id twice: {result.episode.id}"
            ids.add(result.episode.id)


EXPANDER_CLAUSES: tuple[Callable[[str, Source, Options], None], ...] = (
    expander_has_plain_options,
    expander_plans_without_making,
    expander_repeats_itself,
    expander_says_why,
)
"""All that an expander must do."""


def _plan(expander: str, source: Source, options: Options) -> ExpansionJobs:
    plan = shelf("expanders")[expander].plan
    return plan(source, keys=list(source.keys()), **options, **takes(plan, {"seed": 3}))
