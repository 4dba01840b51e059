"""Study files: one that cannot be obeyed is refused while it is read, and names the place, the value and what is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from robokata.core.errors import RecipeRefused
from robokata.studies.spec import DESIGNS, Study, read_study, study_from

ROOT = Path(__file__).parents[2]
HEADLINE = [path for path in sorted((ROOT / "benchmarks/headline").glob("*.toml")) if "[[factor]]" in path.read_text()]
DOCUMENTED = [
    text for text in re.findall(r"```toml\n(.*?)```", (ROOT / "docs/study.md").read_text(), re.S) if "factor" in text
]
TRAINABLE = "bc_mlp, lerobot_act, lerobot_diffusion, small_vla"
LEVEL = "s.toml, [[factor]] 1 (a), level 2"
TRAINING, EXPAND = f"{LEVEL}, training", f"{LEVEL}, expand"


def asked(**change: Any) -> Study:
    told = {
        "name": "a question",
        "task": "stack",
        "policy": "bc_mlp",
        "data": {"source": [{"path": "demonstrations"}]},
        "factor": [two("a")],
    }
    return study_from({**told, **change}, where="s.toml")


def two(called: Any, **level: Any) -> dict[str, Any]:
    return {"name": called, "level": [{"name": "no"}, {"name": "yes", **level}]}


def refusal(**change: Any) -> str:
    with pytest.raises(RecipeRefused) as refused:
        asked(**change)
    return str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "name is 5, and a text is needed."),
        ({"name": " "}, "name is ' ', and a text is needed."),
        ({"task": 5}, "task is 5, and a text, one of hand_over, insert_peg, lift,"),
        ({"task": "stak"}, "No task is called 'stak'. Did you mean 'stack'? Known: hand_over,"),
        ({"robot": 1}, "robot is 1, and a text, one of franka_panda, so100, viperx_bimanual, is needed."),
        ({"robot": ""}, "robot is '', and a text, one of franka_panda,"),
        ({"robot": "pr2"}, "No robot is called 'pr2'. Known: franka_panda, so100, viperx_bimanual."),
        (
            {"robot": "viperx_bimanual"},
            "No robot that can do stack is called 'viperx_bimanual'. Known: franka_panda, so100.",
        ),
        ({"policy": 3}, f"policy is 3, and a text, one of {TRAINABLE}, is needed."),
        ({"policy": "magic"}, f"No policy that can be trained is called 'magic'. Known: {TRAINABLE}."),
        ({"policy": "remote"}, f"No policy that can be trained is called 'remote'. Known: {TRAINABLE}."),
        ({"width": "D9"}, "width is 'D9'. It is one of D0, D1, D2."),
        ({"width": 1}, "width is 1. It is one of D0, D1, D2."),
        ({"steps": True}, "steps is True, and a whole number of at least 1 is needed."),
        ({"steps": 2.5}, "steps is 2.5, and a whole number of at least 1 is needed."),
        ({"training_seeds": 1}, "training_seeds is 1, and a whole number of at least 2 is needed. The training seed"),
        ({"trials": 1}, "trials is 1, and a whole number of at least 2 is needed."),
        ({"seed": -1}, "seed is -1, and a whole number of at least 0 and at most 4294967295 is needed."),
        ({"seed": 10**30}, "and a whole number of at least 0 and at most 4294967295 is needed."),
        ({"picture_px": 20000}, "picture_px is 20000, and a whole number from 16 to 4096 is needed."),
        ({"picture_px": True}, "picture_px is True, and a whole number from 16 to 4096 is needed."),
        ({"control_subsets": "no"}, "control_subsets is 'no', and true or false is needed."),
        ({"cents_per_hour": "five"}, "cents_per_hour is 'five', and a number of at least 0 is needed."),
        ({"cents_per_hour": -1}, "cents_per_hour is -1, and a number of at least 0 is needed."),
        ({"cents_per_hour": float("nan")}, "cents_per_hour is nan, and a number of at least 0 is needed."),
        ({"cents_per_hour": True}, "cents_per_hour is True, and a number of at least 0 is needed."),
        ({"device": 0}, "device is 0. It is auto, cpu, cuda or cuda:N."),
        ({"device": "gpu"}, "device is 'gpu'. It is auto, cpu, cuda or cuda:N."),
        ({"options": 3}, "options: is 3, and a table is needed."),
        ({"options": {"heads": 3}}, "options: No option of this policy is called 'heads'. Known: width, layers."),
        ({"options": {"width": "wide"}}, "options: option width is 'wide', and int is needed."),
        ({"options": {"width": True}}, "options: width is True, and a text or a finite number is needed."),
        ({"design": ["full"]}, f"design is ['full']. It is one of {', '.join(DESIGNS)}."),
        ({"design": "fractional"}, "a fractional design needs at least three factors of two levels each;"),
        ({"data": 3}, "[data] must be a table, got 3"),
        ({"data": {"source": [{"path": "x"}], "checks": {"level": "nosuch"}}}, "[data], checks: level is 'nosuch'."),
    ],
)
def test_a_study_that_cannot_be_obeyed_is_refused(change: dict[str, Any], message: str) -> None:
    told = refusal(**change)
    assert told.startswith("s.toml")
    assert message in told


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ({"name": 5}, f"{LEVEL}: name is 5, and a text is needed."),
        ({"name": ""}, f"{LEVEL}: name is '', and a text is needed."),
        ({"size": "big"}, f"{LEVEL}: size is 'big', and a number above 0 is needed."),
        ({"size": True}, f"{LEVEL}: size is True, and a number above 0 is needed."),
        ({"size": 0}, f"{LEVEL}: size is 0, and a number above 0 is needed."),
        ({"size": float("inf")}, f"{LEVEL}: size is inf, and a number above 0 is needed."),
        ({"checks": {"level": "nosuch"}}, f"{LEVEL}, checks: level is 'nosuch'. It is one of error, warning, info."),
        ({"checks": {"checks": ["clock_gab"]}}, f"{LEVEL}, checks: No check is called 'clock_gab'. Did you mean"),
        ({"checks": {"suite": "/none.toml"}}, f"{LEVEL}, checks, suite: /none.toml"),
        ({"checks": "error"}, f"{LEVEL}, [checks] must be a table, got 'error'"),
        ({"selection": {"curator": "magic", "keep": 3}}, f"{LEVEL}, [selection]: No curator is called 'magic'."),
        ({"step": [{"name": "magic"}]}, f"{LEVEL}, [[step]] 1: No step is called 'magic'."),
        ({"step": "trim_idle"}, f"{LEVEL}, [[step]] 1 must be a table, got 'trim_idle'"),
        (
            {"step": [{"name": "plant_defect", "check": "magic"}]},
            f"{LEVEL}, step 1 (plant_defect): No check is called 'magic'.",
        ),
        ({"step": {"name": "drop_found", "level": "bad"}}, f"{LEVEL}, step 1 (drop_found): level is 'bad'."),
        ({"source": [{"path": 3}]}, f"{LEVEL}, [[source]] 1: path must be a string, got 3."),
        ({"training": "x"}, f"{TRAINING}: is 'x', and a table is needed."),
        ({"training": {"foo": 1}}, f"{TRAINING}: knows no 'foo'. It may hold: steps, inputs, cameras, action,"),
        ({"training": {"options": {}}}, f"{TRAINING}: knows no 'options'."),
        ({"training": {"steps": "many"}}, f"{TRAINING}: steps is 'many', and a whole number of at least 1 is needed."),
        ({"training": {"steps": -5}}, f"{TRAINING}: steps is -5, and a whole number of at least 1 is needed."),
        ({"training": {"chunk_steps": "8"}}, f"{TRAINING}: chunk_steps must be an integer from 1 to 4096, got '8'"),
        ({"training": {"chunk_steps": True}}, f"{TRAINING}: chunk_steps must be an integer from 1 to 4096, got True."),
        ({"training": {"cameras": 3}}, f"{TRAINING}: cameras must be a list of names of streams, got 3."),
        ({"training": {"cameras": "wrist"}}, f"{TRAINING}: cameras must be a list of names of streams, got 'wrist'."),
        ({"training": {"rate_hz": True}}, f"{TRAINING}: rate_hz must be a number > 0, got True."),
        (
            {"training": {"history_s": [float("-inf"), 0]}},
            f"{TRAINING}: history_s must be seconds that rise to 0, got [-inf, 0].",
        ),
    ],
)
def test_a_level_that_no_arm_can_obey_is_refused(level: dict[str, Any], message: str) -> None:
    assert refusal(factor=[two("a", **level)]).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"by": "magic"},
            f"{EXPAND}: by is 'magic'. It is one of demonstrations, factors, mirror, paraphrase, retime, world_model.",
        ),
        ({"episodes": "many"}, f"{EXPAND}: episodes is 'many', and a whole number of at least 1 is needed."),
        ({"episodes": 0}, f"{EXPAND}: episodes is 0, and a whole number of at least 1 is needed."),
        ({"episodes": True}, f"{EXPAND}: episodes is True, and a whole number of at least 1 is needed."),
        ({"reset_range": "D9"}, f"{EXPAND}: reset_range is 'D9'. It is one of D0, D1, D2."),
        ({"seed": "x"}, f"{EXPAND}: seed is 'x', and a whole number of at least 0"),
        ({"seed": -1}, f"{EXPAND}: seed is -1, and a whole number of at least 0"),
        ({"by": "factors"}, f"{EXPAND}: factors is needed (a list of texts)."),
        ({"by": "factors", "factors": []}, f"{EXPAND}: factors is [], and a list such as"),
        ({"by": "factors", "factors": [3]}, f"{EXPAND}: factors is [3], and a list of texts is needed."),
        (
            {"by": "factors", "factors": ["fog"]},
            f"{EXPAND}, factors: No factor is called 'fog'. Known: light, texture, camera_pose,",
        ),
        ({"by": "factors", "factors": ["light=x"]}, f"{EXPAND}, factors: light=x: 'x' is no magnitude. Give a number"),
        (
            {"by": "factors", "factors": ["light"], "reset_range": "D1"},
            f"{EXPAND}: knows no option 'reset_range'. It has: factors (a list of texts).",
        ),
        ({"by": "retime", "speed_ratio": "slow"}, f"{EXPAND}: speed_ratio is 'slow', and a number is needed."),
        ({"by": "world_model"}, f"{EXPAND}: url is needed (a text)."),
        ({"spec": {"nearest": 2.5}}, f"{EXPAND}, spec: nearest must be an integer >= 1, got 2.5."),
        ({"spec": {"one_source": "no"}}, f"{EXPAND}, spec: one_source must be true or false, got 'no'."),
        (
            {"spec": {"subtask": {"grasp": {"bridge_speed_m_s": 0}}}},
            f"{EXPAND}, spec, [subtask.grasp]: bridge_speed_m_s must be a number > 0, got 0.",
        ),
    ],
)
def test_an_expansion_that_cannot_be_made_is_refused(change: dict[str, Any], message: str) -> None:
    expand = {"by": "demonstrations", "episodes": 3, **change}
    assert refusal(factor=[two("a", expand=expand)]).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": [two(5)]}, "[[factor]] 1: name is 5, and a text is needed."),
        ({"factor": [two("")]}, "[[factor]] 1: name is '', and a text is needed."),
        ({"factor": [two("a"), two("a")]}, "two factors have the name 'a'. Give each its own."),
        (
            {"factor": [two("a", checks={}), two("b", checks={})]},
            "factor a, level yes and factor b, level yes are in one arm and both say [checks].",
        ),
        (
            {"factor": [two("a", training={"steps": 1}), two("b", training={"steps": 2})]},
            "factor a, level yes and factor b, level yes are in one arm and both say training.steps.",
        ),
        (
            {"factor": [two("a", checks={})], "data": {"source": [{"path": "x"}], "checks": {}}},
            "factor a, level yes says [checks], and so does [data]. Leave one out.",
        ),
    ],
)
def test_factors_that_cannot_be_told_apart_or_contradict_each_other_are_refused(
    change: dict[str, Any], message: str
) -> None:
    assert message in refusal(**change)


def test_what_can_be_obeyed_is_not_refused() -> None:
    factors = [two("a", checks={}), two("b", checks={})]
    assert len(asked(factor=factors, design="one_at_a_time").factors) == 2, "they never meet in one arm"
    assert asked(training_seeds=2, trials=2, cents_per_hour=0, device="cuda:1", robot="so100").training_seeds == 2
    training = {"steps": 5, "cameras": [], "rate_hz": 10, "history_s": [-0.1, 0], "picture_px": 64}
    (factor,) = asked(factor=[two("a", training=training, step={"name": "trim_idle"})]).factors
    taken = {**training, "cameras": (), "history_s": (-0.1, 0.0)}
    assert factor.levels[1].training == taken


@pytest.mark.parametrize("path", HEADLINE, ids=lambda path: path.stem)
def test_every_study_of_the_headline_still_reads(path: Path) -> None:
    assert read_study(path).factors


@pytest.mark.parametrize("text", DOCUMENTED)
def test_every_study_of_the_documentation_still_reads(text: str) -> None:
    assert study_from(tomllib.loads(text), where="docs/study.md").factors


def test_there_are_studies_to_read() -> None:
    assert len(HEADLINE) >= 8
    assert DOCUMENTED
