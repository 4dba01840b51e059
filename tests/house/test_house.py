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
SHELVES = ("formats", "checks", "metrics", "robots", "tasks", "steps", "curators", "expanders", "policies")
FLOORS = {
    "core": 0,
    "runtime": 1,
    "packing": 1,
    "geometry": 1,
    "media": 1,
    "statistics": 1,
    "containers": 1,
    "formats": 2,
    "robots": 2,
    "checks": 2,
    "steps": 2,
    "curators": 2,
    "metrics": 2,
    "tasks": 2,
    "store": 2,
    "loading": 2,
    "inspection.examination": 2,
    "sim": 3,
    "learn": 3,
    "policies": 3,
    "survey": 3,
    "inspection": 3,
    "conversion": 3,
    "curation": 3,
    "expanders": 3,
    "expansion": 3,
    "collection": 3,
    "evaluation": 3,
    "training": 3,
    "studies": 4,
    "arena": 4,
    "viewing": 5,
    "testing": 5,
    "dataset": 6,
    "torch": 6,
    "authoring": 6,
    "cli": 7,
    "": 7,
}
"""The floor of each place: the longest prefix of a module's name counts. The front door is `""`."""
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
    "jinja2",
    "markupsafe",
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
UNITS += ("_kg", "seconds")
DIMENSIONLESS = {"scale", "score", "magnitude", "full_scale", "margin", "value", "number", "before", "after", "freedom"}
# MuJoCo's own words, whose unit depends on the joint: N m/rad or N/m.
DIMENSIONLESS |= {"kp", "kv", "force", "damping", "armature", "friction", "fovy_deg"}


def place(path: Path) -> str:
    """`core` of `core/clock.py`; empty for the front door."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def floor_of(module: str) -> int:
    """The floor of `core.clock`. An unknown place is a failure: a new room is written into `FLOORS` first."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in FLOORS:
            return FLOORS[".".join(parts[:length])]
    if not module:
        return FLOORS[""]
    raise AssertionError(f"{module} stands in no room of FLOORS: say on which floor it belongs")


def imports_of(path: Path) -> set[str]:
    """Modules of the package that a file imports, also inside functions and for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & NAMES) or {node.module}
    return found


NAMES = {f"robokata.{module_of(path)}".rstrip(".") for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_and_leaves_never_import_leaves(path: Path) -> None:
    floor = floor_of(module_of(path))
    for name in imports_of(path) & NAMES:
        module = name.removeprefix("robokata.")
        assert floor_of(module) <= floor, f"{path.name} imports {name} from a floor above"
        target, _, leaf = module.partition(".")
        if place(path) in SHELVES and target in SHELVES and leaf:
            assert target == place(path), f"{path.name} imports from another shelf: {name}"
            assert leaf.startswith("_"), f"the leaf {path.name} imports the leaf {name}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {f"robokata.{module_of(path)}".rstrip("."): imports_of(path) & NAMES for path in MODULES}
    assert list(circles(graph)) == []


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Each way from a module back to itself, once; imports inside functions and for types count too."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> Iterator[list[str]]:
        for target in sorted(graph[name]):
            if target in way:
                yield way[way.index(target) :]
            elif target not in done:
                yield from walk(target, [*way, target])
        done.add(name)

    for name in sorted(graph):
        if name not in done:
            yield from walk(name, [name])


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
    "runtime/atomic.py": "the one way to write a file over another",
    "store/backend.py": "a store shared by machines: objects are named by their content",
    "store/remote.py": "a copy in the cache, named by its content",
    "store/pictures.py": "scratch that goes into the store",
    "runtime/jobs.py": "a journal that grows by lines; finished episodes move out of its scratch",
    "learn/checkpoint.py": "weights get their name from their hash",
    "collection/recording/journal.py": "a journal that grows by lines",
    "collection/robot/episode.py": "a journal that grows by lines",
    "collection/recording/recording_store.py": "moves a finished episode aside",
    "collection/page/tls.py": "a private folder that lives as long as loading takes",
    "cli/standard_streams.py": "standard output itself",
    "cli/umi_run.py": "into what `appearing` gives",
    "collection/umi/print_board.py": "into what `appearing` gives",
    "media/remux.py": "scratch inside an unfinished target",
    "media/mp4_write.py": "into what `appearing` gives",
    "policies/_lerobot/training.py": "a log that grows by lines",
}
"""Modules that write files in another way than `replacing`, each with its reason. Formats write into `appearing`."""
_WRITES = re.compile(
    r"\.write_text\(|\.write_bytes\(|open\([^)]*[\"'][wax]b?\+?[\"']|open\([^)]*[\"']r\+b?[\"']|os\.(replace|rename)\(|mkstemp"
    r"|NamedTemporaryFile|open_memmap|torch\.save\((?!.*file\))|\.rename\("
)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_written_over_another_in_one_way_only(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    if name not in WRITERS and place(path) not in ("formats", "containers", "testing"):
        assert not _WRITES.search(path.read_text()), "use runtime.atomic.replacing, replace_text or replace_json"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short_named_after_one_thing_and_open_with_a_sentence(path: Path) -> None:
    text = path.read_text()
    assert path.stem not in {"utils", "helpers", "common", "base", "manager", "factory", "types"}
    assert len(text.splitlines()) <= 400, "more than 400 lines: is there one idea in it?"
    assert (ast.get_docstring(ast.parse(text)) or "").splitlines()[0].rstrip().endswith((".", ":", "?"))


_VERB = "what the verb does still stands in the command line"
LONG_FUNCTIONS = {
    "cli/convert.py: convert": _VERB,
    "collection/umi/episode.py: _measured": "the streams of a clip, one after the other, each with its meaning",
    "evaluation/probes.py: _all": "a table: one probe after the other, each with what it may and must change",
    "formats/_logs/episode.py: _view": "what a topic's columns are, settled in one order: each line needs those above",
    "media/mp4_write.py: _movie": "one box inside the other, as they lie in the file",
    "viewing/svg/line_plot.py: line_plot": "a plot, from its frame to its legend, on two scales",
}
"""Functions whose body is longer than 40 lines, each with the reason why it is one piece."""


def body_lines(function: ast.FunctionDef) -> int:
    """Lines from the first statement to the last: signature and docstring grow with what they explain."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_are_at_most_forty_lines_long(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            name = f"{path.relative_to(PACKAGE)}: {node.name}"
            assert body_lines(node) <= 40 or name in LONG_FUNCTIONS, f"{name} has {body_lines(node)} lines"


