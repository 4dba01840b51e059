"""The pages: the generated ones are current, and what they tell a reader to do works."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from contracts import test_formats as format_contract
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.contracts import Policy, PolicyRef
from robokata.core.contracts.demands import CONTRACTS
from robokata.core.detection import detect, open_source
from robokata.core.errors import LeafRefused
from robokata.core.finding import Level
from robokata.core.layout import Way
from robokata.core.leaf_kinds import writable_formats
from robokata.core.shelf import _one_of as shelf_word
from robokata.core.shelf import _shelf, shelf
from robokata.core.source import EpisodeList
from robokata.core.suite import Suite, read_suite
from robokata.curation.curate import curated
from robokata.curation.recipe import ChecksPart, Recipe
from robokata.evaluation.measure import measure
from robokata.inspection.run import check_dataset
from robokata.loading.data_source import DataSource
from robokata.sim.demonstration import robots_for
from robokata.studies.effects import studied_metrics
from robokata.survey.dataset_survey import survey
from robokata.testing import (
    CHECK_CLAUSES,
    CURATOR_CLAUSES,
    EXPANDER_CLAUSES,
    METRIC_CLAUSES,
    POLICY_CLAUSES,
    ROBOT_CLAUSES,
    SOURCE_CLAUSES,
    STEP_CLAUSES,
    TASK_CLAUSES,
    WRITER_CLAUSES,
    scripted_trial,
    tiny_source,
)
from robokata.testing.simulation_clauses import task_is_solved_by_its_expert

DOCS = Path(__file__).parents[2] / "docs"
CHECK, FORMAT, WRITTEN = "gripper_chatter", "npz_folder", "jsonl_numbers"


def block(page: str, title: str) -> str:
    """The code block of a page that carries this title."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```\w+ title={re.escape(title)}\n(.*?)^```$", text, flags=re.M | re.S)
    assert len(found) == 1, f"{page} holds {len(found)} blocks titled {title}"
    return str(found[0])


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["checks", "formats"])
def test_the_generated_page_is_current(page: str) -> None:
    written = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(script("make"), f"{page}_page")(), "run `make docs` (or `python docs/make.py --fast`)"


def test_the_plan_of_the_house_is_current() -> None:
    written = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert written == script("architecture").architecture_page(), "run `make docs` (or `python docs/make.py --fast`)"


def test_the_tables_of_robots_and_tasks_are_current() -> None:
    written = (DOCS / "tasks.md").read_text(encoding="utf-8")
    assert written == script("tasks_page").tasks_page(), "run `make docs` (or `python docs/make.py --fast`)"


def test_the_page_of_recall_has_a_row_for_every_check() -> None:
    synthetic = (DOCS / "recall.md").read_text(encoding="utf-8").partition("## Checks that fire together")[0]
    rows = re.findall(r"^\| \[(\w+)\]", synthetic, flags=re.M)
    assert rows == list(script("make").own_leaves("checks")), "run `make docs`"


