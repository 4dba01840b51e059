"""Several claims at once: p-values that hold together."""

from __future__ import annotations

from collections.abc import Mapping

from robokata.core.errors import InvalidEstimate


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values, in the order given: each <= alpha claims hold together with error <= alpha.

    Holm, Scandinavian Journal of Statistics 6 (1979): the k-th smallest of m is multiplied by m - k + 1, and never
    made smaller than the one before it. Nothing is assumed of how the tests depend on each other.

    Raises:
        InvalidEstimate: a p-value lies outside 0..1.
    """
    for name, p_value in p_values.items():
        if not 0 <= p_value <= 1:
            raise InvalidEstimate(f"{name}: a p-value of {p_value}.")
    adjusted: dict[str, float] = {}
    floor = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p_values}
