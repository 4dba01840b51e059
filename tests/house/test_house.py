"""The rules of the house that a machine can hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "robokata"
MODULES = sorted(PACKAGE.rglob("*.py"))
SHELVES = ("formats", "checks", "metrics", "robots", "tasks", "steps", "curators")
FLOORS = {
    "core": 0,
    "geometry": 1,
    "media": 1,
    "formats": 2,
    "checks": 2,
    "engine": 2,
    "episode_query": 2,
    "episode_choice": 2,
    "examine": 2,
    "dataset_survey": 3,
    "checkup": 3,
}
FLOORS |= {
    "catalogue": 3,
    "convert": 3,
    "passing": 3,
    "readback": 3,
    "episode_comparison": 2,
    "measuring": 3,
    "store": 2,
}
FLOORS |= {"statistics": 1, "metrics": 2, "arena": 4}
FLOORS |= {"feed": 2, "learn": 3, "policies": 3}
FLOORS |= {"robots": 2, "tasks": 2, "sim": 3, "produce": 3, "collect": 4, "expand": 4, "evaluate": 3, "study": 4}
FLOORS |= {"tour": 4}
FLOORS |= {"handheld": 3}
FLOORS |= {"steps": 2, "curators": 2, "recipe": 4, "curation": 4, "curated_dataset": 4}
FLOORS |= {"view": 4, "testing": 4, "cli": 5}
HEAVY = (
    "torch",
    "mujoco",
    "pyarrow",
    "av",
    "duckdb",
    "h5py",
    "zarr",
    "mcap",
    "rosbags",
    "scipy",
    "pandas",
    "rich",
    "cv2",
)
UNITS = ("_s", "_ns", "_ms", "_hz", "_rad", "_rad_s", "_m", "_px", "_share", "_periods", "_ratio", "_std", "_bytes")
UNITS += (
    "_turns",
    "_correlation",
    "_sustained",
    "_level",
    "_levels",
    "_times",
    "_spread",
    "_ppm",
    "_percent",
    "_ranges",
    "_steps",
    "_samples",
    "_bits",
)
"""Quantities without a dimension are named for what they count or compare."""
UNITS += ("_kg",)
DIMENSIONLESS = {"scale", "score", "magnitude", "full_scale", "margin", "value", "number", "before", "after", "freedom"}
# MuJoCo's own words, whose unit depends on the joint: N m/rad or N/m.
DIMENSIONLESS |= {"kp", "kv", "force", "damping", "armature", "friction", "fovy_deg"}


def place(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("robokata.")}


@pytest.mark.parametrize("path", [m for m in MODULES if place(m) in FLOORS], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_and_leaves_never_import_leaves(path: Path) -> None:
    for name in imports_of(path):
        target = name.split(".")[1]
        assert FLOORS.get(target, -1) <= FLOORS[place(path)], f"{path.name} imports {name} from a floor above"
        if place(path) in SHELVES and target in SHELVES and len(name.split(".")) > 2:
            is_shared_part = name.split(".")[2].startswith("_")
            assert target == place(path), f"{path.name} imports from another shelf: {name}"
            assert is_shared_part, f"the leaf {path.name} imports the leaf {name}"


@pytest.mark.parametrize("code", ["import robokata", "import robokata.cli.main"])
def test_starting_loads_nothing_heavy(code: str) -> None:
    probe = f"{code}; import sys; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert set(HEAVY) & set(loaded) == set()


def own_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Everything inside a function but the insides of functions within it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield child
            yield from own_statements(child)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_functions_that_raise_say_so(path: Path) -> None:
    tree = ast.parse(path.read_text())
    public = [c for c in tree.body if isinstance(c, ast.ClassDef) and not c.name.startswith("_")]
    for node in tree.body + [n for c in public for n in c.body]:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        raised = {
            ast.unparse(n.exc).partition("(")[0] for n in own_statements(node) if isinstance(n, ast.Raise) and n.exc
        }
        if raised - {"typer.Exit", "AttributeError"}:
            assert "Raises:" in (ast.get_docstring(node) or ""), f"{node.name} raises {raised} and does not say so"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_float_parameters_carry_their_unit(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            for argument in [*node.args.args, *node.args.kwonlyargs]:
                if argument.annotation is not None and ast.unparse(argument.annotation) == "float":
                    named = argument.arg.endswith(UNITS) or argument.arg in DIMENSIONLESS
                    assert named, f"{path.name}: {node.name}({argument.arg}: float) does not say its unit"


WRITERS = {
    "core/atomic.py": "the one way to write a file over another",
    "store/place.py": "a store shared by machines: objects are named by their content",
    "store/remote.py": "a copy in the cache, named by its content",
    "store/pictures.py": "scratch that goes into the store",
    "produce.py": "a journal that grows by lines; finished episodes move out of its scratch",
    "learn/checkpoint.py": "weights get their name from their hash",
    "collect/journal.py": "a journal that grows by lines",
    "collect/robot_episode.py": "a journal that grows by lines",
    "collect/workshop.py": "moves a finished episode aside",
    "collect/tls.py": "a private folder that lives as long as loading takes",
    "cli/standard_streams.py": "standard output itself",
    "cli/umi_run.py": "into what `appearing` gives",
    "handheld/print_board.py": "into what `appearing` gives",
    "media/remux.py": "scratch inside an unfinished target",
    "media/mp4_write.py": "into what `appearing` gives",
    "policies/_lerobot_training.py": "a log that grows by lines",
}
"""Modules that write files in another way than `replacing`, each with its reason. Formats write into `appearing`."""
_WRITES = re.compile(
    r"\.write_text\(|\.write_bytes\(|open\([^)]*[\"'][wax]b?\+?[\"']|open\([^)]*[\"']r\+b?[\"']|os\.(replace|rename)\(|mkstemp"
    r"|NamedTemporaryFile|open_memmap|torch\.save\((?!.*file\))|\.rename\("
)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_written_over_another_in_one_way_only(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    if name not in WRITERS and place(path) not in ("formats", "testing"):
        assert not _WRITES.search(path.read_text()), "use core.atomic.replacing, replace_text or replace_json"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short_named_after_one_thing_and_open_with_a_sentence(path: Path) -> None:
    text = path.read_text()
    assert path.stem not in {"utils", "helpers", "common", "base", "manager", "factory", "types"}
    assert len(text.splitlines()) <= 400, "more than 400 lines: is there one idea in it?"
    assert (ast.get_docstring(ast.parse(text)) or "").splitlines()[0].rstrip().endswith((".", ":", "?"))


def test_the_built_wheel_installs_and_runs(tmp_path: Path) -> None:
    def pip(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *words], check=True)

    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(PACKAGE.parents[1]))
    (wheel,) = tmp_path.glob("robokata-*-py3-none-any.whl")
    pip("install", "--no-deps", "--target", str(tmp_path / "site"), str(wheel))
    code = "import robokata, sys; from robokata.cli.main import app; print(robokata.__file__)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(tmp_path) in shown
    assert (tmp_path / "site" / "robokata" / "view" / "report.css").exists()
    page = PACKAGE / "collect" / "page"
    shipped = {file.name for file in (tmp_path / "site" / "robokata" / "collect" / "page").iterdir()}
    assert shipped == {file.name for file in page.iterdir()}


def test_no_two_test_files_have_one_name() -> None:
    names = [path.name for path in (Path(__file__).parents[1]).rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "pytest imports test files by their name alone"
