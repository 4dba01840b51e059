"""Live camera pictures, rendered by another process as fast as it can and no faster than asked."""

from __future__ import annotations

import asyncio
import struct
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from robokata.collection.recording import child_process as child
from robokata.collection.robot import wire
from robokata.collection.session.control_loop import LoopState

LIVE_HZ = 30
_PICTURES_S = 30.0
"""Time for the pictures of one moment: software rendering takes some tenths of a second, its first start seconds."""
_GIVES_UP_AFTER = 3
"""Workers that die without a picture: this machine cannot render, and the page says so."""


class LivePicture(NamedTuple):
    """One camera's picture."""

    camera: int
    """Number in the robot's list."""
    time_s: float
    jpeg: bytes


class LiveCameras:
    """The camera worker, asked for pictures of the newest state again and again."""

    def __init__(
        self,
        head: dict[str, Any],
        cameras: Sequence[str],
        *,
        newest: Callable[[], LoopState | None],
        setup: Callable[[], dict[str, Any]],
        show: Callable[[LivePicture], None],
    ) -> None:
        self._head, self._cameras = head, list(cameras)
        self._newest, self._setup, self._show = newest, setup, show
        self.problem: str | None = None
        self.rate_hz = 0.0
        """Pictures per second and camera, lately."""

    async def run(self) -> None:
        """Draw until cancelled."""
        failures = 0
        while failures < _GIVES_UP_AFTER:
            worker = await child.begin("robokata.collection.page.camera_worker")
            try:
                failures = 0 if await self._draw_with(worker) else failures + 1
            finally:
                await child.end(worker, patience_s=1.0)
        self.problem = "The live pictures cannot be drawn on this machine; see the terminal. Recording works."

    async def _draw_with(self, worker: Process) -> bool:
        """Draw with one worker until it dies; True where it ever gave a picture."""
        drew, scene = False, -1
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(wire.packed(self._head))
            while True:
                began_s = time.monotonic()
                loop_state = self._newest()
                if loop_state is not None:
                    head: dict[str, Any] = {"time_s": loop_state.time_s, "cameras": self._cameras}
                    if loop_state.scene != scene:
                        scene, head["setup"] = loop_state.scene, self._setup()
                    worker.stdin.write(wire.packed(head, [loop_state.physics.tobytes()]))
                    await worker.stdin.drain()
                    message = await _received(worker.stdout)
                    for number, jpeg in enumerate(message.blobs):
                        self._show(LivePicture(number, message.head["time_s"], jpeg))
                    drew = True
                await asyncio.sleep(max(0.0, 1 / LIVE_HZ - (time.monotonic() - began_s)))
                self.rate_hz += 0.1 * (1 / (time.monotonic() - began_s) - self.rate_hz)
        except (asyncio.IncompleteReadError, ConnectionError):
            return drew


async def _received(stream: asyncio.StreamReader) -> wire.WireMessage:
    """The worker's answer.

    Raises:
        ConnectionError: it does not come in time, or is none.
        asyncio.IncompleteReadError: the worker has ended.
    """
    try:
        async with asyncio.timeout(_PICTURES_S):
            (size,) = struct.unpack("<I", await stream.readexactly(4))
            if size > wire.LARGEST_HEAD_BYTES:
                raise ValueError(f"a head of {size} bytes")
            head = wire.head_in(await stream.readexactly(size))
            return wire.WireMessage(head, [await stream.readexactly(each) for each in head.pop("blobs")])
    except (TimeoutError, ValueError) as error:
        raise ConnectionError(f"the worker: {error or 'no picture in time'}") from None
