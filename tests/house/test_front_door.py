"""The front door: every name of `robokata` is the same thing however often, and however it is reached."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import robokata

PACKAGE = Path(robokata.__file__).parent
NAMES = [name for name in robokata.__all__ if name != "__version__"]


def test_no_module_has_a_name_of_the_front_door() -> None:
    modules = {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}
    itself = {name for name, home in robokata._HOMES.items() if home == f"{name}:"}
    assert modules.isdisjoint(set(robokata.__all__) - itself)


def test_every_name_is_the_same_thing_twice_also_after_every_module_was_imported() -> None:
    code = f"""
import importlib, robokata
first = {{name: getattr(robokata, name) for name in {NAMES!r}}}
for home in set(robokata._HOMES.values()):
    importlib.import_module("robokata." + home.partition(":")[0])
for name, thing in first.items():
    assert getattr(robokata, name) is thing, name
    assert callable(thing) or name in ("errors", "torch", "authoring"), name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_names_are_listed_for_completion_before_any_is_used() -> None:
    code = "import robokata; assert set(robokata.__all__) <= set(dir(robokata))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_the_front_door_has_a_home() -> None:
    assert set(NAMES) == set(robokata._HOMES)
