"""Every step, the moment its file exists: pure, traced, and told by plain options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from robokata.core.shelf import shelf
from robokata.testing import STEP_CLAUSES

NEEDED: Mapping[str, Mapping[str, Any]] = {
    "keep_cameras": {"cameras": ("front",)},
    "plant_defect": {"check": "stuck_encoder"},
    "take_subset": {"share": 0.5},
}
"""Options of steps that cannot be applied without."""


@pytest.mark.parametrize("step", shelf("steps").names())
@pytest.mark.parametrize("clause", STEP_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_step_keeps_the_contract(step: str, clause: Callable[[str, Mapping[str, Any]], None]) -> None:
    clause(step, NEEDED.get(step, {}))
