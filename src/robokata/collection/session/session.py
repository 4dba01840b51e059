"""Recording, keeping, discarding and undoing: what an operator does with the world beside driving in it."""

from __future__ import annotations

import asyncio
import datetime
import enum
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robokata.collection.recording.episode import setup_as_json
from robokata.collection.recording.journal import Journal
from robokata.collection.recording.recording import Take
from robokata.collection.recording.recording_store import Workshop
from robokata.collection.session.commands import Bounds, bounds_of
from robokata.collection.session.control_loop import Control, Moment
from robokata.core.world import Setup, Width, instruction_of
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import START_NOISE_RAD, Scene, reach_of, world_of
from robokata.sim.sensors import Sensors

_REMEMBERED = 500
"""Commands whose latency the page's numbers are made of: ten seconds at 50 Hz."""


class Phase(enum.StrEnum):
    """What the operator is about."""

    READY = "ready"
    RECORDING = "recording"
    REVIEW = "review"
    """Recorded, and neither kept nor discarded."""


@dataclass(frozen=True)
class Order:
    """What is collected, and how."""

    scene: Scene
    width: Width
    seed: int
    out: Path
    filming: Filming
    operator: str
    camera_hz: int = 30
    limit_s: float = 180.0
    """A demonstration is seconds long: after three minutes somebody has left."""


class Drawn(NamedTuple):
    """One reset."""

    setup: Setup
    joint_noise_rad: dict[str, Any]
    seed: list[int]


