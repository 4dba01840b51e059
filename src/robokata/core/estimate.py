"""A number that was measured, with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from robokata.core.errors import InvalidEstimate


@dataclass(frozen=True)
class Estimate:
    """What is known of a quantity. No data is `value=None` with a reason, never 0."""

    quantity: str
    value: float | None
    low: float | None
    high: float | None
    """Ends of the interval; None where one sample (or none) tells nothing of the spread."""
    n: int
    """Independent units behind the value: trials, sessions, seeds."""
    method: str
    """How value and interval were computed, in words."""
    unit: str | None = None
    """SI unit of the value; None for a share, a count or a number without a unit."""
    reason: str | None = None
    """Why there is no value; None where there is one."""
    infrastructure: int = 0
    """Trials that failed for reasons outside the policy: counted here, and in no denominator."""
    unmeasured: int = 0
    """Trials that hold too little to tell; they are in no denominator either."""
    note: str | None = None
    """What a reader must know besides: why some trials could not be measured."""
    parts: tuple[Estimate, ...] = ()
    """What the value is made of: the causes of failures, the channels of a chatter."""

    def __post_init__(self) -> None:
        if self.value is None:
            if not self.reason:
                raise InvalidEstimate(f"{self.quantity}: no value and no reason. Say why nothing was measured.")
            if self.low is not None or self.high is not None:
                raise InvalidEstimate(f"{self.quantity}: an interval without a value.")
            return
        if not math.isfinite(self.value):
            raise InvalidEstimate(f"{self.quantity}: {self.value} is no number. Say None, and why.")
        if self.reason is not None:
            raise InvalidEstimate(f"{self.quantity}: a value and a reason why there is none ({self.reason}).")
        if (self.low is None) != (self.high is None):
            raise InvalidEstimate(f"{self.quantity}: an interval with one end.")

    @property
    def is_known(self) -> bool:
        """True where there is a value."""
        return self.value is not None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; an infinite end of an interval is the word `inf`, which JSON lacks."""
        out = {**asdict(self), "parts": [part.to_json() for part in self.parts]}
        for end in ("low", "high"):
            if out[end] is not None and math.isinf(out[end]):
                out[end] = "inf" if out[end] > 0 else "-inf"
        return out

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.quantity}: not known ({self.reason})"
        unit = f" {self.unit}" if self.unit else ""
        interval = f" [{self.low:.3g}, {self.high:.3g}]" if self.low is not None and self.high is not None else ""
        return f"{self.quantity}: {self.value:.3g}{unit}{interval}, n = {self.n}"


def unknown(
    quantity: str,
    reason: str,
    *,
    unit: str | None = None,
    n: int = 0,
    infrastructure: int = 0,
    unmeasured: int = 0,
) -> Estimate:
    """An estimate of what could not be measured, and why."""
    return Estimate(
        quantity, None, None, None, n, "none", unit, reason, infrastructure=infrastructure, unmeasured=unmeasured
    )


class Observation(NamedTuple):
    """What one trial says of a quantity: small, picklable, one row of the table that a metric summarises."""

    value: float | None
    """None where the trial does not tell."""
    reason: str | None = None
    """Why the trial does not tell."""
    is_censored: bool = False
    """True where the value is a time that was waited in vain: the event may come later."""
    label: str | None = None
    """A category, where the quantity is one."""
    rate_hz: float | None = None
    """Rate of the numbers behind the value, where values at different rates must not be pooled."""
    is_infrastructure: bool = False
    """True where the trial failed for reasons outside the policy."""
    parts: tuple[tuple[str, float], ...] = ()
    """Further numbers of the same trial, by name."""
