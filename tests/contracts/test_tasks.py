"""Every task on the shelf, on every robot that can do it: its words, its resets, its expert."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from robokata.core.shelf import shelf
from robokata.core.world import Width
from robokata.sim.demonstration import reach_of, robot_of, robots_for
from robokata.testing import TASK_CLAUSES

SCENES = [(task, robot) for task in shelf("tasks").names() for robot in robots_for(task)]


@pytest.mark.parametrize(("task", "robot"), SCENES)
@pytest.mark.parametrize("clause", TASK_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_task_keeps_the_contract(task: str, robot: str, clause: Callable[[str, str], None]) -> None:
    clause(task, robot)


def test_every_word_of_pick_place_is_asked_for() -> None:
    leaf, reach_m = shelf("tasks")["pick_place"], reach_of(robot_of("franka_panda"))
    setups = [leaf.reset(np.random.default_rng([5, s]), width=Width.D0, reach_m=reach_m) for s in range(200)]
    assert len({tuple(setup.words.values()) for setup in setups}) == 6


def test_a_robot_does_every_task_that_it_has_what_it_takes_for() -> None:
    able = {task: robots_for(task) for task in shelf("tasks").names()}
    assert able["stack"] == ("franka_panda", "so100")
    assert able["push"] == ("franka_panda",)
    assert able["hand_over"] == ("viperx_bimanual",)
    needs = shelf("tasks")["stack"].NEEDS
    assert needs.unmet(robot_of("viperx_bimanual")) == "it has the arms left, right, and arm are needed"
    assert shelf("tasks")["push"].NEEDS.unmet(robot_of("so100")) == (
        "a reach of (0.075, 0.12) m, and (0.16, 0.28) m are needed"
    )
