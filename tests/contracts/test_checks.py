"""Every check, the moment its file exists: it fires on its own counterexample and is silent on sound data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robokata.core.shelf import shelf
from robokata.testing import CHECK_CLAUSES


@pytest.mark.parametrize("check", shelf("checks").names())
@pytest.mark.parametrize("clause", CHECK_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_check_keeps_the_contract(check: str, clause: Callable[[str], None]) -> None:
    clause(check)
