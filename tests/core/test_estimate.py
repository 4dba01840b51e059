"""Estimates: no data is None with a reason."""

from __future__ import annotations

import json
import math

import pytest

from robokata.core.errors import InvalidEstimate
from robokata.core.estimate import Estimate, unknown


def test_an_estimate_shows_value_interval_unit_and_n() -> None:
    assert str(Estimate("time_to_success", 3.214, 2.9, 4.01, 20, "t", "s")) == (
        "time_to_success: 3.21 s [2.9, 4.01], n = 20"
    )
    assert str(Estimate("sparc", -2.0, None, None, 1, "one trial")) == "sparc: -2, n = 1"
    assert str(unknown("drops", "contacts were not recorded")) == "drops: not known (contacts were not recorded)"


def test_no_data_is_never_a_number() -> None:
    found = unknown("drops", "no trials", unit="1/s", infrastructure=2)
    assert (found.value, found.low, found.high, found.n, found.is_known) == (None, None, None, 0, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", None, None, None, 0, "m"), "x: no value and no reason. Say why nothing was measured."),
        (("x", None, 0.0, 1.0, 0, "m", None, "why"), "x: an interval without a value."),
        (("x", math.nan, None, None, 3, "m"), "x: nan is no number. Say None, and why."),
        (("x", 1.0, 0.0, None, 3, "m"), "x: an interval with one end."),
        (("x", 1.0, 0.0, 2.0, 3, "m", None, "no"), "x: a value and a reason why there is none (no)."),
    ],
)
def test_what_contradicts_itself_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InvalidEstimate) as caught:
        Estimate(*arguments)
    assert str(caught.value) == message


def test_an_estimate_is_plain_json_with_its_parts() -> None:
    part = Estimate("p", 1.0, -math.inf, math.inf, 2, "m")
    plain = json.loads(json.dumps(Estimate("x", 1.0, 0.5, 2.0, 3, "m", parts=(part,)).to_json(), allow_nan=False))
    assert (plain["parts"][0]["low"], plain["parts"][0]["high"], plain["n"]) == ("-inf", "inf", 3)
