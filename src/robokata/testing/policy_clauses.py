"""What a policy must do once it is open, as functions that third parties run on theirs; each takes the open policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from robokata.core.contracts import Policy, PolicySpec

_SIDE_PX = 96
"""Side of the pictures that it is shown: any size is accepted."""


def policy_says_what_it_wants(policy: Policy) -> None:
    """Its spec names channels, chunk and rate, and streams with a shape and times that have passed."""
    spec = policy.hello()
    assert spec.name
    assert spec.channels, "an action has channels"
    assert len(set(spec.channels)) == len(spec.channels), "every channel has its own name"
    assert spec.chunk_steps >= 1
    assert 0 <= spec.execute_steps <= spec.chunk_steps
    assert spec.rate_hz > 0
    for need in spec.needs:
        assert need.shape, f"{need.name} has no shape"
        assert not need.channels or need.shape == (len(need.channels),), f"{need.name}: shape and channels differ"
        assert need.at_s, f"{need.name} is looked at never"
        assert all(at_s <= 0 for at_s in need.at_s), f"{need.name} is looked at in the future"
        assert list(need.at_s) == sorted(need.at_s), f"{need.name}: oldest first"


def policy_answers_a_chunk(policy: Policy) -> None:
    """It answers as many actions as its spec says, of its channels, all finite."""
    spec = policy.hello()
    policy.reset("clause", seed=0)
    chunk = policy.act(_observation(spec, seed=0))
    assert chunk.actions.shape == (spec.chunk_steps, len(spec.channels)), "an answer has the shape of the spec"
    assert chunk.channels == spec.channels
    assert chunk.rate_hz == spec.rate_hz
    assert np.isfinite(chunk.actions).all(), "an answer is finite"


def policy_repeats_itself(policy: Policy) -> None:
    """After a reset with the same seed the same observations get the same answers: nothing is left over."""
    spec, answers = policy.hello(), []
    for _ in range(2):
        policy.reset("clause", seed=7)
        answers.append([policy.act(_observation(spec, seed=step, time_s=step / 10)).actions for step in range(3)])
    for first, second in zip(*answers, strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-6, err_msg="two attempts with one seed differ")


POLICY_CLAUSES: tuple[Callable[[Policy], None], ...] = (
    policy_says_what_it_wants,
    policy_answers_a_chunk,
    policy_repeats_itself,
)
"""All that an open policy must do."""


def _observation(spec: PolicySpec, *, seed: int, time_s: float = 0.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    seen: dict[str, Any] = {"instruction": "stack the red cube on the green cube", "time_s": time_s}
    for need in spec.needs:
        is_picture = len(need.shape) == 3
        shape = (_SIDE_PX, _SIDE_PX, 3) if is_picture else need.shape
        whole = shape if need.at_s == (0.0,) else (len(need.at_s), *shape)
        if is_picture:
            seen[need.name] = rng.integers(0, 256, whole, dtype=np.uint8)
        else:
            numbers = rng.normal(0.0, 0.1, whole)
            # A pose must be one: quaternions have length 1.
            at = [number for number, name in enumerate(need.channels) if name.rpartition(".")[2] in _QUAT]
            if at:
                numbers[..., at] = np.tile([0.0, 0.0, 0.0, 1.0], len(at) // 4)
            seen[need.name] = numbers
    return seen


_QUAT = ("qx", "qy", "qz", "qw")
