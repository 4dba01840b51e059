"""What a user's install reads, with the libraries of `dev` out of reach; `.ci/installed` makes a real install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]

READ = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv[3:]))
sys.argv = sys.argv[1:3]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_every_reader_reads_without_the_libraries_of_the_tests(tmp_path: Path) -> None:
    blocked = modules_of(installed("dev") - installed("all"))
    assert {"zarr", "mcap", "google_crc32c"} <= blocked
    folder = tmp_path / "samples"
    subprocess.run([sys.executable, str(HERE / "write_samples.py"), str(folder)], check=True)
    words = [str(HERE / "read_samples.py"), str(folder), *sorted(blocked)]
    read = subprocess.run([sys.executable, "-c", READ, *words], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stdout + read.stderr
    assert read.stdout.endswith("0 samples wrong\n")


def installed(extra: str) -> set[str]:
    """Names of all distributions that `pip install robokata[extra]` brings, by what the installed ones ask for."""
    found: set[str] = set()
    waiting = [*PROJECT["dependencies"], f"robokata[{extra}]"]
    while waiting:
        needed = Requirement(waiting.pop())
        name = plain(needed.name)
        key = f"{name}[{','.join(sorted(needed.extras))}]"
        if key in found:
            continue
        found |= {key, name}
        waiting += list(asked_for(name, needed.extras))
    return {name for name in found if "[" not in name}


def asked_for(name: str, extras: Iterable[str]) -> Iterable[str]:
    if name == "robokata":
        return [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # For another system or another version of Python.
    parsed = [Requirement(line) for line in lines]
    wanted = [{"extra": extra} for extra in ("", *extras)]
    return [str(r) for r in parsed if r.marker is None or any(r.marker.evaluate(w) for w in wanted)]


def modules_of(distributions: set[str]) -> set[str]:
    """Modules that only these distributions bring."""
    owners = metadata.packages_distributions().items()
    return {module for module, names in owners if {plain(name) for name in names} <= distributions}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
