"""Runs in the robot's own environment: its loop, through LeRobot's Robot and Teleoperator interface.

Started as a script with the interpreter that has the robot's packages; needs the standard library and this folder's
`wire.py`. It connects, then each period observes, asks the teleoperator, sends, and tells what happened. It ends when
asked to, when the recorder is gone, or when the robot fails; in every case the robot is disconnected.
"""

from __future__ import annotations

import importlib
import math
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any

if __name__ == "__main__":
    import wire  # type: ignore[import-not-found, unused-ignore]

    # This folder was needed for one import: its names must not hide modules of the robot's environment.
    sys.path[0] = os.getcwd()
else:
    from robokata.collection.robot import wire

_MOST_WAITING = 256
"""Messages that wait for the recorder: eight seconds at 30 Hz. The robot's loop never waits for it."""
_PATIENCE_S = 2.0
"""How long a loop that hangs in the robot's driver is waited for before the robot is disconnected from beside."""


class Bridge:
    """Robot, teleoperator and the loop between them."""

    def __init__(self, order: dict[str, Any], answers: Any) -> None:
        self.robot = _made(order["robot"], order.get("robot_config") or {})
        self.teleoperator = _made(order["teleop"], order.get("teleop_config") or {})
        self.period_ns = round(1e9 / order["rate_hz"])
        self.stop = threading.Event()
        self.ended = threading.Event()
        self.lost = 0
        self._letting_go = threading.Lock()
        self._has_let_go = False
        self._news: queue.Queue[tuple[dict[str, Any], list[bytes]] | None] = queue.Queue(_MOST_WAITING)
        self._writer = threading.Thread(target=self._write, args=(answers,), daemon=True)
        self._writer.start()

    def run(self) -> None:
        """Connect, loop until asked to stop, disconnect."""
        try:
            self.robot.connect()
            self.teleoperator.connect()
            self.tell({"type": "connected", **self._described()})
            self._loop()
        except BaseException as error:  # noqa: BLE001 - whatever a driver raises is reported, and the robot released
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.tell(
                {"type": "failed", "why": f"{type(error).__name__}: {error}", "where": f"{last.filename}:{last.lineno}"}
            )
        finally:
            self.let_go()
            self.ended.set()

    def let_go(self) -> None:
        """Disconnect both, once; what that raises is reported."""
        with self._letting_go:
            if self._has_let_go:
                return
            self._has_let_go = True
        for each in (self.teleoperator, self.robot):
            try:
                each.disconnect()
            except Exception as error:  # noqa: BLE001 - the other one has to be disconnected too
                self.tell({"type": "note", "why": f"disconnect of {type(each).__name__}: {error}"})
        self.tell({"type": "disconnected", "lost": self.lost})

    def close(self) -> None:
        """Send what waits, and end."""
        self._news.put(None)
        self._writer.join(_PATIENCE_S)

    def tell(self, head: dict[str, Any], blobs: list[bytes] | None = None) -> None:
        """Hand a message to the writer; one that finds no room is counted."""
        try:
            self._news.put_nowait((head, blobs or []))
        except queue.Full:
            self.lost += 1

    def _loop(self) -> None:
        deadline_ns = time.monotonic_ns()
        number = refused = 0
        while not self.stop.is_set():
            late_ns = max(0, time.monotonic_ns() - deadline_ns)
            asked_ns = time.monotonic_ns()
            observation = self.robot.get_observation()
            observed_ns = time.monotonic_ns()
            action = dict(self.teleoperator.get_action())
            commanded_ns = time.monotonic_ns()
            wrong = _not_finite(action)
            # What is not a number must not reach a motor: the robot keeps its last target.
            refused += wrong is not None
            sent = None if wrong is not None else self.robot.send_action(action)
            sent_ns = time.monotonic_ns()
            if sent is None and wrong is None:
                sent = action  # drivers that return nothing sent what they were given
            numbers, pictures, blobs = _split(observation)
            head = {
                "type": "step", "number": number, "asked_ns": asked_ns, "observed_ns": observed_ns, "late_ns": late_ns,
                "commanded_ns": commanded_ns, "sent_ns": sent_ns, "state": numbers, "pictures": pictures,
                "action": _plain(action), "sent": None if sent is None else _plain(sent), "refused": refused,
                "wrong": wrong, "lost": self.lost,
            }  # fmt: skip
            self.tell(head, blobs)
            number += 1
            deadline_ns += self.period_ns
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns < -self.period_ns:
                deadline_ns = time.monotonic_ns()
            elif left_ns > 0:
                time.sleep(left_ns / 1e9)

    def _described(self) -> dict[str, Any]:
        robot, teleoperator = self.robot, self.teleoperator
        return {
            "robot": getattr(robot, "name", type(robot).__name__),
            "robot_class": f"{type(robot).__module__}.{type(robot).__name__}",
            "teleop_class": f"{type(teleoperator).__module__}.{type(teleoperator).__name__}",
            "observation_features": {name: _feature(kind) for name, kind in robot.observation_features.items()},
            "action_features": {name: _feature(kind) for name, kind in robot.action_features.items()},
        }

    def _write(self, answers: Any) -> None:
        while (news := self._news.get()) is not None:
            try:
                wire.send(answers, *news)
            except (BrokenPipeError, OSError):
                self.stop.set()  # the recorder is gone: the robot must not go on
                return


