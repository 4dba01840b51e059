"""What every metric does with trials: leave out the infrastructure's, count those that cannot tell, pool the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation, unknown

_RATES_DIFFER_RATIO = 1.05
"""Jitter moves a measured rate by a few percent; another control rate moves it by more."""


def rows_of(trials: Sequence[Episode], observe: Callable[[Episode], Observation]) -> list[Observation]:
    """One observation per trial; a trial of the infrastructure is not looked at."""
    return [
        observe(trial)
        if infrastructure_of(trial) is None
        else Observation(None, infrastructure_of(trial), is_infrastructure=True)
        for trial in trials
    ]


def infrastructure_of(trial: Episode) -> str | None:
    """Why a trial does not count (a dead policy server, a crashed simulator), None where it does."""
    said = trial_facts(trial).get("infrastructure")
    return str(said) if said else None


def trial_facts(trial: Episode) -> Mapping[str, Any]:
    """What the evaluator says of the trial; empty for a demonstration."""
    found = trial.extra.get("trial")
    return found if isinstance(found, Mapping) else {}


def simulation_facts(trial: Episode) -> Mapping[str, Any]:
    """What the simulator says of the episode; empty for a recording of a real robot."""
    found = trial.extra.get("simulation")
    return found if isinstance(found, Mapping) else {}


def known_values(observations: Sequence[Observation]) -> list[float]:
    """Values of the trials that count and can tell."""
    return [o.value for o in observations if o.value is not None and not o.is_infrastructure]


def with_counts(estimate: Estimate, observations: Sequence[Observation]) -> Estimate:
    """The estimate, and how many trials are not in it and why."""
    infrastructure = sum(o.is_infrastructure for o in observations)
    silent = [o for o in observations if o.value is None and not o.is_infrastructure]
    # The commonest reason first, ties in alphabetical order: the words must not depend on the order of trials.
    reasons = sorted(Counter(o.reason or "not said" for o in silent).items(), key=lambda item: (-item[1], item[0]))
    said = "; ".join(f"{reason} ({count} episodes)" if count > 1 else reason for reason, count in reasons[:3])
    counted = replace(estimate, infrastructure=infrastructure, unmeasured=len(silent))
    if estimate.value is not None:
        return replace(counted, note="; ".join(filter(None, (estimate.note, said))) or None)
    if said:
        return replace(counted, reason=said)
    if infrastructure:
        return replace(counted, reason=f"all {infrastructure} trials failed for reasons outside the policy")
    return counted


def pooled(
    quantity: str,
    observations: Sequence[Observation],
    estimate: Callable[[str, Sequence[float]], Estimate],
    *,
    unit: str | None = None,
) -> Estimate:
    """The estimate from the values that may be pooled; None where the trials must not be."""
    counted = [o for o in observations if o.value is not None and not o.is_infrastructure]
    unlike = _why_unlike(counted)
    if unlike is not None:
        return with_counts(unknown(quantity, unlike, unit=unit, n=len(counted)), [])
    return with_counts(replace(estimate(quantity, known_values(observations)), unit=unit), observations)


def parts_of(
    observations: Sequence[Observation],
    names: Sequence[str],
    estimate: Callable[[str, Sequence[float]], Estimate],
    units: Mapping[str, str | None],
) -> tuple[Estimate, ...]:
    """Estimates of the further numbers of the trials, by name; those that no trial has are left out."""
    out = []
    for name in names:
        values = [dict(o.parts)[name] for o in observations if not o.is_infrastructure and name in dict(o.parts)]
        if values:
            out.append(replace(estimate(name, values), unit=units.get(name)))
    return tuple(out)


def _why_unlike(observations: Sequence[Observation]) -> str | None:
    labels = sorted({o.label for o in observations if o.label is not None})
    if len(labels) > 1:
        return f"measured on {' in some trials and on '.join(labels)} in others: the two cannot be pooled"
    rates = sorted(o.rate_hz for o in observations if o.rate_hz is not None)
    if rates and rates[-1] > _RATES_DIFFER_RATIO * rates[0]:
        return (
            f"trials at {rates[0]:.3g} Hz and at {rates[-1]:.3g} Hz cannot be pooled: the value depends on the rate. "
            f"Observe all with rate_hz={rates[0]:.3g}"
        )
    return None
