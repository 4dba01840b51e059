"""An expander of another package, installed by its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAF = '''"""The same episodes under another name."""

from dataclasses import dataclass, replace

from robokata.core.contracts import ExpansionJobs
from robokata.core.detection import reopen
from robokata.runtime.jobs import Made


@dataclass(frozen=True)
class Renamed:
    path: str
    format: str
    keys: tuple
    prefix: str

    def __call__(self, number):
        episode = reopen(self.path, self.format).episode(self.keys[number])
        renamed = replace(episode, id=self.prefix + episode.id)
        return Made({"success": True, "reason": "", "source": episode.id}, renamed)


def plan(source, *, keys, prefix: str = "also-"):
    job = Renamed(str(source.path), source.format, tuple(keys), prefix)
    return ExpansionJobs(job, {"by": "rename", "source": str(source.path), "prefix": prefix}, most_tries=len(keys))
'''
USE = """
import sys
from pathlib import Path
import robokata as rk
from robokata.core.shelf import shelf
from robokata.studies.levels import factor_from
from robokata.testing import tiny_episode

shelf("formats")["mcap"].write(Path(sys.argv[1]), [tiny_episode(0, duration_s=1.0)])
made = rk.expand(sys.argv[1], by="rename", out=sys.argv[2], options={"prefix": "our-"}, workers=1)
print(made.production.kept, rk.open(sys.argv[2])[0].id)
expand = {"by": "rename", "episodes": 1, "prefix": "x-"}
factor = factor_from({"name": "names", "level": [{"name": "a"}, {"name": "b", "expand": expand}]}, where="study")
print(factor.levels[1].expand.options)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which a package with one expander is installed."""
    site = tmp_path / "site"
    (site / "our_lab-1.dist-info").mkdir(parents=True)
    (site / "our_lab_rename.py").write_text(LEAF)
    (site / "our_lab-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: our-lab\nVersion: 1\n")
    points = "[robokata.expanders]\nrename = our_lab_rename\n"
    (site / "our_lab-1.dist-info" / "entry_points.txt").write_text(points)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def run(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_expands_and_is_a_level_of_a_study(environment: dict[str, str], tmp_path: Path) -> None:
    said = run(environment, "-c", USE, str(tmp_path / "set"), str(tmp_path / "out"))
    assert said.splitlines() == ["1 our-0", "{'prefix': 'x-'}"]


def test_the_help_of_the_command_names_it_with_its_options(environment: dict[str, str]) -> None:
    shown = " ".join(run(environment, "-m", "robokata.cli.main", "expand", "--help").split())
    assert "rename The same episodes under another name. Options: prefix (a text, usually 'also-')." in shown
