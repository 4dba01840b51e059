"""The control loop: one thread that owns the world and lets time pass at a fixed rate, however slow the rest is.

Deadlines are absolute. Each period it takes the newest command of every arm, tells the world, lets one period of
physics pass, and publishes its state. It never waits for a picture, a disk or a network: consumers take the last
published state, in a thread or process of their own.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from robokata.collection.recording.recording import Recording
from robokata.collection.session.arm_controller import ArmController, ArmTarget, Hold
from robokata.collection.session.commands import Bounds, Command
from robokata.collection.session.latest_command import Delivery, LatestCommand
from robokata.collection.session.operator_view import operator_yaw_rad
from robokata.core.world import Setup
from robokata.sim.model import PHYSICS_HZ
from robokata.sim.world import SimWorld, Target

T = TypeVar("T")
Array = NDArray[np.float64]


class Applied(NamedTuple):
    """One command that the loop took up."""

    command: Command
    overwritten: int
    """Commands for the same arm that came before it and were never taken up."""
    applied_ns: int
    """When the joints' targets that follow from it were sent, on our monotonic clock."""


class LoopState(NamedTuple):
    """The world after one control period, as the other threads see it."""

    number: int
    """Periods since the loop began."""
    scene: int
    """Resets since the loop began."""
    time_s: float
    physics: Array
    geoms_m: Array
    """(geoms, 3), positions in the world."""
    geoms_turn: Array
    """(geoms, 9), rotations, row by row."""
    tips: Array
    """(arms, 7), measured."""
    commands: Array
    """(arms, 8), commanded tip and opening."""
    state: Array
    action: Array
    openings: tuple[float, ...]
    """Measured, as a share of fully open."""
    objects: Array
    """(props, 7)."""
    holds: tuple[Hold, ...]
    success: bool
    recorded_steps: int | None
    """None while nothing is recorded."""
    stopped: str | None
    """Why a recording ended by itself: its limit, the disk."""
    late_ns: int
    busy_ns: int
    overruns: int
    applied: tuple[Applied, ...]
    wall_ns: int


class ControlLoop:
    """The thread that owns the world and lets its time pass."""

    def __init__(self, world: SimWorld, task: Any, bounds: Bounds, *, publish: Callable[[LoopState], None]) -> None:
        self.world, self.task = world, task
        self.latest_commands: Mapping[str, LatestCommand[Command]] = {arm: LatestCommand() for arm in world.arms}
        yaw_rad = operator_yaw_rad(world.robot, world.model, world.data)
        self.controllers = {arm: ArmController(arm, bounds, operator_yaw_rad=yaw_rad) for arm in world.arms}
        self.failed: Future[None] = Future()
        """Set when the loop ends by a defect: nothing moves any more, and the server must end too."""
        self._publish = publish
        self._period_ns = 1_000_000_000 // world.control_hz
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._setup = Setup({})
        self._recording: Recording | None = None
        self._stopped: str | None = None
        self._number = self._scene = self._overruns = 0
        self._applied_ns = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    # -- from other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let time pass."""
        self._thread.start()

    def stop(self) -> None:
        """Let no more time pass; what is being recorded stays in its journal."""
        self._ends.set()
        self._thread.join()

    def ask(self, job: Callable[[], T]) -> Future[T]:
        """Have the loop do something between two periods."""
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(job())
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                answer.set_exception(error)

        self._jobs.put(work)
        return answer

    # -- jobs of the loop's own thread ----------------------------------------------------------------------------

    def reset(self, setup: Setup, joint_noise_rad: Mapping[str, Array]) -> None:
        """Put the world to a reset; a recording must have ended before."""
        self._setup = setup
        self.world.reset(setup, joint_noise_rad=joint_noise_rad)
        self._scene += 1
        self._stopped = None
        for arm, controller in self.controllers.items():
            controller.forget()
            self.latest_commands[arm].take()

    def begin(self, recording: Recording) -> None:
        """Record from now on."""
        self._recording, self._stopped = recording, None

    def end(self) -> Recording | None:
        """Record no more; the recording, None where there was none."""
        recording, self._recording = self._recording, None
        return recording

    # -- the loop -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: raised by what waits for `failed`
            self.failed.set_exception(error)

    def _loop(self) -> None:
        deadline_ns = time.monotonic_ns()
        while not self._ends.is_set():
            if self._do_jobs():
                deadline_ns = time.monotonic_ns()
            self._pass(time.monotonic_ns() - deadline_ns)
            deadline_ns += self._period_ns
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns < -self._period_ns:
                # A whole period behind: the world's time slips rather than run fast to catch up; it is counted.
                self._overruns += 1
                deadline_ns = time.monotonic_ns()
            elif left_ns > 0:
                time.sleep(left_ns / 1e9)

    def _do_jobs(self) -> bool:
        did = False
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return did
            job()
            did = True

    def _pass(self, late_ns: int) -> None:
        began_ns = time.monotonic_ns()
        deliveries = {arm: box.take() for arm, box in self.latest_commands.items()}
        targets = {
            arm: controller.decide(self.world, deliveries[arm], now_ns=began_ns)
            for arm, controller in self.controllers.items()
        }
        command = functools.partial(self._command, targets)
        recording = self._recording
        if recording is None:
            command()
            self.world.advance(PHYSICS_HZ // self.world.control_hz)
            success = bool(self.task.succeeded(self.world, self._setup))
        else:
            success = recording.step(command)
        applied = tuple(_applied(deliveries, self._applied_ns))
        busy_ns = time.monotonic_ns() - began_ns
        if recording is not None:
            holds = [int(controller.hold) for controller in self.controllers.values()]
            recording.write(applied, holds, began_ns=began_ns, late_ns=late_ns, busy_ns=busy_ns)
            if (why := recording.must_stop()) is not None:
                self._recording, self._stopped = None, why
        self._number += 1
        self._publish(self._loop_state(applied, success, late_ns, busy_ns))

    def _command(self, targets: Mapping[str, ArmTarget | None]) -> None:
        world, tips = self.world, {}
        for arm, target in targets.items():
            if target is None:
                world.hold(arm)
            elif target.joints_rad is not None:
                world.command_arm_joints(arm, target.joints_rad, target.opening_m)
            elif target.tip is not None:
                tips[arm] = Target(target.tip, target.opening_m)
        world.command_tips(tips)
        self._applied_ns = time.monotonic_ns()

    def _loop_state(self, applied: tuple[Applied, ...], success: bool, late_ns: int, busy_ns: int) -> LoopState:
        world = self.world
        return LoopState(
            number=self._number,
            scene=self._scene,
            time_s=world.time_s,
            physics=world.physics_state(),
            geoms_m=world.data.geom_xpos.copy(),
            geoms_turn=world.data.geom_xmat.copy(),
            tips=world.tips(),
            commands=world.commands(),
            state=world.state(),
            action=world.action(),
            openings=tuple(world.opening_m(arm) / (world.max_opening_m(arm) or 1.0) for arm in world.arms),
            objects=world.objects(),
            holds=tuple(controller.hold for controller in self.controllers.values()),
            success=success,
            recorded_steps=None if self._recording is None else self._recording.steps,
            stopped=self._stopped,
            late_ns=late_ns,
            busy_ns=busy_ns,
            overruns=self._overruns,
            applied=applied,
            wall_ns=time.monotonic_ns(),
        )


def _applied(deliveries: Mapping[str, Delivery[Command] | None], applied_ns: int) -> list[Applied]:
    return [
        Applied(delivery.item, delivery.overwritten, applied_ns)
        for delivery in deliveries.values()
        if delivery is not None
    ]
