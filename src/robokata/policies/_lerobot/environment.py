"""The environment in which lerobot lives, and programs that run there and end when we do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from robokata.core.errors import MissingPart, TrainingRefused

VARIABLE = "ROBOKATA_LEROBOT_PYTHON"
CHILD = Path(__file__).with_name("child.py")
_ASK_S = 300.0
"""Time to answer what is there: importing torch and lerobot takes 10 s on a free machine, and minutes on a full one."""
_GRACE_S = 10.0
"""Time to end after being asked to; a checkpoint of 200 MB is written in less."""
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables that would bring our packages into the other environment."""
_HOW = "python3.12 -m venv lerobot-env && lerobot-env/bin/pip install 'lerobot[training,diffusion]' msgpack websockets"


@dataclass(frozen=True)
class Asked:
    """What an environment says of itself."""

    python: str
    versions: Mapping[str, str]
    options: Mapping[str, str]
    """Option of lerobot's policy -> its default, as text."""
    objection: str | None
    """What lerobot's own parser has against the arguments of a training."""
    has_cuda: bool


def python_from(options: Mapping[str, Any]) -> str:
    """Python of lerobot's environment: the option `python`, else the variable ROBOKATA_LEROBOT_PYTHON.

    Raises:
        MissingPart: neither names one, or there is none; the message says how to make one.
    """
    named, said_by = options.get("python"), "option python"
    if not named:
        named, said_by = os.environ.get(VARIABLE), VARIABLE
    if not named:
        raise MissingPart(
            "lerobot's policies run in an environment of their own, with lerobot's own code. Make one:\n"
            f"  {_HOW}\n"
            f"and name its Python: --option python=lerobot-env/bin/python, or {VARIABLE}=... in the environment."
        )
    # Absolute, but not resolved: the link in a virtual environment is what makes it that environment's Python.
    path = Path(os.path.abspath(os.path.expanduser(str(named))))
    if not path.is_file() or not os.access(path, os.X_OK):
        raise MissingPart(f"{path}: is no Python ({said_by} names it). Make an environment: {_HOW}")
    return str(path)


def ask(python: str, arguments: Sequence[str] = ()) -> Asked:
    """Ask an environment what it has, and whether lerobot takes these arguments (`[policy, *arguments]`).

    Raises:
        MissingPart: a package is missing there (the message says which, and the command), or the environment is broken.
    """
    with tempfile.TemporaryFile() as said:
        child = start(python, ["ask", *arguments], stderr=said.fileno())
        too_late = threading.Timer(_ASK_S, _signal, (child, signal.SIGKILL))
        too_late.start()
        try:
            # Standard input stays open while it answers: its end is how the child learns that we are gone.
            assert child.stdout is not None
            answer = child.stdout.readline()
        finally:
            too_late.cancel()
            end(child)
        trouble = tail(said)
    try:
        found = json.loads(answer)
    except ValueError:
        raise MissingPart(f"{python}: cannot be asked what is installed there. It says: {trouble}") from None
    if found["missing"]:
        packages = " ".join(f"'{name.partition(' ')[0]}'" for name in found["missing"])
        raise MissingPart(f"{python}: lacks {', '.join(found['missing'])}. Run: {python} -m pip install {packages}")
    if found["broken"]:
        raise MissingPart(f"{python}: lerobot cannot be imported there: {found['broken']}")
    return Asked(python, found["versions"], found["options"], found["objection"], found["cuda"])


def start(
    python: str,
    arguments: Sequence[str],
    *,
    stderr: int,
    folder: Path | None = None,
    threads: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start our program there. `folder` is where its libraries may keep what they make; it fetches nothing."""
    words = {name: value for name, value in os.environ.items() if name not in _OURS}
    words |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "WANDB_MODE": "disabled"}
    # A bar that is drawn ten times a second is a thousand lines a minute for whoever keeps them.
    words |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "TQDM_MININTERVAL": "5"}
    if folder is not None:
        words |= {"HF_DATASETS_CACHE": str(folder), "HF_LEROBOT_HOME": str(folder)}
    if threads is not None:
        words |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        [python, str(CHILD), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=words,
        # A group of its own: Ctrl-C reaches us alone, and we end it with all that it started.
        start_new_session=True,
    )


def tail(said: IO[bytes]) -> str:
    """The last line of what a program wrote to a file."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 8192))
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:400] if lines else "nothing"


def end(child: subprocess.Popen[bytes]) -> None:
    """End a program with everything that it started; nothing happens where it has ended."""
    if child.poll() is None:
        _signal(child, signal.SIGTERM)
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL)
            child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def refuse_objection(asked: Asked, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse what lerobot's own parser does not take.

    Raises:
        TrainingRefused: the message is lerobot's, with the names of the options that it knows.
    """
    if asked.objection is None:
        return
    raise TrainingRefused(
        f"lerobot {asked.versions.get('lerobot', '')} does not take this: {asked.objection}. "
        f"Given: {', '.join(f'{name}={value}' for name, value in given.items()) or 'no options'}. "
        f"Known options: {', '.join(known)}."
    )
