"""Tests of the imports for authors: one module per shelf gives every name that a leaf of it is written with."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from robokata import authoring
from robokata.core.contracts.demands import CONTRACTS, faults

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "robokata"
HEAVY = ("torch", "mujoco", "pyarrow", "av", "duckdb", "h5py", "zarr", "mcap", "rosbags", "scipy", "pandas", "rich")
OWN = (
    "robokata.core.shelf",
    "robokata.core.suite",
    "robokata.inspection",
    "robokata.store",
    "robokata.learn.chunk_mlp",
)
OWN += ("robokata.learn.vla",)
"""What a single leaf of ours uses because of what it is: the format `snapshot`, the step `drop_found`, our networks."""


def names_in(text: str) -> Iterator[tuple[str, str]]:
    """Module and name of each import from the package."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("robokata."):
            yield from ((node.module, alias.name) for alias in node.names)


def test_every_shelf_has_a_module_for_its_authors() -> None:
    assert set(authoring.__all__) == set(CONTRACTS)
    assert set(authoring.__all__) <= set(dir(authoring))
    assert authoring.checks is importlib.import_module("robokata.authoring.checks")


@pytest.mark.parametrize("folder", authoring.__all__)
def test_a_module_for_authors_has_every_name_that_the_leaves_of_its_shelf_import(folder: str) -> None:
    there = importlib.import_module(f"robokata.authoring.{folder}")
    lacking = {
        f"{module}.{name} ({leaf.name})"
        for leaf in (PACKAGE / folder).glob("[a-z]*.py")
        for module, name in names_in(leaf.read_text())
        if name not in there.__all__ and "._" not in module and not name.startswith("_")
        # The first bytes and the endings of a container are those of one format.
        if not module.startswith(OWN) and not (module.startswith("robokata.containers") and name.isupper())
    }
    assert lacking == set()


@pytest.mark.parametrize("folder", authoring.__all__)
def test_a_module_for_authors_has_the_protocols_of_its_shelf_and_says_what_to_define(folder: str) -> None:
    there = importlib.import_module(f"robokata.authoring.{folder}")
    for kind in CONTRACTS[folder].kinds:
        assert getattr(there, kind.__name__) is kind
        for name in (name for name in vars(kind) if name.isupper() or callable(getattr(kind, name, None))):
            assert name.startswith("_") or re.search(rf"`{name}\b", there.__doc__ or ""), f"{folder}: {name}"
    assert all(getattr(there, name) is not None for name in there.__all__ if name not in ("Net", "open_trained"))


@pytest.mark.parametrize("folder", authoring.__all__)
def test_a_module_for_authors_loads_nothing_heavy(folder: str) -> None:
    code = f"import sys, robokata.authoring.{folder}; print(*(set({HEAVY!r}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""


def with_one_import(text: str, folder: str) -> str:
    """The leaf as another package writes it: what is shared on the shelf has its name without the underscore."""
    text = text.replace("import _moves, _resets", "import moves as _moves, resets as _resets")
    return re.sub(r"^from robokata\.\S+ import", f"from robokata.authoring.{folder} import", text, flags=re.M)


@pytest.mark.parametrize("folder", authoring.__all__)
def test_the_leaf_of_the_page_works_with_one_import(folder: str) -> None:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    leaves = re.findall(rf"^```python title=src/robokata/{folder}/\w+\.py\n(.*?)^```$", page, flags=re.M | re.S)
    assert leaves
    for text in leaves:
        leaf = ModuleType(f"leaf_of_{folder}")
        exec(with_one_import(text, folder), vars(leaf))
        assert faults(folder, leaf) == ()
