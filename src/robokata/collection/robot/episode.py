"""A robot's recording, on disk and as an Episode: every value with the time at which it was read or sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.robot import wire
from robokata.core.clock import Clock, measured_clock
from robokata.core.episode import Embodiment, Episode, Instruction, Origin, Outcome
from robokata.core.errors import DamagedData, RobotFailed
from robokata.core.require import require
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.images import EncodedImages

SUFFIX = ".frames"
_QUALITY = 95
"""Of 100: what a camera saw once is not seen again; twice the bytes of 90, and artefacts below its noise."""


@dataclass(frozen=True)
class RobotRecording:
    """A recording: what was begun, and every step with its encoded pictures."""

    path: Path
    head: dict[str, Any]
    steps: list[wire.WireMessage]


class FrameFile:
    """A recording that grows, unbuffered: a kill costs the step that was being written."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path, self.count = path, 0
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._write(wire.packed(head))

    def add(self, step: wire.WireMessage) -> None:
        """Write one step; its pictures must be encoded."""
        self._write(wire.packed(step.head, step.blobs))
        self.count += 1

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _write(self, message: bytes) -> None:
        left = memoryview(message)
        while left:
            left = left[self._file.write(left) :]


def read_frames(path: Path) -> RobotRecording:
    """Read a recording up to its last whole step.

    Raises:
        DamagedData: not even its beginning is whole.
    """
    with path.open("rb") as file:
        try:
            first = wire.receive(file)
            if first is None:
                raise DamagedData(path, "holds no recording: its beginning was never finished.", offset=0)
            steps = []
            while (step := wire.receive(file)) is not None:
                steps.append(step)
        except ValueError as error:
            raise DamagedData(path, str(error)) from None
    return RobotRecording(path, first.head, steps)


def checked(step: wire.WireMessage) -> wire.WireMessage:
    """A step whose numbers are finite and whose pictures are encoded.

    Raises:
        RobotFailed: the robot measured something that is no number, or a picture that is none.
    """
    for name, value in step.head["state"].items():
        if not math.isfinite(value):
            raise RobotFailed(f"the robot says {value} for {name!r}: its sensor or its bus has failed.")
    encode = require("simplejpeg", extra="images").encode_jpeg
    pictures = []
    for facts, blob in zip(step.head["pictures"], step.blobs, strict=True):
        height, width, channels = facts["shape"]
        if facts["dtype"] != "uint8" or channels != 3 or len(blob) != height * width * 3:
            raise RobotFailed(
                f"camera {facts['name']!r} gives {facts['dtype']} of {height} x {width} x {channels}, expected uint8 "
                "of height x width x 3."
            )
        picture = np.frombuffer(blob, np.uint8).reshape(height, width, 3)
        pictures.append(encode(picture, quality=_QUALITY, colorspace="RGB", colorsubsampling="444"))
    return wire.WireMessage(step.head, pictures)


def episode_from(frames: RobotRecording, *, id: str) -> Episode:
    """The recording as an Episode.

    Raises:
        DamagedData: it holds fewer than two steps.
    """
    head, steps = frames.head, frames.steps
    if len(steps) < 2:
        raise DamagedData(frames.path, f"holds {len(steps)} steps: too few for an episode.")
    rows = [step.head for step in steps]
    zero_ns, rate_hz = rows[0]["asked_ns"], Fraction(head["rate_hz"]).limit_denominator(1000)
    builder = _StreamBuilder(rows, zero_ns, rate_hz)
    sent = [row for row in rows if row["sent"] is not None]
    streams = [
        builder.stream("observation.state", Role.STATE, rows, "state", clock="observed", others=("asked",)),
        builder.stream("action", Role.ACTION, sent, "sent", clock="sent", others=("commanded",)),
        builder.stream("teleoperation.action", Role.SENSOR, rows, "action", clock="commanded", others=()),
        *_films(steps, builder),
        _loop(builder, rows),
    ]
    late_ms = np.array([row["late_ns"] for row in rows]) / 1e6
    robot = {
        "robot_class": head["robot_class"],
        "teleop_class": head["teleop_class"],
        "observation_features": head["observation_features"],
        "action_features": head["action_features"],
        "refused_actions": rows[-1]["refused"] - rows[0]["refused"],
        "loop_late_ms": {"p50": float(np.percentile(late_ms, 50)), "p99": float(np.percentile(late_ms, 99))},
        "was_cut": head.get("was_cut", False),
    }
    return Episode(
        id=id,
        streams={stream.name: stream for stream in streams if stream is not None},
        embodiment=Embodiment(head["robot"], Evidence.ROBOT, cameras=tuple(p["name"] for p in rows[0]["pictures"])),
        instructions=(Instruction(head["instruction"], source="--task"),) if head["instruction"] else (),
        outcome=Outcome(None, "nobody said whether it succeeded"),
        origin=Origin(session=head["session"], operator=head["operator"], recorded_at=head["recorded_at"]),
        declared_rate_hz=rate_hz,
        extra={"robot": robot},
    )


class _StreamBuilder:
    """Builds streams from rows that share the zero of time and the rate."""

    def __init__(self, rows: Sequence[dict[str, Any]], zero_ns: int, rate_hz: Fraction) -> None:
        self.rows, self.zero_ns, self.rate_hz = rows, zero_ns, rate_hz

    def clock(self, rows: Sequence[dict[str, Any]], name: str) -> Clock:
        times_ns = np.array([row[f"{name}_ns"] - self.zero_ns for row in rows], dtype=np.int64)
        return measured_clock(times_ns, declared_rate_hz=self.rate_hz)

    def stream(
        self, name: str, role: Role, rows: Sequence[dict[str, Any]], key: str, *, clock: str, others: tuple[str, ...]
    ) -> Stream | None:
        if not rows or not rows[0][key]:
            return None
        channels = tuple(rows[0][key])
        values = np.array([[row[key].get(channel, np.nan) for channel in channels] for row in rows])
        return Stream(
            name,
            Kind.TENSOR,
            role,
            self.clock(rows, clock),
            ArrayValues(values),
            channels=channels,
            other_clocks={other: self.clock(rows, other) for other in others},
        )


def _films(steps: Sequence[wire.WireMessage], builder: _StreamBuilder) -> list[Stream]:
    out = []
    for number, facts in enumerate(steps[0].head["pictures"]):
        name = f"observation.images.{facts['name']}"
        rows = [step for step in steps if len(step.blobs) > number]
        jpegs: list[bytes] = [step.blobs[number] for step in rows]
        pictures = EncodedImages(len(jpegs), jpegs.__getitem__, where=name)
        heads = [step.head for step in rows]
        frame = Meaning(frame=Fact(f"camera:{facts['name']}", Evidence.ROBOT))
        clocks = {"asked": builder.clock(heads, "asked")}
        clock = builder.clock(heads, "observed")
        out.append(
            Stream(name, Kind.IMAGE, Role.CAMERA, clock, pictures, meaning=frame, encoding="jpeg", other_clocks=clocks)
        )
    return out


def _loop(builder: _StreamBuilder, rows: Sequence[dict[str, Any]]) -> Stream:
    values: NDArray[np.float64] = np.array(
        [[row["late_ns"] * 1e-9, (row["sent_ns"] - row["asked_ns"]) * 1e-9, row["refused"]] for row in rows]
    )
    return Stream(
        "teleoperation.loop",
        Kind.TENSOR,
        Role.BOOKKEEPING,
        builder.clock(rows, "asked"),
        ArrayValues(values),
        channels=("late_s", "busy_s", "refused"),
    )
