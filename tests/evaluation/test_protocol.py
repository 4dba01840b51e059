"""Protocols: the same conditions give the same hash everywhere, and unlike ones are not compared."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import pytest

from robokata.core.episode import Episode
from robokata.core.errors import ComparisonRefused
from robokata.evaluation.protocol import TrialProtocol, protocol_hash_of, refuse_one_seed, refuse_unlike

PROTOCOL = TrialProtocol("stack", "D0", 20.0, 15.0, "at the last step", 8, "mujoco 4.0.0", factors={"light": 0.5})


def test_the_hash_is_the_same_in_every_process() -> None:
    code = (
        "from robokata.evaluation.protocol import TrialProtocol as T;"
        "print(T('stack','D0',20,15,'at the last step',8,'mujoco 4.0.0',factors={'light':0.5}).hash)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert said == PROTOCOL.hash == "fb82617c143c6795"
    assert len(PROTOCOL.hash) == 16


def test_every_field_counts_and_the_order_of_mappings_does_not() -> None:
    for field in fields(PROTOCOL):
        value = getattr(PROTOCOL, field.name)
        other = {"x": 1} if isinstance(value, dict) else (("c",) if isinstance(value, tuple) else value * 2 or "x")
        assert replace(PROTOCOL, **{field.name: other}).hash != PROTOCOL.hash, field.name
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert replace(PROTOCOL, factors=one).hash == replace(PROTOCOL, factors=other).hash
    assert replace(PROTOCOL, cameras=("a", "b")).hash == replace(PROTOCOL, cameras=("b", "a")).hash


def test_unlike_protocols_are_refused_with_each_difference() -> None:
    other = replace(PROTOCOL, control_rate_hz=10.0, factors={"light": 0.5, "pose": 1})
    refuse_unlike(PROTOCOL, PROTOCOL)
    with pytest.raises(ComparisonRefused) as caught:
        refuse_unlike(PROTOCOL, other)
    assert str(caught.value) == (
        f"These trials were run under unlike protocols ({PROTOCOL.hash}, {other.hash}) and cannot be compared. They "
        f"differ in control_rate_hz: 20 and 10; factors.pose: 'none' and 1. Run both under one protocol."
    )


def test_what_differs_is_said_once() -> None:
    with pytest.raises(ComparisonRefused, match=r"They differ in more\.seed: 1 and 2\. Run"):
        refuse_unlike(replace(PROTOCOL, more={"seed": 1}), replace(PROTOCOL, more={"seed": 2}))


def test_a_probe_is_compared_with_its_control_by_the_factor_it_changes_and_no_other() -> None:
    bright = replace(PROTOCOL, factors={"light": 0.9})
    refuse_unlike(PROTOCOL, bright, except_factors=["light"])
    with pytest.raises(ComparisonRefused):
        refuse_unlike(PROTOCOL, replace(bright, horizon_s=20.0), except_factors=["light"])


def test_a_set_of_trials_has_one_protocol() -> None:
    trials = [Episode(str(n), {}, extra={"trial": {"protocol_hash": "abc"}}) for n in range(3)]
    assert protocol_hash_of(trials) == "abc"
    with pytest.raises(ComparisonRefused) as caught:
        protocol_hash_of([*trials, Episode("x", {})])
    assert str(caught.value) == (
        "Trials of more than one protocol, or of none, in one set: abc x3, none x1. Evaluate each protocol by itself."
    )


def test_significance_from_one_training_seed_is_refused() -> None:
    refuse_one_seed([0, 1], claim="cleaning helps")
    with pytest.raises(ComparisonRefused, match=r"cleaning helps: 1 training seed\(s\) cannot carry a claim"):
        refuse_one_seed([0, 0], claim="cleaning helps")