def main() -> None:
    """Read the order, run, and disconnect whatever happens."""
    # Ctrl-C is the recorder's to hear: it asks for an orderly end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what drivers print must not come between the messages
    first = wire.receive(asked)
    if first is None:
        return
    try:
        bridge = Bridge(first.head, answers)
    except Exception as error:  # noqa: BLE001 - a module that cannot be loaded is reported, not printed
        wire.send(answers, {"type": "failed", "why": f"{type(error).__name__}: {error}", "where": "before connecting"})
        return
    signal.signal(signal.SIGTERM, lambda *_: bridge.stop.set())
    looping = threading.Thread(target=bridge.run, name="robot", daemon=True)
    looping.start()
    threading.Thread(target=_listen, args=(asked, bridge), daemon=True).start()
    while not bridge.ended.wait(0.05):
        if bridge.stop.is_set() and not bridge.ended.wait(_PATIENCE_S):
            bridge.tell({"type": "failed", "why": "the robot's driver hangs", "where": _place_of(looping)})
            bridge.let_go()
            break
    bridge.close()
    os._exit(0)  # a driver's thread that hangs must not keep the process


def _listen(asked: Any, bridge: Bridge) -> None:
    """Any message, and the end of the pipe, mean: stop."""
    wire.receive(asked)
    bridge.stop.set()


def _made(where: str, config: dict[str, Any]) -> Any:
    """`module:Name` with its configuration: a class of LeRobot's (it has a `config_class`), another, or a function."""
    module, _, name = where.partition(":")
    found = getattr(importlib.import_module(module), name)
    kind = getattr(found, "config_class", None)
    return found(**config) if kind is None else found(kind(**config))


def _split(observation: dict[str, Any]) -> tuple[dict[str, float], list[dict[str, Any]], list[bytes]]:
    """Numbers by name, and pictures as their shape with their bytes."""
    numbers, pictures, blobs = {}, [], []
    for name, value in observation.items():
        shape = getattr(value, "shape", ())
        if len(shape) == 3:
            pictures.append({"name": name, "shape": list(shape), "dtype": str(value.dtype)})
            blobs.append(value.tobytes())
        elif len(shape) <= 1 and getattr(value, "size", 1) == 1:
            numbers[name] = float(value)
        else:
            numbers.update({f"{name}.{index}": float(each) for index, each in enumerate(value)})
    return numbers, pictures, blobs


def _plain(action: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in action.items()}


def _not_finite(action: dict[str, Any]) -> str | None:
    return next((name for name, value in action.items() if not math.isfinite(float(value))), None)


def _feature(kind: Any) -> Any:
    return list(kind) if isinstance(kind, (tuple, list)) else getattr(kind, "__name__", str(kind))


def _place_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


if __name__ == "__main__":
    main()
