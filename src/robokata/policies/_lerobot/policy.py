"""A checkpoint of lerobot as a policy: lerobot acts in its own process, and is asked over openpi's protocol."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Chunk, PolicyRef, PolicySpec, Sensed, StreamNeed
from robokata.core.errors import DamagedData, PolicyFailed, RobokataError, UnknownName
from robokata.learn.checkpoint import Card, read_card, sha256_of
from robokata.loading.gather import UNNAMED_ROBOT
from robokata.loading.pictures import resized
from robokata.policies._lerobot.adapter import STATE, View, view_from
from robokata.policies._lerobot.environment import ask, end, python_from, start, tail
from robokata.policies._openpi.client import RemotePolicy

_READY_S = 300.0
"""Time until lerobot answers: importing it takes 10 s on a free machine, and minutes on a full one."""
_ANSWER_S = "120"
"""Time for one chunk: a hundred denoising steps of the published size take some seconds of a core."""
_KNOWN = ("python", "threads", "num_inference_steps")
"""Options; the last is Diffusion Policy's, and trades quality for time without a new training."""


def open_served(order: PolicyRef, kind: str) -> LerobotPolicy:
    """Open a checkpoint that `kata train` made with lerobot.

    Raises:
        NotADataset: there is no checkpoint.
        DamagedData: card and weights do not fit each other.
        MissingPart: there is no environment with lerobot in it.
        PolicyFailed: lerobot does not open it.
    """
    card = read_card(Path(order.where))
    unknown = next((name for name in order.options if name not in _KNOWN), None)
    if unknown is not None:
        raise UnknownName("option of this policy", unknown, _KNOWN)
    return LerobotPolicy(card, kind, order)


class LerobotPolicy:
    """The policy. A class, because it holds the process in which lerobot acts, and starts it anew when it died."""

    def __init__(self, card: Card, kind: str, order: PolicyRef) -> None:
        self.card, self._kind, self._order = card, kind, order
        self.view: View = view_from(card.field("view", dict), where=card.place)
        self._folder = _checked(card)
        self._python = python_from(order.options)
        self._answer_steps = card.field("answer_steps", int)
        self._server: _Server | None = None
        self._connect()

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        self._refuse_other(embodiment)
        window, layout = self.view.window, self.view.layout
        px, history_s = window.picture_px, window.history_s
        needs = [StreamNeed(n, (layout.width(n),), layout.channels[n], history_s) for n in window.inputs]
        needs += [StreamNeed(name, (px, px, 3), at_s=history_s) for name in window.cameras]
        return PolicySpec(
            name=self.card.policy,
            needs=tuple(needs),
            channels=layout.channels[window.action],
            chunk_steps=self._answer_steps,
            rate_hz=window.timed_rate_hz,
            action_stream=window.action,
            execute_steps=min(self.card.field("execute_steps", int), self._answer_steps),
            embodiments=(layout.embodiment,),
            wants_instruction=False,
        )

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        self._refuse_other(embodiment)
        if self._server is None or not self._server.is_alive:
            self._connect()
        assert self._server is not None
        self._server.client.reset(episode_id, seed=seed)

    def act(self, observation: Sensed) -> Chunk:
        """What to do next.

        Raises:
            PolicyFailed: the observation lacks something, or lerobot gives no answer that could be executed.
        """
        if self._server is None:
            raise PolicyFailed("died", f"{self.card.folder}: the policy is closed.")
        window = self.view.window
        numbers = {name: self._numbers(name, observation) for name in window.inputs}
        message: dict[str, Any] = {
            self.view.features[name]: self._pictures(name, observation) for name in window.cameras
        }
        if window.inputs:
            message[STATE] = self.view.state(numbers)
        if len(window.history_s) == 1:
            message = {name: values[0] for name, values in message.items()}
        learnt = self._server.client.act(message).actions
        if len(learnt) != self._answer_steps:
            raise PolicyFailed("wrong_shape", f"{self.card.folder}: {len(learnt)} actions, not {self._answer_steps}.")
        present = {name: values[-1] for name, values in numbers.items()}
        return Chunk(self.view.actions(learnt, present), self.view.layout.channels[window.action], window.timed_rate_hz)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _connect(self) -> None:
        self.close()
        options = {name: int(value) for name, value in self._order.options.items() if name == "num_inference_steps"}
        if options and self._kind != "diffusion":
            raise UnknownName("option of this policy", "num_inference_steps", ("python", "threads"))
        order = {
            "folder": str(self._folder),
            "policy": self._kind,
            "device": self._order.device,
            # One thread: a policy shares its machine with the world it acts in.
            "threads": int(self._order.options.get("threads", "1")),
            "options": options,
            # Whoever else is on this machine does not know it.
            "key": secrets.token_hex(16),
        }
        self._server = _Server(self._python, order, rate_hz=self.view.window.timed_rate_hz)

    def _refuse_other(self, embodiment: str | None) -> None:
        own = self.view.layout.embodiment
        if embodiment not in (None, own) and own != UNNAMED_ROBOT:
            raise UnknownName("embodiment of this policy", str(embodiment), (own,))

    def _numbers(self, name: str, observation: Sensed) -> NDArray[np.float64]:
        """One stream's numbers, (n, D)."""
        width, past = self.view.layout.width(name), len(self.view.window.history_s)
        if name not in observation:
            raise PolicyFailed("refused", f"the observation lacks the stream {name!r} ({width} numbers).")
        values = np.asarray(observation[name], np.float64)
        if values.shape == (width,):
            # Only now is known: the past is taken to have been the same.
            values = np.repeat(values[None], past, axis=0)
        if values.shape != (past, width):
            raise PolicyFailed("refused", f"stream {name!r} has shape {values.shape}; expected ({width},).")
        if not np.isfinite(values).all():
            raise PolicyFailed("refused", f"stream {name!r} holds numbers that are not finite.")
        return values

    def _pictures(self, name: str, observation: Sensed) -> NDArray[np.uint8]:
        """One camera's pictures at the size that was learnt, (n, px, px, 3)."""
        past = len(self.view.window.history_s)
        if observation.get(name) is None:
            raise PolicyFailed("refused", f"the observation lacks the pictures {name!r}.")
        pictures = np.asarray(observation[name])
        if pictures.ndim == 3:
            pictures = np.repeat(pictures[None], past, axis=0)
        is_right = pictures.ndim == 4 and len(pictures) == past and pictures.shape[-1] in (1, 3, 4)
        if not is_right or pictures.dtype != np.uint8:
            told = f"{pictures.dtype} {pictures.shape}"
            raise PolicyFailed("refused", f"pictures {name!r} are {told}; expected uint8 (H, W, 3).")
        return resized(pictures, picture_px=self.view.window.picture_px)


