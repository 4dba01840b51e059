"""A teleoperation session: record, keep, discard, skip, reset and undo, as a state machine."""

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
from robokata.collection.recording.recording import Recording
from robokata.collection.recording.recording_store import RecordingStore
from robokata.collection.session.commands import Bounds, command_bounds
from robokata.collection.session.control_loop import ControlLoop, LoopState
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
class SessionOptions:
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


class SampledReset(NamedTuple):
    """One reset."""

    setup: Setup
    joint_noise_rad: dict[str, Any]
    seed: list[int]


class Session:
    """The operator's state machine; everything here runs in the server's event loop."""

    def __init__(self, options: SessionOptions, store: RecordingStore, *, notify: Callable[[], None]) -> None:
        self.options, self.store, self._notify = options, store, notify
        self.world = world_of(options.scene)
        self._reset_count = store.made_before
        self.reset_sample = self._sample_reset()
        self.world.reset(self.reset_sample.setup, joint_noise_rad=self.reset_sample.joint_noise_rad)
        self.bounds: Bounds = command_bounds(self.world.robot, self.world.tips()[:, :3])
        self._loop = asyncio.get_running_loop()
        self.control = ControlLoop(self.world, options.scene.leaf, self.bounds, publish=self._publish)
        self.phase = Phase.READY
        self.loop_state: LoopState | None = None
        self.notice = ""
        self.refused: Counter[str] = Counter()
        self.skipped = 0
        self.latencies_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self.overwritten = 0
        self.listeners: list[Callable[[LoopState], None]] = []
        self._recording: Recording | None = None
        self._recording_began: datetime.datetime | None = None
        self._refused_before: Counter[str] = Counter()
        self._acting = asyncio.Lock()

    @property
    def instruction(self) -> str:
        """What the operator is asked to do now."""
        return instruction_of(self.options.scene.leaf, self.reset_sample.setup)

    def start(self) -> None:
        """Let time pass, from the reset."""
        self.control.ask(lambda: self.control.reset(self.reset_sample.setup, self.reset_sample.joint_noise_rad))
        self.control.start()

    def stop(self) -> bool:
        """Let no more time pass; True where a recording was cut, whose journal stays."""
        self.control.stop()
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.journal.close()
        return recording is not None

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
            self._notify()

    # -- acts -----------------------------------------------------------------------------------------------------

    async def _record(self) -> None:
        if self.phase is not Phase.READY:
            return
        # Every episode begins at its reset, so that it can be made again from its seed.
        await self._reset()
        self._recording_began = datetime.datetime.now(datetime.UTC)
        try:
            journal = Journal(self.store.place_for(self._recording_began), self._head())
        except OSError as error:
            self.notice = f"Nothing can be recorded: {error.strerror}. Every finished episode is intact."
            self.store.log_event("problem", why=self.notice)
            return
        options = self.options
        recording = Recording(
            self.world,
            self.reset_sample.setup,
            task=options.scene.leaf,
            sensors=Sensors(camera_hz=options.camera_hz),
            journal=journal,
            limit_s=options.limit_s,
        )
        self._recording, self._refused_before, self.notice = recording, self.refused.copy(), ""
        self.phase = Phase.RECORDING
        await self._run_in_loop(lambda: self.control.begin(recording))

    async def _stop_recording(self) -> None:
        if self.phase is Phase.RECORDING:
            await self._run_in_loop(self.control.end)
            self.phase = Phase.REVIEW

    async def _keep(self) -> None:
        await self._stop_recording()
        recording = self._recording
        if self.phase is not Phase.REVIEW or recording is None or self._recording_began is None:
            return
        self._recording, self.phase = None, Phase.READY
        said = {
            "was_cut": False,
            "refused": dict(self.refused - self._refused_before),
            "skipped_resets": self.skipped,
            "stopped_by": self.notice or "operator",
        }
        path, cut = recording.journal.path, recording.journal.problem
        await asyncio.to_thread(recording.journal.close, last={"kept": said})
        self.notice = ""
        if recording.journal.problem is not None:
            self.notice = (
                f"Not kept: the disk says {cut or recording.journal.problem}. What was written of it is offered again "
                f"at the next start; every finished episode is intact."
            )
        elif recording.steps < 2:
            self.notice = "Discarded: nothing had happened yet."
            path.unlink()
        else:
            self.store.keep(path)
            self._reset_count += 1
            self.reset_sample = self._sample_reset()
        await self._reset()

    async def _discard(self) -> None:
        await self._stop_recording()
        recording = self._recording
        if self.phase is not Phase.REVIEW or recording is None:
            return
        self._recording, self.phase, self.notice = None, Phase.READY, ""
        await asyncio.to_thread(recording.journal.close)
        recording.journal.path.unlink()
        # The same reset again: operators who could choose would choose easy ones.
        await self._reset()

    async def _skip(self) -> None:
        if self.phase is Phase.READY:
            self.skipped += 1
            self._reset_count += 1
            self.reset_sample = self._sample_reset()
            await self._reset()

    async def _reset_unrecorded(self) -> None:
        if self.phase is Phase.READY:
            await self._reset()

    async def _undo(self) -> None:
        if self.phase is Phase.READY:
            self.notice = await self.store.undo()

    async def _reset(self) -> None:
        reset_sample = self.reset_sample
        await self._run_in_loop(lambda: self.control.reset(reset_sample.setup, reset_sample.joint_noise_rad))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _sample_reset(self) -> SampledReset:
        seed = [self.options.seed, self._reset_count]
        rng = np.random.default_rng(seed)
        robot, leaf = self.world.robot, self.options.scene.leaf
        setup = leaf.reset(rng, width=self.options.width, reach_m=reach_of(robot))
        noise = {arm.name: rng.normal(0, START_NOISE_RAD, len(arm.joints)) for arm in robot.arms}
        return SampledReset(setup, noise, seed)

    def _head(self) -> dict[str, Any]:
        options = self.options
        assert self._recording_began is not None
        cameras = options.filming.cameras or self.world.robot.cameras
        return {
            "version": 1,
            "scene": asdict(options.scene),
            "width": str(options.width),
            "seed": self.reset_sample.seed,
            "setup": setup_as_json(self.reset_sample.setup),
            "joint_noise_rad": self.reset_sample.joint_noise_rad,
            "sensors": Sensors(camera_hz=options.camera_hz).to_json(),
            "filming": {
                **options.filming.to_json(),
                "cameras": list(cameras),
            },
            "session": self.store.session,
            "operator": options.operator,
            "recorded_at": self._recording_began.isoformat(),
            "control": {"schema": 1, "rate_hz": options.scene.control_hz, "watchdog_s": 0.2},
        }

    async def _run_in_loop(self, job: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self.control.ask(job))

    def _publish(self, loop_state: LoopState) -> None:
        """From the loop's thread."""
        try:
            self._loop.call_soon_threadsafe(self._receive, loop_state)
        except RuntimeError:
            return  # the server's loop has ended before this one

    def _receive(self, loop_state: LoopState) -> None:
        self.loop_state = loop_state
        for applied in loop_state.applied:
            self.latencies_ms.append((applied.applied_ns - applied.command.sent_ns) / 1e6)
            self.overwritten += applied.overwritten
        if loop_state.stopped is not None and self.phase is Phase.RECORDING and loop_state.recorded_steps is None:
            self.phase, self.notice = Phase.REVIEW, loop_state.stopped
            self.store.log_event("problem", why=loop_state.stopped)
            self._notify()
        for listen in self.listeners:
            listen(loop_state)

    def status(self) -> dict[str, Any]:
        """Everything that changes seldom, for the page."""
        loop_state, latencies = self.loop_state, np.array(self.latencies_ms)
        steps = None if loop_state is None else loop_state.recorded_steps
        errors = (
            []
            if loop_state is None
            else np.linalg.norm(loop_state.tips[:, :3] - loop_state.commands[:, :3], axis=1).tolist()
        )
        return {
            "type": "status",
            "phase": str(self.phase),
            "instruction": self.instruction,
            "scene": None if loop_state is None else loop_state.scene,
            "recorded_s": None if steps is None else steps / self.options.scene.control_hz,
            "notice": self.notice,
            "success": bool(loop_state and loop_state.success),
            "holds": [] if loop_state is None else [hold.name.lower() for hold in loop_state.holds],
            "tracking_mm": [error * 1000 for error in errors],
            "latency_ms": _quantiles(latencies),
            "overwritten": self.overwritten,
            "overruns": 0 if loop_state is None else loop_state.overruns,
            "refused": sum(self.refused.values()),
            "refused_why": self.refused.most_common(1)[0][0] if self.refused else None,
            "wall_ms": time.monotonic_ns() / 1e6,
            **self.store.status(),
        }


def _quantiles(values: Any) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, [50, 99]).tolist()
    return {"p50": p50, "p99": p99}
