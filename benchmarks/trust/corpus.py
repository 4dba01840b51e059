"""All variants, in one order."""

from __future__ import annotations

from benchmarks.trust import clocks, columns, log_videos, logs, tables, videos
from benchmarks.trust.truth import Variant


def corpus() -> list[Variant]:
    """Every variant; names are unique."""
    families = (videos, log_videos, tables, columns, logs, clocks)
    found = [variant for family in families for variant in family.variants()]
    names = {variant.name for variant in found}
    if len(names) != len(found):
        raise ValueError(f"{len(found)} variants, and only {len(names)} names")
    return found
