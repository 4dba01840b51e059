"""Files that a user names and that nest without end, or hold a number of a million digits: one line that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robokata.core.errors import DamagedData, RobokataError, SelectionRefused
from robokata.core.selection import read_selection
from robokata.core.suite import read_suite
from robokata.evaluation.evaluation import earlier_at
from robokata.learn.checkpoint import read_card
from robokata.learn.training_spec import spec_at
from robokata.runtime.schema import read_toml

JSON = {"nested": "[" * 100_000, "digits": '{"version": ' + "1" * 10_000 + "}"}
TOML = {"nested": "a = " + "[" * 100_000, "digits": "a = " + "1" * 10_000}


@pytest.mark.parametrize("kind", TOML)
@pytest.mark.parametrize("read", [read_toml, read_suite, spec_at], ids=lambda read: read.__name__)
def test_a_toml_file_is_refused_by_name(tmp_path: Path, read: Callable[[Path], Any], kind: str) -> None:
    path = tmp_path / "file.toml"
    path.write_text(TOML[kind])
    with pytest.raises(RobokataError, match=r"file\.toml"):
        read(path)


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize(
    ("name", "read"), [("card.json", read_card), ("evaluation.json", earlier_at)], ids=["card", "evaluation"]
)
def test_a_json_file_of_a_folder_is_refused_by_name(
    tmp_path: Path, name: str, read: Callable[[Path], Any], kind: str
) -> None:
    (tmp_path / name).write_text(JSON[kind])
    with pytest.raises(DamagedData, match=name.replace(".", r"\.")):
        read(tmp_path)


@pytest.mark.parametrize("kind", JSON)
def test_a_selection_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "selection.json").write_text(JSON[kind])
    with pytest.raises(SelectionRefused, match=r"selection\.json"):
        read_selection(tmp_path / "selection.json")