def test_wilsons_interval_agrees_with_published_values() -> None:
    recall = script("recall")
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for hits, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert recall.wilson(recall.Tally(hits, trials)) == pytest.approx((low, high), abs=5e-5)
    assert recall.wilson(recall.Tally(29, 29)) == pytest.approx((0.8830, 1.0), abs=5e-5)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)", text):
        other = page.parent / target if target else page
        assert other.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The leaves of adding.md, installed the way `pip install our-lab-kata` would: a package and its entry points."""
    project = tomllib.loads(block("adding.md", "pyproject.toml"))["project"]
    site = tmp_path / "site"
    package, facts = site / "our_lab_kata", site / "our_lab_kata-0.1.dist-info"
    for folder in (package, facts, site / "makers"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for group, points in project["entry-points"].items():
        for name in points:
            (package / f"{name}.py").write_text(block("adding.md", f"src/{group.replace('.', '/')}/{name}.py"))
    (site / "makers" / f"{FORMAT}.py").write_text(block("adding.md", f"tests/makers/{FORMAT}.py"))
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in points.items()) for group, points in groups]
    (facts / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(site))
    _shelf.cache_clear()
    yield site
    _shelf.cache_clear()
    for name in [n for n in sys.modules if n.startswith("our_lab_kata") or n == f"makers.{FORMAT}"]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed")
def test_the_check_of_the_page_meets_the_contract_of_checks() -> None:
    assert CHECK in Suite().checks
    for clause in CHECK_CLAUSES:
        clause(CHECK)


@pytest.mark.usefixtures("installed")
def test_the_test_of_the_page_passes() -> None:
    namespace: dict[str, object] = {}
    exec(compile(block("adding.md", "test_gripper_chatter.py"), "adding.md", "exec"), namespace)
    test = namespace["test_it_finds_its_own_plant_and_nothing_else"]
    assert callable(test)
    test()


@pytest.mark.usefixtures("installed")
def test_the_format_of_the_page_meets_the_contract_of_formats(tmp_path: Path) -> None:
    maker = importlib.import_module(f"makers.{FORMAT}")
    made = (FORMAT, maker.make(tmp_path, episodes=format_contract.EPISODES, steps=format_contract.STEPS))
    format_contract.test_the_format_is_recognised_and_no_other_claims_it(made)
    for clause in SOURCE_CLAUSES:
        clause(open_source(made[1]))
    assert format_contract.wrong_frames(made[1], 200) == 0
    for variant in range(20):
        for cut in (True, False):
            format_contract.damage_and_read(made, tmp_path / f"{variant}-{cut}", variant, cut=cut)
    broken = tmp_path / "broken"
    broken.mkdir()
    format_contract.test_an_empty_file_and_a_text_file_in_its_place_are_one_clear_error(made, broken)


@pytest.mark.usefixtures("installed")
def test_look_and_check_know_the_format_of_the_page(tmp_path: Path) -> None:
    path = importlib.import_module(f"makers.{FORMAT}").make(tmp_path, episodes=3, steps=40)
    assert detect(path) == FORMAT
    view = survey(open_source(path))
    assert (view.format, view.episodes, [stream.name for stream in view.streams]) == (
        FORMAT,
        3,
        ["state", "action", "image"],
    )
    report = check_dataset(open_source(path), workers=1)
    assert [a for a in report.abstentions if "failed" in a.reason] == []


@pytest.mark.usefixtures("installed")
def test_the_written_format_of_the_page_is_a_target_of_convert(tmp_path: Path) -> None:
    path = importlib.import_module(f"makers.{FORMAT}").make(tmp_path, episodes=2, steps=5)
    report = plan_conversion(open_source(path), WRITTEN)
    assert {loss.stream: loss.way for loss in report.losses} == {
        "state": Way.THINNED,
        "action": Way.THINNED,
        "image": Way.DROPPED,
    }
    convert(open_source(path), tmp_path / "out", WRITTEN, options={"digits": 3}, accept_loss=True)
    lines = [json.loads(line) for line in (tmp_path / "out" / "episode_1.jsonl").read_text().splitlines()]
    state = open_source(path).episode("1").streams["state"]
    assert [line["time_ns"] for line in lines[:5]] == state.clock.times_ns.tolist()
    assert lines[4]["values"] == pytest.approx(state.table[4].tolist(), rel=1e-2)


@pytest.mark.usefixtures("installed")
def test_every_shelf_has_a_section_whose_leaf_is_on_it() -> None:
    text = (DOCS / "adding.md").read_text(encoding="utf-8")
    for folder in CONTRACTS:
        one = shelf_word(folder)
        assert f"\n## A {one}\n" in text or f"\n## An {one}\n" in text
        (name, *_) = re.findall(rf"title=src/robokata/{folder}/(\w+)\.py", text)
        assert name in shelf(folder)
        assert shelf(folder)[name].__name__ == f"our_lab_kata.{name}"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("clause", [*STEP_CLAUSES, *CURATOR_CLAUSES, *METRIC_CLAUSES, *ROBOT_CLAUSES, *TASK_CLAUSES])
def test_the_other_leaves_of_the_page_meet_their_contracts(clause: Callable[..., None]) -> None:
    words: dict[str, tuple[Any, ...]] = {
        "step": ("drop_short", {}),
        "curator": ("wordy",),
        "metric": ("path_length",),
        "robot": ("narrow_panda",),
        "task": ("grasp", "narrow_panda"),
    }
    clause(*words[clause.__name__.partition("_")[0]])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("clause", POLICY_CLAUSES)
def test_the_policy_of_the_page_meets_the_contract_of_policies(clause: Callable[[Policy], None]) -> None:
    clause(shelf("policies")["hold_still"].load(PolicyRef("")))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("clause", EXPANDER_CLAUSES)
def test_the_expander_of_the_page_meets_the_contract(clause: Callable[..., None], tmp_path: Path) -> None:
    path = importlib.import_module(f"makers.{FORMAT}").make(tmp_path, episodes=2, steps=40)
    clause("noisy", open_source(path), {})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("clause", WRITER_CLAUSES)
def test_the_written_format_of_the_page_meets_the_contract(clause: Callable[..., None], tmp_path: Path) -> None:
    clause(WRITTEN, {"digits": 3}, tmp_path)


@pytest.mark.usefixtures("installed")
def test_the_metric_of_the_page_is_in_kata_measure_and_in_every_study() -> None:
    trials = EpisodeList([replace(scripted_trial(np.random.default_rng(n)), id=str(n)) for n in range(4)])
    estimate = measure(trials, workers=1).metrics["path_length"]
    assert estimate.value == pytest.approx(1.5, abs=0.7)
    assert (estimate.n, estimate.unit) == (4, "m")
    assert "path_length" in studied_metrics()


@pytest.mark.usefixtures("installed")
def test_the_robot_of_the_page_does_the_tasks_that_fit_it_and_no_task_was_edited() -> None:
    able = [task for task in shelf("tasks").names() if "narrow_panda" in robots_for(task)]
    assert able == ["grasp", "lift", "stack"]
    assert robots_for("grasp") == ("franka_panda", "narrow_panda", "so100")
    task_is_solved_by_its_expert("lift", "narrow_panda")


def test_a_check_of_another_package_that_raises_costs_its_own_verdict(installed: Path) -> None:
    leaf = installed / "our_lab_kata" / f"{CHECK}.py"
    leaf.write_text(
        leaf.read_text().replace("    grippers = list(", '    raise ValueError("boom")\n    grippers = list(')
    )
    source = tiny_source(2)
    report = check_dataset(source, workers=1)
    failed = [each for each in report.abstentions if "boom" in each.reason]
    assert [(each.check, each.episode) for each in failed] == [(CHECK, "0"), (CHECK, "1")]
    kept = curated(Recipe((DataSource("memory"),), checks=ChecksPart()), sources=[source], workers=1)
    assert len(kept.source.keys()) == 2


def test_a_leaf_of_another_package_that_lacks_a_name_is_refused_with_the_name(installed: Path) -> None:
    leaf = installed / "our_lab_kata" / f"{WRITTEN}.py"
    leaf.write_text(leaf.read_text().replace("def layout(", "def _layout("))
    with pytest.raises(
        LeafRefused, match=r"the format 'jsonl_numbers' of another package .* lacks `layout\(episode\)`\. See"
    ):
        writable_formats()


def test_a_leaf_of_another_package_that_cannot_be_imported_is_named(installed: Path) -> None:
    (installed / "our_lab_kata" / f"{CHECK}.py").write_text("import no_such_library\n")
    with pytest.raises(LeafRefused, match=r"the check 'gripper_chatter' .* cannot be imported: No module named"):
        shelf("checks")[CHECK]


def test_the_suite_of_the_page_is_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(block("suite.md", "suite.toml"))
    suite = read_suite(file)
    assert suite.fail_on is Level.ERROR
    assert suite.thresholds["clock_gap"] == {"longer_than_periods": 2.5, "error_above_s": 0.2}
    assert "idle_stretch" not in suite.checks
    assert [waiver.check for waiver in suite.waivers] == ["blank_instruction", "frozen_camera"]


def test_the_ci_job_of_the_page_uses_options_that_exist() -> None:
    import inspect

    from robokata.cli.check import check

    job = block("suite.md", ".github/workflows/data.yml")
    (command,) = re.findall(r"kata check data (.+)", job)
    assert set(re.findall(r"--(\w+)", command)) <= set(inspect.signature(check).parameters)


def test_the_page_for_python_does_what_it_says(tmp_path: Path) -> None:
    source = tiny_source(4)
    shelf("formats")["lerobot_v3"].write(tmp_path / "set", (source.episode(key) for key in source.keys()))
    names: dict[str, Any] = {"path": tmp_path / "set", "out": tmp_path / "out"}
    for title in ("open.py", "verbs.py", "loop.py", "resume.py", "authoring.py"):
        exec(compile(block("python.md", title), title, "exec"), names)
    assert names["picture"].ndim == 3
    assert names["receipt"].episodes == 4
    assert names["batch"]["action"].shape[:2] == (16, 8)


def test_the_index_names_every_page() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in text} == set()
