"""`kata explain`."""

from __future__ import annotations

import pytest
from kata_command import Kata

from robokata.core.shelf import shelf
from robokata.core.suite import thresholds_of


@pytest.mark.parametrize("name", shelf("checks").names())
def test_each_check_is_explained_with_its_thresholds(kata: Kata, name: str) -> None:
    said = kata("explain", name)
    assert said.code == 0
    assert said.out.startswith(f"{name}: ")
    documentation = (shelf("checks")[name].__doc__ or "").strip().splitlines()
    assert documentation[-1].strip() in said.out
    for threshold in thresholds_of(shelf("checks")[name]):
        assert f"    {threshold} = " in said.out


def test_a_name_that_is_nearly_right_is_helped(kata: Kata) -> None:
    said = kata("explain", "clock_gab")
    assert said.code == 2
    assert said.err.startswith("kata: No check is called 'clock_gab'. Did you mean 'clock_gap'? Known: ")


@pytest.mark.parametrize("name", ["", "..", "os", "__init__", "_ticks"])
def test_what_is_no_check_is_refused(kata: Kata, name: str) -> None:
    assert kata("explain", name).code == 2
