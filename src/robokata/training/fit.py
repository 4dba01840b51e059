"""The training loop: from a feed and a network to a checkpoint, exactly resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from robokata.core.contracts import TrainableLeaf
from robokata.core.errors import TrainingFailed, TrainingRefused, WriteRefused
from robokata.core.require import require
from robokata.core.shelf import shelf
from robokata.learn.batches import Augmentation, BatchMaker, Drawn
from robokata.learn.checkpoint import clear_unbegun, read_state, remove_checkpoint, write_checkpoint, write_state
from robokata.learn.ema import Average
from robokata.learn.net import Net
from robokata.learn.trainable import habits_of
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.order import Order
from robokata.loading.prefetch import Prefetched, prefetched
from robokata.runtime.atomic import refuse_occupied
from robokata.runtime.folder_lock import hold
from robokata.runtime.notebook import html_table
from robokata.runtime.progress import SILENT, Progress
from robokata.training.curve import Curve, Step
from robokata.training.data import LeftOut, Weighted, options_for, prepared, window_for
from robokata.training.interrupt import between_steps
from robokata.training.job import Job
from robokata.training.receipt import card_of, identity_of
from robokata.training.settings import Settings, rate_at, with_steps
from robokata.training.tensorboard import Events, refused_when_full
from robokata.training.validation import is_due, validation_loss

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", extra="learn")

KEEP_EVERY_S = 30.0
"""Seconds between two checkpoints: what a kill can cost."""
_MEASURED_STEPS = 12
"""Steps that say how many fit into the minutes; the first third warms caches up and is not counted."""


@dataclass(frozen=True)
class Trained:
    """What came out."""

    folder: Path
    policy: str
    parameters: int
    """Weights that were trained."""
    frozen: int
    """Weights that were not: of pretrained parts."""
    episodes: int
    samples: int
    absent: Mapping[str, float]
    """Stream -> share of its numbers or pictures that the samples lack, where any is lacking."""
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    """What must be said of the data, a sentence each."""
    held_out: int
    """Episodes of the validation split, on which the loss is watched."""
    settings: Settings
    curve: Curve
    provenance: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "folder": str(self.folder),
            "policy": self.policy,
            "parameters": self.parameters,
            "frozen": self.frozen,
            "episodes": self.episodes,
            "samples": self.samples,
            "absent": dict(self.absent),
            "left_out": [each._asdict() for each in self.left_out],
            "notes": list(self.notes),
            "held_out": self.held_out,
            "settings": self.settings.to_json(),
            "weights": dict(self.provenance),
            **self.curve.summary(),
        }

    def _repr_html_(self) -> str:
        facts = {"parameters": self.parameters, "episodes": self.episodes, "samples": self.samples}
        return html_table(f"{self.policy} in {self.folder}", [*facts.items(), *self.curve.summary().items()])


def plan(
    policy: str,
    spec: TrainingSpec,
    sources: Sequence[Weighted],
    settings: Settings,
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Job:
    """Read the data and settle everything; whatever cannot be done is refused here.

    Raises:
        UnknownName: no such policy, or an option that it does not know.
        TrainingRefused: the policy is not trained by us, or the data lacks what is asked for.
    """
    refuse_untrainable(policy)
    habits = habits_of(policy)
    options = options_for(habits, spec.options)
    window = window_for(spec, habits, sources)
    return Job(
        policy, spec, settings, habits, options, prepared(sources, window, habits, workers=workers, advance=advance)
    )


def refuse_untrainable(policy: str) -> None:
    """Say that a policy is not one that this loop trains.

    Raises:
        UnknownName: there is no such policy.
        TrainingRefused: there is, but it has no network of ours.
    """
    if not isinstance(shelf("policies")[policy], TrainableLeaf):
        raise TrainingRefused(f"the policy {policy!r} is not trained by this loop. Others: {', '.join(trainable())}.")


def trainable() -> tuple[str, ...]:
    """Names of the policies that this loop trains."""
    return tuple(name for name in shelf("policies").names() if isinstance(shelf("policies")[name], TrainableLeaf))


def fit(
    job: Job,
    out: Path,
    *,
    resume: bool = False,
    keep_every_s: float = KEEP_EVERY_S,
    on_progress: Progress = SILENT,
    is_held: bool = False,
) -> Trained:
    """Train a job into the folder `out`. On the CPU the same job gives the same weights, bit for bit.

    `is_held`: the caller holds `out` already, since before it read the data.

    Raises:
        WriteRefused: `out` holds something and nothing is to be resumed, another run is at work in it, or the disk is
            full: the last checkpoint is whole, and where there is none yet, nothing is left.
        TrainingRefused: what is to be resumed was another training.
        TrainingFailed: the loss is no number any more.
        KeyboardInterrupt: Ctrl-C was pressed; what was learnt is kept.
    """
    with nullcontext() if is_held else hold(out):
        return _fitted(job, out, resume=resume, keep_every_s=keep_every_s, progress=on_progress)


def _fitted(job: Job, out: Path, *, resume: bool, keep_every_s: float, progress: Progress) -> Trained:
    if not resume:
        clear_unbegun(out)
        refuse_occupied(out)
    torch.set_num_threads(job.settings.threads)
    if job.settings.minutes is not None and not resume:
        job = _fitted_to_minutes(job)
    run = _Run(job, out)
    if resume:
        run.resume()
    try:
        run.keep()
    except WriteRefused:
        if not resume:
            remove_checkpoint(out)
        raise
    with (
        refused_when_full(out),
        prefetched(run.maker) as batches,
        Events(out, first_step=len(run.curve)) as events,
        between_steps() as is_interrupted,
    ):
        kept_at = time.monotonic()
        progress.started(run.job.settings.steps)
        if len(run.curve):  # a resumed training begins in the middle
            progress.advance(len(run.curve))
        while len(run.curve) < run.job.settings.steps:
            run.step(batches)
            run.validate()
            events.add(run.curve)
            progress.advance()
            if time.monotonic() - kept_at >= keep_every_s:
                run.keep()
                kept_at = time.monotonic()
            if is_interrupted():
                run.keep()
                raise KeyboardInterrupt
    run.keep()
    return run.result()


class _Run:
    """A training under way: network, optimizer, average, curve. A class, because all of it changes with every step."""

    def __init__(self, job: Job, out: Path) -> None:
        self.job, self.out, self.curve = job, out, Curve()
        settings, habits = job.settings, job.habits
        torch.manual_seed(settings.seed)
        self.net: Net = job.leaf.build(job.prepared.codec, job.options).to(settings.device)
        self.net.train()
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.net, settings.weight_decay), lr=settings.learning_rate
        )
        self.average = Average(self.net, decay=settings.ema_decay)
        order = Order(job.prepared.weights, seed=settings.seed)
        shift_px = round(job.options.get("shift", 0.0) * job.prepared.feed.spec.picture_px)
        augmentation = Augmentation(habits.noise, shift_px, job.options.get("colour", 0.0))
        self.maker = BatchMaker(
            job.prepared.feed,
            job.prepared.codec,
            order,
            batch_size=settings.batch_size,
            seed=settings.seed,
            augmentation=augmentation,
            device=settings.device,
        )
        self._order_state = order.state_dict()

    def step(self, batches: Prefetched[Drawn]) -> None:
        settings, step, began = self.job.settings, len(self.curve), time.perf_counter()
        waited_before = batches.waited_s
        # Seeded per step: whoever resumes here drops the same units out.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        rate = rate_at(step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total = 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for _ in range(settings.accumulate):
            drawn = next(batches)
            with _autocast(settings):
                loss = self.net.loss(drawn.seen.to(settings.device), drawn.wanted.to(settings.device))
            (loss / settings.accumulate).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) / settings.accumulate
            self._order_state = drawn.order
        if not np.isfinite(total):
            raise TrainingFailed(
                f"the loss of step {step} is {total}. Look for values that are no numbers (kata check), "
                f"or learn slower: --learning-rate {settings.learning_rate / 4:g}."
            )
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), settings.clip_norm)
        self.optimizer.step()
        self.average.update(step)
        seconds, waited_s = time.perf_counter() - began, batches.waited_s - waited_before
        self.curve.add(Step(total, float(norm), rate, seconds, waited_s))

    def validate(self) -> None:
        """Measure the loss on the validation split, where there is one and it is time."""
        prepared, settings = self.job.prepared, self.job.settings
        if prepared.validation is not None and is_due(len(self.curve), settings.steps):
            precision = _autocast(settings)
            loss = validation_loss(self.net, prepared.validation, prepared.codec, settings, precision=precision)
            self.curve.add_validation(loss)

    def keep(self) -> None:
        """Write the checkpoint: what acts, and what resuming needs."""
        state = {
            "identity": identity_of(self.job),
            "settings": self.job.settings.to_json(),
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "order": self._order_state,
            "curve": torch.from_numpy(self.curve.table()),
            "validation": torch.from_numpy(self.curve.validation()),
        }
        write_state(self.out, state)
        weights = trained_weights(self.net)
        weights.update(self.average.state_dict())
        write_checkpoint(self.out, card_of(self.job, self.net, self.curve), weights)
        self.curve.write_csv(self.out / "training" / "curve.csv")

    def resume(self) -> None:
        """Stand where an earlier run of the same job was kept."""
        state = read_state(self.out)
        ours = identity_of(self.job)
        theirs = state["identity"]
        differs = next((name for name in ours if ours[name] != theirs.get(name)), None)
        if differs is not None:
            raise TrainingRefused(
                f"{self.out}: what is to be resumed had another {differs}: {theirs.get(differs)}, not {ours[differs]}. "
                f"Resume with the same, or train into another folder."
            )
        settings = Settings(**state["settings"])
        self.__init__(_with_settings(self.job, settings), self.out)  # type: ignore[misc]
        torch.set_num_threads(settings.threads)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])
        self.maker.order.load_state_dict(state["order"])
        self._order_state = state["order"]
        self.curve.load(state["curve"].numpy(), state["validation"].numpy())

    def result(self) -> Trained:
        feed = self.job.prepared.feed
        return Trained(
            self.out,
            self.job.policy,
            sum(p.numel() for p in self.net.parameters() if p.requires_grad),
            sum(p.numel() for p in self.net.parameters() if not p.requires_grad),
            len(feed.episodes),
            len(feed),
            feed.absent_shares(),
            self.job.prepared.left_out,
            self.job.prepared.notes,
            0 if self.job.prepared.validation is None else len(self.job.prepared.validation.episodes),
            self.job.settings,
            self.curve,
            self.net.provenance(),
        )


def trained_weights(net: Net) -> dict[str, Any]:
    """Weights and buffers but those of frozen parts, which their card's origin gives again."""
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    return {name: value.detach().clone() for name, value in net.state_dict().items() if name not in frozen}


def _fitted_to_minutes(job: Job) -> Job:
    """The job with the steps that fit into its minutes, measured on steps that are thrown away."""
    run = _Run(job, Path())
    with prefetched(run.maker) as batches:
        for _ in range(_MEASURED_STEPS):
            run.step(batches)
    step_s = float(np.median(run.curve.column("seconds")[_MEASURED_STEPS // 3 :]))
    minutes = cast(float, job.settings.minutes)
    return _with_settings(job, with_steps(job.settings, int(minutes * 60 / step_s)))


def _with_settings(job: Job, settings: Settings) -> Job:
    return Job(job.policy, job.spec, settings, job.habits, job.options, job.prepared)


def _parameter_groups(net: Net, weight_decay: float) -> list[dict[str, Any]]:
    """Decay for matrices and filters only: biases, norms and embeddings of places are no weights to shrink."""
    trained = [p for p in net.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def _autocast(settings: Settings) -> AbstractContextManager[Any]:
    if settings.precision != "bfloat16":
        return nullcontext()
    return torch.autocast(settings.device.partition(":")[0], dtype=torch.bfloat16)
