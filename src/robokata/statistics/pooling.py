"""One estimate from the observations of trials: without the infrastructure's, and counting those that cannot tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from robokata.core.contracts import Mean, MetricPart
from robokata.core.errors import InvalidEstimate
from robokata.core.estimate import Estimate, Observation, unknown
from robokata.statistics.intervals import mean_of_counts, mean_of_numbers, mean_of_shares, proportion

_RATES_DIFFER_RATIO = 1.05
"""Jitter moves a measured rate by a few percent; another control rate moves it by more."""


def rate(quantity: str, values: Sequence[float]) -> Estimate:
    """The share of ones among zeros and ones.

    Raises:
        InvalidEstimate: a value is neither.
    """
    if not {0.0, 1.0}.issuperset(values):
        raise InvalidEstimate(f"{quantity}: values of a rate are 0 or 1, got {sorted({*values} - {0.0, 1.0})[0]:g}.")
    return proportion(quantity, round(sum(values)), len(values))


_ESTIMATES: Mapping[Mean, Callable[[str, Sequence[float]], Estimate]] = {
    Mean.RATE: rate,
    Mean.OF_SHARES: mean_of_shares,
    Mean.OF_COUNTS: mean_of_counts,
    Mean.OF_NUMBERS: mean_of_numbers,
}


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
    mean: Mean,
    *,
    unit: str | None = None,
    parts: Mapping[str, MetricPart] | None = None,
) -> Estimate:
    """The estimate from the values that may be pooled; None where the trials must not be."""
    counted = [o for o in observations if o.value is not None and not o.is_infrastructure]
    further = parts_of(observations, parts or {})
    unlike = _why_unlike(counted)
    if unlike is not None:
        return replace(with_counts(unknown(quantity, unlike, unit=unit, n=len(counted)), []), parts=further)
    estimate = _ESTIMATES[mean](quantity, known_values(observations))
    return replace(with_counts(replace(estimate, unit=unit), observations), parts=further)


def parts_of(observations: Sequence[Observation], parts: Mapping[str, MetricPart]) -> tuple[Estimate, ...]:
    """Estimates of the further numbers of the trials, by name; those that no trial has are left out."""
    out = []
    for name, part in parts.items():
        values = [dict(o.parts)[name] for o in observations if not o.is_infrastructure and name in dict(o.parts)]
        if values:
            out.append(replace(_ESTIMATES[part.mean](name, values), unit=part.unit))
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
