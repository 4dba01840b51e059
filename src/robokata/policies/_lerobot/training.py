"""A training by lerobot's own loop: our conversion before it, our card after it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import NotADataset, TrainingFailed, TrainingRefused
from robokata.learn.checkpoint import CARD, VERSION, sha256_of
from robokata.learn.trainable import ForeignJob, Habits
from robokata.loading.window_spec import WindowSpec
from robokata.policies._lerobot.data import Surveyed, survey, write_dataset
from robokata.policies._lerobot.environment import Asked, ask, end, python_from, refuse_objection, start
from robokata.runtime.atomic import replace_json
from robokata.training.data import opened, window_for

_OURS = ("python", "num_workers", "save_freq", "execute_steps")
"""Options that are not lerobot's own options of the policy."""
_SETTLED = {
    "type": "the policy's name",
    "n_obs_steps": "history_s in [window]",
    "chunk_size": "chunk_steps in [window]",
    "horizon": "chunk_steps in [window]",
    "input_features": "inputs and cameras in [window]",
    "output_features": "action in [window]",
    "device": "--device",
    "push_to_hub": "nothing: nothing is uploaded",
    "repo_id": "nothing: nothing is uploaded",
}
"""Options of lerobot that something of ours says already, and what."""
_IDENTITY = "identity.json"
_KEEP_EVERY = 1000
"""Steps between two checkpoints, lerobot's 20,000: a kill costs a quarter of an hour on two cores, not a day."""
_TOLD = 40
"""Lines of the loss in a training: enough to see where it goes."""
_LOST = re.compile(r"\bloss:(nan|inf)\b")
_LOSS = re.compile(r"\bstep:(\S+) .*\bloss:(\S+)")


@dataclass(frozen=True)
class Kind:
    """What differs between lerobot's policies."""

    name: str
    """Our name of it, `lerobot_act`."""
    type: str
    """lerobot's name of it, `act`."""
    habits: Habits
    arguments: Callable[[WindowSpec, Mapping[str, Any]], dict[str, Any]]
    """lerobot's options from our window and what the user says: name -> value."""
    refuse: Callable[[WindowSpec], None]
    """Raises `TrainingRefused` for a window that this policy cannot have."""


class _Plan(NamedTuple):
    """Everything settled before the first byte is written."""

    kind: Kind
    asked: Asked
    surveyed: Surveyed
    device: str
    steps: int
    options: dict[str, Any]
    """lerobot's options of the policy."""
    batch_size: int
    num_workers: int
    save_freq: int
    execute_steps: int


def train(kind: Kind, job: ForeignJob) -> Mapping[str, Any]:
    """Train one of lerobot's policies into `job.out`; the receipt comes back.

    Raises:
        NotADataset: nothing was begun that could be resumed.
        MissingPart: there is no environment with lerobot in it.
        TrainingRefused: the data, lerobot or what is to be resumed does not allow it.
        TrainingFailed: lerobot's training ended with an error.
    """
    training = job.out / "training"
    if job.resume and not (training / _IDENTITY).is_file():
        raise NotADataset(f"{job.out}: nothing to resume: training/{_IDENTITY} is not there. Train without --resume.")
    plan = _planned(kind, job)
    identity = _identity(plan, job)
    if job.resume:
        _refuse_other(training, identity)
    kept = training / "data.json"
    if not kept.is_file():
        shutil.rmtree(training / "data", ignore_errors=True)
        training.mkdir(parents=True, exist_ok=True)
        _write_json(training / _IDENTITY, identity)
        job.told(f"writing {len(plan.surveyed.taken)} episodes for lerobot")
        _write_json(kept, _as_json(write_dataset(plan.surveyed, training / "data")))
    data = json.loads(kept.read_text(encoding="utf-8"))
    job.told(f"{data['episodes']} episodes, {data['rows']:,} rows; {len(data['left_out'])} episodes left out")
    began = time.monotonic()
    loss = _run(plan, job, training)
    receipt = {
        "data": data["digest"], "sources": job.spec.to_json()["sources"], "episodes": data["episodes"],
        "samples": data["rows"], "left_out": data["left_out"], "seed": job.seed, "steps": plan.steps,
        "batch_size": plan.batch_size, "device": plan.device, "options": plan.options, "last_loss": loss,
        "seconds": round(time.monotonic() - began, 1), "versions": dict(plan.asked.versions),
    }  # fmt: skip
    _keep(plan, job.out, _newest(training / "run"), receipt)
    return {"folder": str(job.out), "policy": kind.name, **receipt}


