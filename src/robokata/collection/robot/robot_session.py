"""Real hardware through LeRobot's interface, in its own process and environment: connect, record, let go."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robokata.collection.robot import bridge as robot_bridge
from robokata.collection.robot import wire
from robokata.collection.robot.episode import SUFFIX, FrameFile, checked, episode_from, read_frames
from robokata.core.errors import DamagedData, RobotFailed, WriteRefused
from robokata.core.leaf_kinds import writable_format
from robokata.runtime.folder_lock import hold

_CONNECT_S = 60.0
"""Calibration checks and cameras take tens of seconds to come up."""
_MOST_WAITING = 256
"""Steps that wait here, and as many in the bridge: pictures of more would fill the memory."""
_LETS_GO_S = 8.0
"""The bridge waits 2 s for a driver that hangs; then it is ended by force."""


@dataclass(frozen=True)
class RobotSessionOptions:
    """What drives what, and what is recorded of it."""

    robot: str
    """`module:Class` of a robot, in the environment of `python`."""
    teleop: str
    out: Path
    instruction: str = ""
    operator: str = "operator"
    robot_config: dict[str, Any] = field(default_factory=dict)
    teleop_config: dict[str, Any] = field(default_factory=dict)
    python: str = sys.executable
    rate_hz: float = 30.0
    """LeRobot's usual rate of recording."""
    episodes: int = 1
    seconds_s: float = 60.0
    """Longest episode; the operator's word ends it before."""
    pause_s: float = 5.0
    """Between two episodes, to put things back."""
    stall_s: float = 2.0
    """The robot is released after this long without a message."""


@dataclass(frozen=True)
class RobotSessionResult:
    """What was recorded."""

    out: str
    robot: str
    kept: tuple[str, ...]
    discarded: int
    cut: tuple[str, ...]
    """Recordings in `.recording` that were cut, by now or before; `--keep-cut` makes episodes of them."""
    ended_by: str

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


Say = Callable[[str], None]
Word = Callable[[], str | None]
"""The operator's latest word: `keep`, `discard`, `end`, or None."""


def collect_from_robot(options: RobotSessionOptions, *, say: Say, word: Word = lambda: None) -> RobotSessionResult:
    """Drive the robot and record episodes until there are enough, or until Ctrl-C; the robot is always let go.

    Raises:
        RobotFailed: the robot or its teleoperator died, stalls, or measures nonsense; finished episodes stay.
        WriteRefused: the folder cannot be written, or the disk is full (finished episodes stay), or another run is at
            work in it.
    """
    with hold(options.out):
        return _collected(options, say, word)


def _collected(options: RobotSessionOptions, say: Say, word: Word) -> RobotSessionResult:
    recording = options.out / ".recording"
    try:
        recording.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteRefused(f"{options.out}: {error.strerror}. Choose another folder with --out.") from None
    session = _Session(options, recording, say, word)
    ended_by = "enough episodes"
    with _bridge(options) as bridge:
        try:
            session.record_all(bridge)
        except KeyboardInterrupt:
            ended_by = "Ctrl-C"
        except _Ended:
            ended_by = "operator"
    cut = tuple(path.stem for path in sorted(recording.glob(f"*{SUFFIX}")))
    return RobotSessionResult(
        str(options.out), bridge.description.get("robot", ""), tuple(session.kept), session.discarded, cut, ended_by
    )


def keep_cut(out: Path) -> tuple[str, ...]:
    """Make episodes of recordings that were cut, as far as they go; their ids.

    Raises:
        WriteRefused: the disk is full, or another run records into the folder.
    """
    kept = []
    with hold(out):
        for path in sorted((out / ".recording").glob(f"*{SUFFIX}")):
            with contextlib.suppress(DamagedData):  # nothing whole in it: it stays where it is
                frames = read_frames(path)
                frames.head["was_cut"] = True
                _write(out, episode_from(frames, id=path.stem))
                path.unlink()
                kept.append(path.stem)
    return tuple(kept)


class _Ended(Exception):
    """The operator ended the session."""


