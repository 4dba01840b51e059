"""The control loop: one thread that owns the world and lets time pass at a fixed rate, whoever is slow.

Deadlines are absolute. Each period it takes the newest command of every arm, tells the world, lets one period of
physics pass, and publishes the moment. It never waits for a picture, a disk or a network: whoever wants those takes the
last published moment, in a thread or process of its own.
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

from robokata.collection.recording.recording import Take
from robokata.collection.session.arm_controller import Hold, Intent, Pilot
from robokata.collection.session.commands import Bounds, Command
from robokata.collection.session.latest_command import Mail, Mailbox, mailboxes
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


class Moment(NamedTuple):
    """The world after one control period, as everybody else sees it."""

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


class Control:
    """The loop's thread. A class, because a world and its time are state."""

    def __init__(self, world: SimWorld, task: Any, bounds: Bounds, *, publish: Callable[[Moment], None]) -> None:
        self.world, self.task = world, task
        self.boxes: Mapping[str, Mailbox[Command]] = mailboxes(world.arms)
        yaw_rad = operator_yaw_rad(world.robot, world.model, world.data)
        self.pilots = {arm: Pilot(arm, bounds, operator_yaw_rad=yaw_rad) for arm in world.arms}
        self.failed: Future[None] = Future()
        """Set when the loop ends by a defect: nothing moves any more, and whoever serves must end too."""
        self._publish = publish
        self._period_ns = 1_000_000_000 // world.control_hz
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._setup = Setup({})
        self._take: Take | None = None
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
            except BaseException as error:  # noqa: BLE001 - handed to whoever asked
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
        for arm, pilot in self.pilots.items():
            pilot.forget()
            self.boxes[arm].take()

    def begin(self, take: Take) -> None:
        """Record from now on."""
        self._take, self._stopped = take, None

    def end(self) -> Take | None:
        """Record no more; the take, None where there was none."""
        take, self._take = self._take, None
        return take

    # -- the loop -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: whoever waits for `failed` raises it
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
        mails = {arm: box.take() for arm, box in self.boxes.items()}
        intents = {arm: pilot.decide(self.world, mails[arm], now_ns=began_ns) for arm, pilot in self.pilots.items()}
        command = functools.partial(self._command, intents)
        take = self._take
        if take is None:
            command()
            self.world.advance(PHYSICS_HZ // self.world.control_hz)
            success = bool(self.task.succeeded(self.world, self._setup))
        else:
            success = take.step(command)
        applied = tuple(_applied(mails, self._applied_ns))
        busy_ns = time.monotonic_ns() - began_ns
        if take is not None:
            holds = [int(pilot.hold) for pilot in self.pilots.values()]
            take.write(applied, holds, began_ns=began_ns, late_ns=late_ns, busy_ns=busy_ns)
            if (why := take.must_stop()) is not None:
                self._take, self._stopped = None, why
        self._number += 1
        self._publish(self._moment(applied, success, late_ns, busy_ns))

    def _command(self, intents: Mapping[str, Intent | None]) -> None:
        world, targets = self.world, {}
        for arm, intent in intents.items():
            if intent is None:
                world.hold(arm)
            elif intent.joints_rad is not None:
                world.command_arm_joints(arm, intent.joints_rad, intent.opening_m)
            elif intent.tip is not None:
                targets[arm] = Target(intent.tip, intent.opening_m)
        world.command_tips(targets)
        self._applied_ns = time.monotonic_ns()

    def _moment(self, applied: tuple[Applied, ...], success: bool, late_ns: int, busy_ns: int) -> Moment:
        world = self.world
        return Moment(
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
            holds=tuple(pilot.hold for pilot in self.pilots.values()),
            success=success,
            recorded_steps=None if self._take is None else self._take.steps,
            stopped=self._stopped,
            late_ns=late_ns,
            busy_ns=busy_ns,
            overruns=self._overruns,
            applied=applied,
            wall_ns=time.monotonic_ns(),
        )


def _applied(mails: Mapping[str, Mail[Command] | None], applied_ns: int) -> list[Applied]:
    return [Applied(mail.item, mail.overwritten, applied_ns) for mail in mails.values() if mail is not None]
