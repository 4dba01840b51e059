"""Every robot on the shelf: its model, its limits, its hand, its reach."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robokata.core.shelf import shelf
from robokata.testing import ROBOT_CLAUSES


@pytest.mark.parametrize("robot", shelf("robots").names())
@pytest.mark.parametrize("clause", ROBOT_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_robot_keeps_the_contract(robot: str, clause: Callable[[str], None]) -> None:
    clause(robot)
