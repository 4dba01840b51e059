"""The control loop: a fixed rate however slow the rest is, the newest command only, and hold when no more come.

The loop's thread runs on a clock of its own here, which only its sleeping and what a test lets take time move on: so
every number below is exact on a machine of any speed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
from operator_commands import command, sampled_reset, twist, world_at_rest

from robokata.collection.session import control_loop
from robokata.collection.session.arm_controller import Hold
from robokata.collection.session.commands import CommandKind, command_bounds
from robokata.collection.session.control_loop import ControlLoop, LoopState
from robokata.geometry.poses import seven_of
from robokata.sim.demonstration import scene_of

PERIOD_MS = 50.0


class LoopOnItsOwnClock:
    """Runs a loop for some periods; `busy_ms(period)` is what publishing costs it."""

    def __init__(self, patch: pytest.MonkeyPatch, task: str = "lift", busy_ms: Callable[[int], float] = lambda n: 0.0):
        self.now_ns, self.busy_ms, self.states = 0, busy_ms, list[LoopState]()
        self.before: dict[int, Callable[[], object]] = {}
        patch.setattr(control_loop, "time", SimpleNamespace(monotonic_ns=lambda: self.now_ns, sleep=self.sleep))
        self.world = world_at_rest(task)
        bounds = command_bounds(self.world.robot, self.world.tips()[:, :3])
        self.loop = ControlLoop(self.world, scene_of(task).leaf, bounds, publish=self.publish)

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def publish(self, state: LoopState) -> None:
        self.states.append(state)
        self.now_ns += round(self.busy_ms(len(self.states)) * 1e6)
        if len(self.states) in self.before:
            self.before[len(self.states)]()
        if len(self.states) >= self.most:
            self.loop._ends.set()

    def run(self, periods: int) -> list[LoopState]:
        self.most = periods
        self.loop.start()
        self.loop._thread.join(60)
        assert not self.loop._thread.is_alive()
        return self.states

    def spacings_ms(self) -> list[float]:
        return [(b.wall_ns - a.wall_ns) / 1e6 for a, b in zip(self.states, self.states[1:], strict=False)]


def test_periods_have_equal_length_whatever_publishing_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch, busy_ms=lambda n: 7.0 * (n % 6))
    states = clocked.run(20)
    assert clocked.spacings_ms() == [PERIOD_MS] * 19
    times_s = [state.time_s for state in states]
    assert np.diff(times_s) == pytest.approx(np.full(19, 0.05)), "the world's time passes at the same rate"
    assert states[-1].overruns == 0


def test_a_period_that_is_a_little_late_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch, busy_ms=lambda n: 60.0 if n == 3 else 0.0)
    states = clocked.run(6)
    assert clocked.spacings_ms() == [50.0, 50.0, 60.0, 40.0, 50.0], "deadlines are absolute"
    assert states[3].late_ns == 10_000_000
    assert states[-1].overruns == 0


def test_a_stall_is_counted_and_the_world_does_not_run_fast_to_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch, busy_ms=lambda n: 1000.0 if n == 3 else 0.0)
    states = clocked.run(8)
    assert clocked.spacings_ms() == [50.0, 50.0, 1000.0, 50.0, 50.0, 50.0, 50.0]
    assert [state.overruns for state in states] == [0, 0, 0, 1, 1, 1, 1, 1]


def test_the_newest_command_of_a_period_wins_and_the_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch)
    for sequence, speed in enumerate((0.3, -0.3, 0.1)):
        clocked.loop.latest_commands["arm"].put(twist(0, speed, 0, 0, 0, 0, sequence=sequence))
    before = clocked.world.command("arm").copy()
    first, second = clocked.run(2)
    assert [(each.command.sequence, each.overwritten) for each in first.applied] == [(2, 2)]
    assert first.commands[0, 1] - before[1, 3] == pytest.approx(0.1 / 20)
    assert second.applied == (), "a command is taken up once"
    assert second.holds == (Hold.FOLLOWS,), "and followed until the next one"


def test_the_arm_holds_200_ms_after_the_operator_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch)
    clocked.loop.latest_commands["arm"].put(twist(0, 0.1, 0, 0, 0, 0))
    states = clocked.run(10)
    assert [state.holds[0] for state in states] == [Hold.FOLLOWS] * 5 + [Hold.STALE] * 5
    sent = [state.action.tolist() for state in states]
    assert sent[0] != sent[4], "it moved"
    assert sent[5:] == [sent[5]] * 5, "and nothing new is sent to the joints"


def test_an_arm_that_holds_gives_up_the_way_that_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch)
    goal = clocked.world.command("arm").copy()
    goal[:3, 3] = [-0.3, -0.4, 0.6]
    far = command(CommandKind.POSE, seven_of(goal).tolist())
    clocked.loop.latest_commands["arm"].put(far)
    states = clocked.run(7)
    assert states[4].commands[0, :3] == pytest.approx(goal[:3, 3]), "while it is followed, the goal is the command"
    left_m = np.linalg.norm(states[-1].commands[0, :3] - goal[:3, 3])
    assert left_m > 0.05, "afterwards it is where the joints were sent, so that the next twist starts there"


def test_nothing_moves_before_the_first_command(monkeypatch: pytest.MonkeyPatch) -> None:
    states = LoopOnItsOwnClock(monkeypatch).run(5)
    assert {state.holds for state in states} == {(Hold.NOBODY,)}
    assert all(state.action.tolist() == states[0].action.tolist() for state in states)


def test_an_arm_without_commands_stays_while_the_other_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch, "hand_over")
    clocked.loop.latest_commands["left"].put(twist(0, 0, 0.2, 0, 0, 0, arm="left"))
    states = clocked.run(4)
    left, right = (clocked.world.arms.index(arm) for arm in ("left", "right"))
    assert states[-1].holds[left] is Hold.FOLLOWS
    assert states[-1].holds[right] is Hold.NOBODY
    moved_m = states[-1].commands[:, 2] - states[0].commands[:, 2]
    assert moved_m[left] > 0.02
    assert abs(moved_m[right]) < 1e-3


def test_a_reset_forgets_the_commands_from_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked, answers = LoopOnItsOwnClock(monkeypatch), list[Future[None]]()
    loop, setup = clocked.loop, sampled_reset(clocked.world)
    loop.latest_commands["arm"].put(twist(0, 0.1, 0, 0, 0, 0))
    clocked.before[2] = lambda: answers.append(loop.ask(lambda: loop.reset(setup, {"arm": np.zeros(7)})))
    states = clocked.run(4)
    answers[0].result(0)
    assert [state.holds[0] for state in states] == [Hold.FOLLOWS, Hold.FOLLOWS, Hold.NOBODY, Hold.NOBODY]
    assert [state.scene for state in states] == [0, 0, 1, 1]


def test_a_job_that_fails_is_told_to_who_asked_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch)
    answer = clocked.loop.ask(lambda: 1 / 0)
    assert len(clocked.run(3)) == 3
    with pytest.raises(ZeroDivisionError):
        answer.result(0)
    assert not clocked.loop.failed.done()


def test_a_loop_that_ends_by_a_defect_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    clocked = LoopOnItsOwnClock(monkeypatch)
    clocked.before[2] = fail
    clocked.run(5)
    with pytest.raises(RuntimeError, match="a defect"):
        clocked.loop.failed.result(0)


def test_stopping_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = LoopOnItsOwnClock(monkeypatch)
    clocked.most, seen = 10**9, threading.Event()
    clocked.before[1] = seen.set
    clocked.loop.start()
    assert seen.wait(60)
    clocked.loop.stop()
    assert not clocked.loop._thread.is_alive()
