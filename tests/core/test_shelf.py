"""Tests of shelves: a file is its own registration, and third parties may add leaves."""

from __future__ import annotations

import importlib.metadata
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import robokata
from robokata.core.errors import UnknownName
from robokata.core.shelf import Shelf, shelf

CHECKS = Path(robokata.__file__).parent / "checks"


def test_a_shelf_lists_the_files_of_its_folder_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("robokata.checks")]:
        monkeypatch.delitem(sys.modules, name)
    names = Shelf("checks").names()
    assert list(names) == sorted(path.stem for path in CHECKS.glob("*.py") if not path.stem.startswith("_"))
    assert not [name for name in sys.modules if name.startswith("robokata.checks.")]


def test_a_leaf_is_a_module_and_is_imported_once() -> None:
    leaf = shelf("checks")["clock_gap"]
    assert leaf.__name__ == "robokata.checks.clock_gap"
    assert shelf("checks")["clock_gap"] is leaf
    assert "clock_gap" in shelf("checks")


def test_a_shared_part_is_no_leaf() -> None:
    assert "_ticks" not in shelf("checks")
    with pytest.raises(UnknownName):
        shelf("checks")["_ticks"]


def test_an_unknown_leaf_lists_those_that_exist() -> None:
    with pytest.raises(UnknownName) as caught:
        shelf("formats")["rldz"]
    assert (
        str(caught.value)
        == f"No format is called 'rldz'. Did you mean 'rlds'? Known: {', '.join(shelf('formats').names())}."
    )


def test_third_parties_add_leaves_but_cannot_replace_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_check.py").write_text("NEEDS = ()\ncheck = plant = print\n")
    monkeypatch.syspath_prepend(tmp_path)
    group = "robokata.checks"
    points = [EntryPoint("zz_theirs", "their_check", group), EntryPoint("clock_gap", "their_check", group)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: points)
    checks = Shelf("checks")
    assert checks.names() == (*shelf("checks").names(), "zz_theirs")
    assert "zz_theirs" in checks
    assert checks["zz_theirs"].__name__ == "their_check"
    assert checks["clock_gap"].__name__ == "robokata.checks.clock_gap"


def test_a_folder_that_does_not_exist_is_an_empty_shelf() -> None:
    assert Shelf("no_such_folder").names() == ()
