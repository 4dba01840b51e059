"""Tests of contracts: a leaf is held to its shelf's when it is loaded, and told exactly what it lacks."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from robokata.core.contracts import CurveKind, StepLeaf
from robokata.core.contracts.demands import CONTRACTS, faults, fill_defaults
from robokata.core.errors import LeafRefused
from robokata.core.shelf import Shelf, shelf


@pytest.mark.parametrize("folder", CONTRACTS)
def test_every_leaf_of_ours_meets_its_contract(folder: str) -> None:
    for name in shelf(folder).names():
        assert faults(folder, shelf(folder)[name]) == ()


def given(**names: object) -> SimpleNamespace:
    return SimpleNamespace(**names)


@pytest.mark.parametrize(
    ("folder", "leaf", "lacks"),
    [
        ("checks", given(), ("`NEEDS`", "`check(episode)`", "`plant(episode, rng, magnitude)`")),
        ("checks", given(gather=len), ("`NEEDS`", "`judge(rows, facts)`", "`plant(source, rng, magnitude)`")),
        ("formats", given(LOOKS_FOR="x", write=max), ("`LOSES`", "`layout(episode)`")),
        ("formats", given(LOOKS_FOR="x", sniff=len), ("`read(path)`",)),
        ("steps", given(), ("`step(episode)`",)),
        ("steps", given(describe=len), ("`choose(rows)`",)),
        ("curators", given(describe=len, choose=len), ("`choose(rows, *, keep, rng)` with these arguments",)),
        ("metrics", given(UNIT=None, MEAN="rate", observe=len), ("`plant(rng)`",)),
        ("robots", given(), ("`ROBOT`",)),
        ("policies", given(build=max, load=len), ("`HABITS`",)),
        ("policies", given(HABITS=1, load=3, train=len), ("a function `load(order)` (it is 3)",)),
        ("steps", given(step=lambda: 1), ("`step(episode)` with these arguments",)),
        ("steps", given(step=len, REMOVES_EPISODES="no"), ("`REMOVES_EPISODES` as bool (it is 'no')",)),
        ("checks", given(check=len, gather=len), ("one of `check` or `gather` and `judge`, and has both",)),
        ("no_such_shelf", given(), ()),
    ],
)  # fmt: skip
def test_what_a_leaf_lacks_is_named(folder: str, leaf: object, lacks: tuple[str, ...]) -> None:
    assert tuple(each.replace("self, ", "") for each in faults(folder, leaf)) == lacks


def test_options_of_its_own_are_a_leafs_own_affair() -> None:
    assert faults("steps", given(step=lambda episode, *, check, seed=0: iter([episode]))) == ()


def test_what_a_leaf_does_not_say_is_filled_in() -> None:
    leaf = given(step=lambda episode: iter([episode]))
    assert not isinstance(leaf, StepLeaf)
    fill_defaults("steps", leaf)
    assert isinstance(leaf, StepLeaf)
    assert leaf.REMOVES_EPISODES is False
    assert shelf("checks")["clock_gap"].CURVE is CurveKind.INTERVALS
    assert shelf("checks")["not_finite"].CURVE is CurveKind.VALUES


def test_a_leaf_of_ours_that_lacks_a_name_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Shelf("steps")
    monkeypatch.setitem(vars(steps), "_own", ("half_done",))
    monkeypatch.setitem(sys.modules, "robokata.steps.half_done", given(REMOVES_EPISODES=True))  # type: ignore[arg-type]
    with pytest.raises(LeafRefused) as caught:
        steps["half_done"]
    assert str(caught.value) == (
        "the step 'half_done' lacks `step(episode)`. See \"A step\" in docs/adding.md for what a step defines: add it "
        "there."
    )