class _Bridge:
    """The robot's process as seen from here."""

    def __init__(self, process: subprocess.Popen[bytes], stall_s: float) -> None:
        self.process, self._stall_s = process, stall_s
        self.description: dict[str, Any] = {}
        self._nonsense: str | None = None
        """Why what came is no message."""
        self._news: queue.Queue[wire.WireMessage | None] = queue.Queue(_MOST_WAITING)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            with contextlib.suppress(OSError):
                while (message := wire.receive(self.process.stdout)) is not None:  # type: ignore[arg-type]
                    self._news.put(message)
        except ValueError as error:
            self._nonsense = str(error)
        self._news.put(None)

    def connected(self) -> None:
        self.description = self._await("connected", _CONNECT_S, "did not connect").head

    def step(self) -> wire.WireMessage:
        return self._await("step", self._stall_s, "stalls: nothing was heard of it")

    def _await(self, kind: str, patience_s: float, otherwise: str) -> wire.WireMessage:
        """The next message of a kind; others on the way do not lengthen the patience."""
        ends_s = time.monotonic() + patience_s
        while True:
            message = self._next(max(0.0, ends_s - time.monotonic()), f"{otherwise} for {patience_s:g} s")
            if message.head.get("type") == kind:
                return message

    def forget(self) -> None:
        """Drop the messages from between recordings, but a failure: an episode begins now, not where the last ended.

        Raises:
            RobotFailed: it had failed meanwhile.
        """
        for _ in range(self._news.qsize()):
            self._next(self._stall_s, f"stalls for {self._stall_s:g} s")

    def close(self) -> None:
        """Give the pipe back, once the process is gone."""
        while self._reader.is_alive():
            with contextlib.suppress(queue.Empty):  # it may be waiting for room
                self._news.get(timeout=0.05)
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _next(self, patience_s: float, otherwise: str) -> wire.WireMessage:
        try:
            message = self._news.get(timeout=patience_s)
        except queue.Empty:
            raise RobotFailed(f"The robot {otherwise}. It was disconnected.") from None
        if message is None and self._nonsense is not None:
            raise RobotFailed(f"The robot's process sends what is no message: {self._nonsense}. It was disconnected.")
        if message is None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it may have closed its pipe and live on
                self.process.wait(_LETS_GO_S)
            code = self.process.returncode
            raise RobotFailed(f"The robot's process died (code {code}); see what it printed above.")
        if message.head.get("type") == "failed":
            raise RobotFailed(
                f"The robot failed: {message.head.get('why')} (at {message.head.get('where')}). It was disconnected; "
                f"finished episodes are intact."
            )
        return message


@contextlib.contextmanager
def _bridge(options: RobotSessionOptions) -> Iterator[_Bridge]:
    """The robot's process, connected; released on leaving, whatever happened."""
    words = [options.python, os.path.abspath(robot_bridge.__file__)]
    try:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        raise RobotFailed(f"{options.python}: {error.strerror}. Name the robot's interpreter with --python.") from None
    assert process.stdin is not None
    message = {"robot": options.robot, "teleop": options.teleop, "rate_hz": options.rate_hz}
    configs = {"robot_config": options.robot_config, "teleop_config": options.teleop_config}
    bridge = _Bridge(process, options.stall_s)
    try:
        with contextlib.suppress(BrokenPipeError):
            wire.send(process.stdin, {**message, **configs})  # type: ignore[arg-type]
        bridge.connected()
        yield bridge
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # the end of the pipe means: let go
        try:
            process.wait(_LETS_GO_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        bridge.close()


class _Session:
    """Episodes one after the other."""

    def __init__(self, options: RobotSessionOptions, recording: Path, say: Say, word: Word) -> None:
        self.options, self.recording, self.say, self.word = options, recording, say, word
        self.kept: list[str] = []
        self.discarded = 0
        self._session = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"

    def record_all(self, bridge: _Bridge) -> None:
        self.say(f"Connected: {bridge.description['robot']}, driven by {bridge.description['teleop_class']}")
        while len(self.kept) < self.options.episodes:
            self._record(bridge)
            if len(self.kept) < self.options.episodes:
                self._pause(bridge)

    def _record(self, bridge: _Bridge) -> None:
        began = datetime.datetime.now(datetime.UTC)
        name = f"robot-{began:%Y%m%dT%H%M%S}-{began.microsecond // 1000:03d}"
        self.say(f"Recording {name} ...")
        with _refused_when_full(self.options.out):
            file = FrameFile(self.recording / f"{name}{SUFFIX}", self._head(bridge, began))
            try:
                word = self._fill(bridge, file)
            finally:
                file.close()
        if word == "discard" or file.count < 2:
            file.path.unlink()
            self.discarded += 1
            self.say(f"Discarded {name}")
        else:
            _write(self.options.out, episode_from(read_frames(file.path), id=name))
            file.path.unlink()
            self.kept.append(name)
            self.say(f"Kept {name}: {file.count} steps")
        if word == "end":
            raise _Ended

    def _fill(self, bridge: _Bridge, file: FrameFile) -> str | None:
        bridge.forget()
        step = bridge.step()
        lost = step.head["lost"]
        end_s = time.monotonic() + self.options.seconds_s
        while time.monotonic() < end_s:
            step = bridge.step()
            if step.head["lost"] > lost:
                raise RobotFailed("this machine is too slow to record every step; lower --rate or the picture size.")
            file.add(checked(step))
            if (word := self.word()) is not None:
                return word
        return None

    def _pause(self, bridge: _Bridge) -> None:
        """The operator drives on meanwhile; nothing is recorded."""
        self.say(f"{self.options.pause_s:g} s to put things back ...")
        end_s = time.monotonic() + self.options.pause_s
        while time.monotonic() < end_s:
            bridge.step()
            word = self.word()
            if word == "end":
                raise _Ended
            if word is not None:
                return

    def _head(self, bridge: _Bridge, began: datetime.datetime) -> dict[str, Any]:
        options = self.options
        return {
            **bridge.description,
            "rate_hz": options.rate_hz,
            "instruction": options.instruction,
            "operator": options.operator,
            "session": self._session,
            "recorded_at": began.isoformat(),
        }


@contextlib.contextmanager
def _refused_when_full(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise WriteRefused(
            f"{out}: {os.strerror(error.errno)}. Recording stopped and the robot was let go; every finished episode is "
            f"intact. Make room or choose another disk."
        ) from None


def _write(out: Path, episode: Any) -> None:
    writable_format("mcap").write(out / f"{episode.id}.mcap", [episode])
