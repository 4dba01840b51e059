"""Tests of optional libraries: a missing one is named with the command that installs it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from robokata.core.errors import MissingPart
from robokata.core.require import require


def test_a_library_that_is_there_is_imported() -> None:
    assert require("math", extra="video") is math


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.part"])
def test_a_missing_library_is_named_with_the_command_that_installs_it(module: str) -> None:
    with pytest.raises(MissingPart) as caught:
        require(module, extra="hdf5")
    assert str(caught.value) == (
        "Reading this needs the Python package 'no_such_library', which is not installed. "
        "Run: pip install 'robokata[hdf5]'"
    )


def test_a_library_that_is_itself_incomplete_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import its_own_missing_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        require("half_installed", extra="ros")
    assert caught.value.name == "its_own_missing_dependency"