class Cockpit:
    """The operator's state machine; everything here runs in the server's event loop. A class, because it is state."""

    def __init__(self, order: Order, workshop: Workshop, *, tell: Callable[[], None]) -> None:
        self.order, self.workshop, self._tell = order, workshop, tell
        self.world = world_of(order.scene)
        self._draws = workshop.made_before
        self.drawn = self._draw()
        self.world.reset(self.drawn.setup, joint_noise_rad=self.drawn.joint_noise_rad)
        self.bounds: Bounds = bounds_of(self.world.robot, self.world.tips()[:, :3])
        self._loop = asyncio.get_running_loop()
        self.control = Control(self.world, order.scene.leaf, self.bounds, publish=self._publish)
        self.phase = Phase.READY
        self.moment: Moment | None = None
        self.notice = ""
        self.refused: Counter[str] = Counter()
        self.skipped = 0
        self.latencies_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self.overwritten = 0
        self.listeners: list[Callable[[Moment], None]] = []
        self._take: Take | None = None
        self._take_began: datetime.datetime | None = None
        self._refused_before: Counter[str] = Counter()
        self._acting = asyncio.Lock()

    @property
    def instruction(self) -> str:
        """What the operator is asked to do now."""
        return instruction_of(self.order.scene.leaf, self.drawn.setup)

    def start(self) -> None:
        """Let time pass, from the reset."""
        self.control.ask(lambda: self.control.reset(self.drawn.setup, self.drawn.joint_noise_rad))
        self.control.start()

    def stop(self) -> bool:
        """Let no more time pass; True where a recording was cut, whose journal stays."""
        self.control.stop()
        take, self._take = self._take, None
        if take is not None:
            take.journal.close()
        return take is not None

    async def act(self, what: str) -> None:
        """One of `record`, `stop`, `keep`, `discard`, `skip`, `reset`, `undo`; what makes no sense now does nothing."""
        does = {
            "record": self._record,
            "stop": self._stop_recording,
            "keep": self._keep,
            "discard": self._discard,
            "skip": self._skip,
            "reset": self._reset_unrecorded,
            "undo": self._undo,
        }.get(what)
        if does is not None:
            async with self._acting:  # two presses at once are two acts, one after the other
                await does()
            self._tell()

    # -- acts -----------------------------------------------------------------------------------------------------

    async def _record(self) -> None:
        if self.phase is not Phase.READY:
            return
        # Every episode begins at its reset, so that it can be made again from its seed.
        await self._reset()
        self._take_began = datetime.datetime.now(datetime.UTC)
        try:
            journal = Journal(self.workshop.place_for(self._take_began), self._head())
        except OSError as error:
            self.notice = f"Nothing can be recorded: {error.strerror}. Every finished episode is intact."
            self.workshop.said("problem", why=self.notice)
            return
        order = self.order
        take = Take(
            self.world,
            self.drawn.setup,
            task=order.scene.leaf,
            sensors=Sensors(camera_hz=order.camera_hz),
            journal=journal,
            limit_s=order.limit_s,
        )
        self._take, self._refused_before, self.notice = take, self.refused.copy(), ""
        self.phase = Phase.RECORDING
        await self._asked(lambda: self.control.begin(take))

    async def _stop_recording(self) -> None:
        if self.phase is Phase.RECORDING:
            await self._asked(self.control.end)
            self.phase = Phase.REVIEW

    async def _keep(self) -> None:
        await self._stop_recording()
        take = self._take
        if self.phase is not Phase.REVIEW or take is None or self._take_began is None:
            return
        self._take, self.phase = None, Phase.READY
        said = {
            "was_cut": False,
            "refused": dict(self.refused - self._refused_before),
            "skipped_resets": self.skipped,
            "stopped_by": self.notice or "operator",
        }
        path, cut = take.journal.path, take.journal.problem
        await asyncio.to_thread(take.journal.close, last={"kept": said})
        self.notice = ""
        if take.journal.problem is not None:
            self.notice = (
                f"Not kept: the disk says {cut or take.journal.problem}. What was written of it is offered again "
                f"at the next start; every finished episode is intact."
            )
        elif take.steps < 2:
            self.notice = "Discarded: nothing had happened yet."
            path.unlink()
        else:
            self.workshop.keep(path)
            self._draws += 1
            self.drawn = self._draw()
        await self._reset()

    async def _discard(self) -> None:
        await self._stop_recording()
        take = self._take
        if self.phase is not Phase.REVIEW or take is None:
            return
        self._take, self.phase, self.notice = None, Phase.READY, ""
        await asyncio.to_thread(take.journal.close)
        take.journal.path.unlink()
        # The same reset again: operators who could choose would choose easy ones.
        await self._reset()

    async def _skip(self) -> None:
        if self.phase is Phase.READY:
            self.skipped += 1
            self._draws += 1
            self.drawn = self._draw()
            await self._reset()

    async def _reset_unrecorded(self) -> None:
        if self.phase is Phase.READY:
            await self._reset()

    async def _undo(self) -> None:
        if self.phase is Phase.READY:
            self.notice = await self.workshop.undo()

    async def _reset(self) -> None:
        drawn = self.drawn
        await self._asked(lambda: self.control.reset(drawn.setup, drawn.joint_noise_rad))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _draw(self) -> Drawn:
        seed = [self.order.seed, self._draws]
        rng = np.random.default_rng(seed)
        robot, leaf = self.world.robot, self.order.scene.leaf
        setup = leaf.reset(rng, width=self.order.width, reach_m=reach_of(robot))
        noise = {arm.name: rng.normal(0, START_NOISE_RAD, len(arm.joints)) for arm in robot.arms}
        return Drawn(setup, noise, seed)

    def _head(self) -> dict[str, Any]:
        order = self.order
        assert self._take_began is not None
        return {
            "version": 1,
            "scene": asdict(order.scene),
            "width": str(order.width),
            "seed": self.drawn.seed,
            "setup": setup_as_json(self.drawn.setup),
            "joint_noise_rad": self.drawn.joint_noise_rad,
            "sensors": Sensors(camera_hz=order.camera_hz).as_json(),
            "filming": {**order.filming.as_json(), "cameras": list(order.filming.cameras or self.world.robot.cameras)},
            "session": self.workshop.session,
            "operator": order.operator,
            "recorded_at": self._take_began.isoformat(),
            "control": {"schema": 1, "rate_hz": order.scene.control_hz, "watchdog_s": 0.2},
        }

    async def _asked(self, job: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self.control.ask(job))

    def _publish(self, moment: Moment) -> None:
        """From the loop's thread."""
        try:
            self._loop.call_soon_threadsafe(self._take_in, moment)
        except RuntimeError:
            return  # the server's loop has ended before this one

    def _take_in(self, moment: Moment) -> None:
        self.moment = moment
        for applied in moment.applied:
            self.latencies_ms.append((applied.applied_ns - applied.command.sent_ns) / 1e6)
            self.overwritten += applied.overwritten
        if moment.stopped is not None and self.phase is Phase.RECORDING and moment.recorded_steps is None:
            self.phase, self.notice = Phase.REVIEW, moment.stopped
            self.workshop.said("problem", why=moment.stopped)
            self._tell()
        for listen in self.listeners:
            listen(moment)

    def status(self) -> dict[str, Any]:
        """Everything that changes seldom, for the page."""
        moment, latencies = self.moment, np.array(self.latencies_ms)
        steps = None if moment is None else moment.recorded_steps
        errors = [] if moment is None else np.linalg.norm(moment.tips[:, :3] - moment.commands[:, :3], axis=1).tolist()
        return {
            "type": "status",
            "phase": str(self.phase),
            "instruction": self.instruction,
            "scene": None if moment is None else moment.scene,
            "recorded_s": None if steps is None else steps / self.order.scene.control_hz,
            "notice": self.notice,
            "success": bool(moment and moment.success),
            "holds": [] if moment is None else [hold.name.lower() for hold in moment.holds],
            "tracking_mm": [error * 1000 for error in errors],
            "latency_ms": _quantiles(latencies),
            "overwritten": self.overwritten,
            "overruns": 0 if moment is None else moment.overruns,
            "refused": sum(self.refused.values()),
            "refused_why": self.refused.most_common(1)[0][0] if self.refused else None,
            "wall_ms": time.monotonic_ns() / 1e6,
            **self.workshop.status(),
        }


def _quantiles(values: Any) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, [50, 99]).tolist()
    return {"p50": p50, "p99": p99}
