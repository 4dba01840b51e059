"""What two sets of trials must agree in before they may be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from robokata.core.episode import Episode
from robokata.core.errors import ComparisonRefused


@dataclass(frozen=True)
class TrialProtocol:
    """The conditions of a trial. Seeds and policies are not part of it: they are what is compared."""

    task: str
    width: str
    """How far apart resets lie (`D0`, `D1`, `D2`), or the name of a fixed list of starts."""
    control_rate_hz: float
    horizon_s: float
    success: str
    """What counts as success, in words that the evaluator fixes: `held for 0.5 s`, `at the last step`."""
    executed_steps: int
    """Actions of each predicted chunk that are executed before the policy is asked again."""
    simulator: str
    """Name and version: `mujoco 4.0.0`; `real` with the site for a real robot."""
    robot: str = ""
    instruction: str = ""
    """Template of the instruction: a paraphrase is another protocol."""
    cameras: tuple[str, ...] = ()
    factors: Mapping[str, float | int | str] = field(default_factory=dict)
    """Probe factors and their magnitudes, in the units that the probe names; empty for the plain task."""
    more: Mapping[str, float | int | str] = field(default_factory=dict)
    """Whatever else the evaluator holds fixed (model hash, control mode)."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`, in one order whatever the order of the mappings."""
        plain = {**asdict(self), "cameras": sorted(self.cameras)}
        plain["factors"] = {name: self.factors[name] for name in sorted(self.factors)}
        plain["more"] = {name: self.more[name] for name in sorted(self.more)}
        return plain

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that depend on nothing but the fields: the same on every machine, in every process."""
        text = json.dumps(_canonical(self.to_json()), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_unlike(first: TrialProtocol, second: TrialProtocol, *, except_factors: Sequence[str] = ()) -> None:
    """Do nothing where two protocols are the same; `except_factors` names the factors that are the question.

    Raises:
        ComparisonRefused: they differ; the message lists each field with both values.
    """
    one, two = (_flat(protocol, except_factors) for protocol in (first, second))
    unlike = [name for name in sorted(set(one) | set(two)) if one.get(name) != two.get(name)]
    if unlike:
        shown = "; ".join(f"{name}: {one.get(name, 'none')!r} and {two.get(name, 'none')!r}" for name in unlike)
        raise ComparisonRefused(
            f"These trials were run under unlike protocols ({first.hash}, {second.hash}) and cannot be compared. "
            f"They differ in {shown}. Run both under one protocol."
        )


def protocol_hash_of(trials: Sequence[Episode]) -> str:
    """The one protocol hash that all trials carry (`extra["trial"]["protocol_hash"]`).

    Raises:
        ComparisonRefused: they carry several, or some carry none.
    """
    found: dict[str, int] = {}
    for trial in trials:
        said = str(trial.extra.get("trial", {}).get("protocol_hash") or "none")
        found[said] = found.get(said, 0) + 1
    if len(found) != 1 or "none" in found:
        counted = ", ".join(f"{name} x{count}" for name, count in sorted(found.items())) or "no trials"
        raise ComparisonRefused(
            f"Trials of more than one protocol, or of none, in one set: {counted}. Evaluate each protocol by itself."
        )
    return next(iter(found))


def refuse_one_seed(seeds: Sequence[str | int], *, claim: str) -> None:
    """Do nothing where at least two training seeds stand behind a claim.

    Raises:
        ComparisonRefused: one seed, or none.
    """
    if len(set(seeds)) < 2:
        raise ComparisonRefused(
            f"{claim}: {len(set(seeds))} training seed(s) cannot carry a claim of significance. Another seed of the "
            f"same recipe may differ by more than the two arms do, and one seed does not show by how much. Train at "
            f"least 3 seeds per arm."
        )


def _flat(protocol: TrialProtocol, except_factors: Sequence[str]) -> dict[str, Any]:
    plain = _canonical(protocol.to_json())
    factors = {f"factors.{k}": v for k, v in plain.pop("factors").items() if k not in except_factors}
    more = {f"more.{k}": v for k, v in plain.pop("more").items()}
    return {**plain, **factors, **more}


def _canonical(value: Any) -> Any:
    """20 and 20.0 are one rate: whole floats become integers before hashing."""
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