REPEATED_CLASSES = frozenset(
    [
        "Answer",
        "Arm",
        "Asked",
        "Chosen",
        "Chunk",
        "Claim",
        "Column",
        "Cut",
        "Dataset",
        "Difference",
        "Factor",
        "Field",
        "Form",
        "Frames",
        "Gathered",
        "Interval",
        "Job",
        "Kind",
        "Layout",
        "LeftOut",
        "Level",
        "Measured",
        "Message",
        "Moments",
        "Options",
        "Outcome",
        "Part",
        "Pictures",
        "Place",
        "Places",
        "Plan",
        "Record",
        "Rows",
        "Run",
        "Said",
        "Shape",
        "Span",
        "Speed",
        "Spread",
        "Store",
        "Table",
        "Taken",
        "Track",
        "View",
        "Way",
        "Written",
    ]
)
"""Public class names that still mean two things; the list only gets shorter."""


def test_a_public_class_name_means_one_thing_in_the_whole_package() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module_of(path))
    repeated = {name: found for name, found in places.items() if len(found) > 1}
    new = {name: found for name, found in repeated.items() if name not in REPEATED_CLASSES}
    assert not new, f"choose another name: {new}"


NAMED_LEAVES = {
    "inspection/examination.py": "an episode that cannot be read is a finding, also where no check could run",
    "curation/curate.py": "`checks` of a recipe is the step drop_found",
    "curation/recipe.py": "`checks` of a recipe is the step drop_found",
    "studies/design.py": "a control is the step take_subset; `checks` of a recipe is the step drop_found",
    "studies/study.py": "a control is the step take_subset",
    "studies/guided_tour.py": "the tour plants two defects of its choice",
    "testing/sample.py": "the sample holds one defect of each kind that shows in a report",
    "expanders/mirror.py": "the step that it applies",
    "expanders/paraphrase.py": "the step that it applies",
    "expanders/retime.py": "the step that it applies",
}
"""Modules that name checks or steps, each with its reason: a list of them elsewhere would leave a new leaf out."""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_checks_and_steps_are_named_in_their_own_files_only(path: Path) -> None:
    leaves = {leaf.stem: leaf for folder in ("checks", "steps") for leaf in (PACKAGE / folder).glob("[a-z]*.py")}
    # Also a kind of PolicyFailed.
    leaves.pop("not_finite")
    typed = {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and leaves.get(node.value, path) != path
    }
    assert not typed or str(path.relative_to(PACKAGE)) in NAMED_LEAVES, f"{typed}: let the leaf say what is asked of it"


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
    html = {file.name for file in (PACKAGE / "viewing" / "html").iterdir() if file.is_file()}
    assert html <= {file.name for file in (tmp_path / "site" / "robokata" / "viewing" / "html").iterdir()}
    page = PACKAGE / "collection" / "page" / "static"
    shipped = {file.name for file in (tmp_path / "site" / "robokata" / "collection" / "page" / "static").iterdir()}
    assert shipped == {file.name for file in page.iterdir()}


def test_no_two_test_files_have_one_name() -> None:
    names = [path.name for path in (Path(__file__).parents[1]).rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "pytest imports test files by their name alone"