def arguments_of(plan: _Plan, job: ForeignJob, training: Path) -> list[str]:
    """The words after `lerobot-train`."""
    said: dict[str, Any] = {
        "dataset.repo_id": "robokata/data",
        "dataset.root": training / "data",
        "output_dir": training / "run",
        "job_name": plan.kind.name,
        "policy.type": plan.kind.type,
        "policy.device": plan.device,
        "policy.push_to_hub": False,
        "seed": job.seed,
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "num_workers": plan.num_workers,
        "save_freq": plan.save_freq,
        "log_freq": max(1, plan.steps // _TOLD),
        "wandb.enable": False,
    }
    said |= {f"policy.{name}": value for name, value in plan.options.items()}
    return [f"--{name}={_word(value)}" for name, value in said.items()]


def _planned(kind: Kind, job: ForeignJob) -> _Plan:
    python = python_from(job.spec.options)
    own = {name: job.spec.options.get(name) for name in _OURS}
    theirs = {name: value for name, value in job.spec.options.items() if name not in _OURS}
    for name in theirs:
        if name in _SETTLED:
            raise TrainingRefused(f"option {name} is not given here: {_SETTLED[name]} says it.")
    window = _window(kind, job)
    surveyed = survey([opened(each) for each in job.spec.sources], window)
    rate = {} if job.learning_rate is None else {"optimizer_lr": job.learning_rate}
    options = kind.arguments(window, {**theirs, **rate})
    plan = _Plan(
        kind,
        Asked("", {}, {}, None, has_cuda=False),
        surveyed,
        "cpu" if job.device == "auto" else job.device,
        job.steps or kind.habits.steps,
        options,
        job.batch_size or kind.habits.batch_size,
        _count(own, "num_workers", default=min(4, len(os.sched_getaffinity(0)) - 1)),
        max(1, _count(own, "save_freq", default=_KEEP_EVERY)),
        max(1, _count(own, "execute_steps", default=kind.habits.execute_steps)),
    )
    asked = ask(python, [kind.type, *arguments_of(plan, job, job.out / "training")])
    known = sorted((set(asked.options) - set(_SETTLED)) | set(_OURS))
    refuse_objection(asked, theirs, known)
    if job.device.startswith("cuda") and not asked.has_cuda:
        raise TrainingRefused(f"device {job.device!r} is not there: the torch of {asked.python} sees no GPU.")
    device = ("cuda" if asked.has_cuda else "cpu") if job.device == "auto" else job.device
    return plan._replace(asked=asked, device=device)


def _window(kind: Kind, job: ForeignJob) -> WindowSpec:
    spec = job.spec
    window = window_for(spec, kind.habits, [opened(each) for each in spec.sources])
    if window.timed_rate_hz != round(window.timed_rate_hz):
        raise TrainingRefused(f"rate_hz is {window.timed_rate_hz:g}, and lerobot counts whole pictures a second.")
    if spec.every_s is not None and abs(spec.every_s * window.timed_rate_hz - 1) > 1e-6:
        raise TrainingRefused(
            f"every_s is {spec.every_s:g}, and lerobot takes every row: {1 / window.timed_rate_hz:g} s at the rate "
            f"{window.timed_rate_hz:g} Hz."
        )
    if not window.cameras:
        raise TrainingRefused("lerobot's policies look at pictures: name cameras = in [window].")
    if spec.history_s is None and len(window.history_s) > 1:
        steps = range(1 - len(window.history_s), 1)
        window = replace(window, history_s=tuple(step / window.timed_rate_hz for step in steps))
    kind.refuse(window)
    return replace(window, every_s=1 / window.timed_rate_hz)


def _run(plan: _Plan, job: ForeignJob, training: Path) -> float | None:
    """Run lerobot's loop to its end; the last loss that it told."""
    words = arguments_of(plan, job, training)
    checkpoint = _newest(training / "run", is_needed=False)
    if checkpoint is not None:
        job.told(f"resuming from {checkpoint}")
        config = checkpoint / "pretrained_model" / "train_config.json"
        words = [f"--config_path={config}", "--resume=true", f"--steps={plan.steps}"]
        words += [f"--save_freq={plan.save_freq}"]
    else:
        # lerobot takes no folder that is there, and one without a checkpoint holds nothing to resume.
        shutil.rmtree(training / "run", ignore_errors=True)
    log = training / "lerobot.log"
    child = start(
        plan.asked.python, ["train", *words], stderr=subprocess.STDOUT, folder=training / "cache", threads=job.threads
    )
    loss: float | None = None
    last = ""
    try:
        with log.open("a", encoding="utf-8") as file:
            for line in _lines(child):
                file.write(line + "\n")
                file.flush()
                job.told(line)
                last = line
                if _LOST.search(line):
                    raise TrainingFailed(
                        f"lerobot's loss is no number any more: {line}. Look for values that are no numbers "
                        "(kata check), or learn slower with --learning-rate."
                    )
                if found := _LOSS.search(line):
                    loss = float(found[2])
            code = child.wait()
    finally:
        end(child)
    if code:
        raise TrainingFailed(f"lerobot's training ended with exit code {code}: {last} All of it: {log}")
    return loss


def _lines(child: subprocess.Popen[bytes]) -> Any:
    """Lines of a program as they come; a bar that draws itself anew begins a line each time."""
    assert child.stdout is not None
    rest = b""
    while block := os.read(child.stdout.fileno(), 65536):
        *whole, rest = re.split(rb"[\r\n]+", rest + block)
        yield from (line.decode(errors="replace").rstrip() for line in whole if line.strip())
    if rest.strip():
        yield rest.decode(errors="replace").rstrip()


def _newest(run: Path, *, is_needed: bool = True) -> Path | None:
    """The newest whole checkpoint of a run: lerobot moves its link `last` when one is complete.

    Raises:
        TrainingFailed: there is none, and one is needed.
    """
    last = run / "checkpoints" / "last"
    if (last / "pretrained_model" / "model.safetensors").is_file():
        return last.resolve()
    if is_needed:
        raise TrainingFailed(f"lerobot's training left no checkpoint in {run}.")
    return None


def _keep(plan: _Plan, out: Path, checkpoint: Path | None, receipt: Mapping[str, Any]) -> None:
    """Put the checkpoint where nothing of the training is needed, then the card that names it."""
    assert checkpoint is not None
    model = checkpoint / "pretrained_model"
    files = {file.name: sha256_of(file) for file in sorted(model.iterdir()) if file.is_file()}
    folder = f"lerobot-{files['model.safetensors'][:12]}"
    shutil.rmtree(out / folder, ignore_errors=True)
    shutil.copytree(model, out / folder)
    card = {
        "version": VERSION,
        "policy": plan.kind.name,
        "view": plan.surveyed.view.to_json(),
        "execute_steps": plan.execute_steps,
        "answer_steps": int(plan.options["n_action_steps"]),
        "weights": {"folder": folder, "files": files},
        "receipt": dict(receipt),
    }
    _write_json(out / CARD, card)
    for other in out.glob("lerobot-*"):
        if other.name != folder:
            shutil.rmtree(other, ignore_errors=True)


def _identity(plan: _Plan, job: ForeignJob) -> dict[str, Any]:
    """What must be the same for a run to continue another."""
    return {
        "policy": plan.kind.name,
        "view": plan.surveyed.view.to_json(),
        "sources": job.spec.to_json()["sources"],
        "episodes": [taken.key for taken in plan.surveyed.taken],
        "options": plan.options,
        "batch_size": plan.batch_size,
        "seed": job.seed,
    }


def _refuse_other(training: Path, identity: Mapping[str, Any]) -> None:
    """Refuse to resume what was another training."""
    kept = json.loads((training / _IDENTITY).read_text(encoding="utf-8"))
    ours = json.loads(json.dumps(identity))
    differs = next((name for name in ours if ours[name] != kept.get(name)), None)
    if differs is not None:
        raise TrainingRefused(
            f"{training.parent}: what is to be resumed had another {differs}: {str(kept.get(differs))[:200]}, not "
            f"{str(ours[differs])[:200]}. Resume with the same, or train into another folder."
        )


def _count(own: Mapping[str, Any], name: str, *, default: int) -> int:
    value = own[name]
    try:
        count = default if value is None else int(value)
    except (TypeError, ValueError):
        raise TrainingRefused(f"option {name} is {value!r}, and a whole number is needed.") from None
    if count < 0:
        raise TrainingRefused(f"option {name} is {count}, and must not be below 0.")
    return count


def _word(value: Any) -> str:
    """A value as lerobot's command line reads it: `None` would be a text there, and lists are YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(list(value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _as_json(data: Any) -> dict[str, Any]:
    return {**data._asdict(), "left_out": [each._asdict() for each in data.left_out]}


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    replace_json(path, data, indent=1)