class _Server:
    """lerobot's process and the connection to it. A class, because both end together."""

    def __init__(self, python: str, order: Mapping[str, Any], *, rate_hz: float) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process writes into it
        self._child = start(python, ["serve"], stderr=self._said.fileno(), threads=int(order["threads"]))
        try:
            port = self._port(order)
            self._drain = threading.Thread(target=_read_away, args=(self._child,), daemon=True)
            self._drain.start()
            options = {"api_key": str(order["key"]), "timeout_s": _ANSWER_S, "rate_hz": str(rate_hz)}
            self.client = RemotePolicy(f"ws://127.0.0.1:{port}", options)
        except RobokataError as error:
            self._end()
            # What is missing there is said better by asking than by a traceback.
            if isinstance(error, PolicyFailed):
                ask(python)
            raise
        except BaseException:
            self._end()
            raise

    @property
    def is_alive(self) -> bool:
        """True until the process has ended."""
        return self._child.poll() is None

    def close(self) -> None:
        """End both."""
        self.client.close()
        self._end()

    def _end(self) -> None:
        end(self._child)
        self._said.close()

    def _port(self, order: Mapping[str, Any]) -> int:
        """Give the order, and wait for the port.

        Raises:
            PolicyFailed: the process ended instead; the message is its last line.
        """
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        too_late = threading.Timer(_READY_S, child.kill)
        too_late.start()
        try:
            child.stdin.write(json.dumps(order).encode() + b"\n")
            child.stdin.flush()
            while line := child.stdout.readline():
                # Whatever libraries print on the way is not the answer.
                if line.startswith(b'{"port"'):
                    return int(json.loads(line)["port"])
        except BrokenPipeError:
            pass
        finally:
            too_late.cancel()
        raise PolicyFailed("unreachable", f"{order['folder']}: lerobot does not open it: {tail(self._said)}")


def _read_away(child: subprocess.Popen[bytes]) -> None:
    """Read what the process prints, so that it never waits for a reader."""
    assert child.stdout is not None
    try:
        while os.read(child.stdout.fileno(), 65536):
            continue
    except (OSError, ValueError):
        return


def _checked(card: Card) -> Path:
    """Folder of lerobot's files, whole and unchanged.

    Raises:
        DamagedData: a file is absent, or not the one that the card was written for.
    """
    told = card.field("weights", dict)
    folder = card.folder / os.path.basename(str(told.get("folder")))
    files = told.get("files")
    if not isinstance(files, dict) or "model.safetensors" not in files:
        raise DamagedData(card.place, "does not name lerobot's files.")
    for name, digest in files.items():
        path = folder / os.path.basename(str(name))
        if not path.is_file():
            raise DamagedData(path, "the file that the card names is not there.")
        if sha256_of(path) != digest:
            raise DamagedData(path, "is not the file that the card was written for.")
    return folder
