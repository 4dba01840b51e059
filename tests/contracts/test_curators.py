"""Every curator, the moment its file exists: as many as asked, whatever the order, bound to the data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robokata.core.shelf import shelf
from robokata.testing import CURATOR_CLAUSES


@pytest.mark.parametrize("curator", shelf("curators").names())
@pytest.mark.parametrize("clause", CURATOR_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_curator_keeps_the_contract(curator: str, clause: Callable[[str], None]) -> None:
    clause(curator)
