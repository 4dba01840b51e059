"""Every expander that makes episodes out of episodes alone: plain options, pure jobs, reasons."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robokata.core.detection import open_source
from robokata.core.leaf_kinds import writable_format
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.testing import EXPANDER_CLAUSES
from steps.simulated import lifted

OTHERS = ("demonstrations", "factors", "world_model")
"""They need a simulated task's physics, or a server: tests/expansion."""
BY_STEPS = [name for name in shelf("expanders").names() if name not in OTHERS]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("sources") / "set"
    writable_format("mcap").write(path, [lifted(0), lifted(1)])
    return open_source(path)


@pytest.mark.parametrize("expander", BY_STEPS)
@pytest.mark.parametrize("clause", EXPANDER_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_expander_keeps_the_contract(expander: str, clause: Callable[..., None], sources: Source) -> None:
    clause(expander, sources, {})
