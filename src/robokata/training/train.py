"""The verb train: a policy from a dataset, or from a mixture of several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robokata.core.contracts import ForeignLeaf
from robokata.core.errors import NotADataset, TrainingRefused
from robokata.core.leaf_kinds import trainable_policy
from robokata.core.source import Source
from robokata.learn.checkpoint import clear_unbegun, read_card
from robokata.learn.trainable import ForeignJob
from robokata.learn.training_spec import TrainingSpec, read_window, refuse_mixed_units, spec_at
from robokata.loading.data_source import DataSource
from robokata.runtime.atomic import refuse_occupied
from robokata.runtime.folder_lock import hold
from robokata.runtime.notebook import html_table
from robokata.runtime.progress import SILENT, Progress
from robokata.training.data import opened

if TYPE_CHECKING:
    from robokata.training.fit import Trained


@dataclass(frozen=True)
class ForeignTraining:
    """What somebody else's training gave."""

    folder: Path
    policy: str
    facts: Mapping[str, Any]
    """What made the checkpoint, as that code says it."""
    notes: tuple[str, ...] = ()
    """Which episodes were taken of each source, where there was a choice."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"folder": str(self.folder), "policy": self.policy, **self.facts, "notes": list(self.notes)}

    def _repr_html_(self) -> str:
        return html_table(f"{self.policy} in {self.folder}", [(name, value) for name, value in self.facts.items()])


def train(
    data: str | os.PathLike[str] | Source | TrainingSpec,
    *,
    policy: str = "small_vla",
    out: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    resume: bool = False,
    where: str | None = None,
    split: str | None = None,
    rates: Sequence[str | float] = (),
    window: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    learning_rate: float | None = None,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> Trained | ForeignTraining:
    """Train a policy. What the data lacks is said before the first step; a kill costs at most half a minute.

    Args:
        data: A dataset (path, or open), a TOML file with `[[source]]`, `[window]`, `[policy]`, or such a file, read.
        policy: A policy of the shelf that can be trained.
        out: Folder for the policy, new unless `resume`; None: `DATA-POLICY` here.
        steps: Steps of the optimizer; None: what is usual for the policy.
        minutes: Instead of steps: as many as fit into this time.
        seed: The same seed gives the same weights.
        resume: Go on where the folder's training was interrupted.
        where: Only episodes that meet this SQL condition.
        split: Split to learn from, or `all`; None: `train`, where there are splits.
        rates: Rates of streams without times, Hz: `10`, or `STREAM=10`.
        window: Streams and times of a sample: `cameras`, `inputs`, `chunk_steps`, `in_steps`, ...
        options: Options of the policy.
        device: cpu, cuda, cuda:N or auto.
        precision: float32 or bfloat16; None: bfloat16 on a GPU.
        threads: Threads of the network; None: all cores.
        batch_size: Samples per step; None: what is usual for the policy.
        accumulate: Batches per step of the optimizer.
        learning_rate: Largest rate of the schedule; None: what is usual for the policy.
        on_progress: Hears how many episodes are read, and then how many steps are done.
        on_line: Hears each line of a training by somebody else's code.

    Raises:
        UnknownName: there is no such policy, or an option that it does not know.
        TrainingRefused: the data lacks what is asked for, or a number is one that no training can have.
        WriteRefused: the folder holds something and nothing is to be resumed, or another run is at work in it.
        TrainingFailed: the loss is no number any more.
        KeyboardInterrupt: Ctrl-C was pressed; what was learnt is kept.
    """
    leaf = trainable_policy(policy)
    spec = _restricted(_spec(data), where, split, rates)
    spec = replace(spec, **read_window(window or {}, where="window"), options={**spec.options, **(options or {})})
    refuse_mixed_units(vars(spec), where="window")
    folder = Path(out or f"{_name(data)}-{policy}")
    # Held until the end: a second run is refused before it reads anything.
    with hold_training_folder(folder, resume=resume, steps=steps):
        if isinstance(leaf, ForeignLeaf):
            _refuse_ours({"minutes": minutes, "precision": precision, "accumulate": accumulate > 1})
            job = ForeignJob(
                spec, folder, seed, steps, device, on_line, batch_size=batch_size, learning_rate=learning_rate,
                threads=threads, resume=resume,
            )  # fmt: skip
            return _by_others(leaf, policy, job)
        from robokata.training.fit import fit, plan, refuse_untrainable
        from robokata.training.settings import settings_for

        refuse_untrainable(policy)
        settings = settings_for(
            leaf.HABITS, steps=steps, minutes=minutes, seed=seed, device=device, threads=threads,
            batch_size=batch_size, learning_rate=learning_rate, accumulate=accumulate, precision=precision,
        )  # fmt: skip
        progress = on_progress or SILENT
        sources = [opened(each) for each in spec.sources]
        progress.started(sum(len(each.keys) for each in sources))
        planned = plan(policy, spec, sources, settings, workers=settings.threads, advance=progress.advance)
        return fit(planned, folder, resume=resume, on_progress=progress, is_held=True)


def _spec(data: str | os.PathLike[str] | Source | TrainingSpec) -> TrainingSpec:
    if isinstance(data, TrainingSpec):
        return data
    if isinstance(data, (str, os.PathLike)):
        return spec_at(Path(data))
    return TrainingSpec((DataSource(str(data.path), format=data.format),))


def _name(data: str | os.PathLike[str] | Source | TrainingSpec) -> str:
    if isinstance(data, TrainingSpec):
        return Path(data.sources[0].path).resolve().stem
    return (Path(data) if isinstance(data, (str, os.PathLike)) else data.path).resolve().stem


def _restricted(spec: TrainingSpec, where: str | None, split: str | None, rates: Sequence[str | float]) -> TrainingSpec:
    """The same with a condition, a split and rates for every source."""
    sources = spec.sources
    if where is not None:
        sources = tuple(replace(s, where=where if s.where is None else f"({s.where}) and ({where})") for s in sources)
    if split is not None:
        sources = tuple(replace(s, split=split) for s in sources)
    if rates:
        sources = tuple(replace(s, rate_hz=(*s.rate_hz, *map(str, rates))) for s in sources)
    return replace(spec, sources=sources)


@contextmanager
def hold_training_folder(out: Path, *, resume: bool, steps: int | None) -> Iterator[None]:
    """Hold the folder of a training: a new one, or one that can be resumed.

    Raises:
        WriteRefused: it holds something and nothing is to be resumed, or another run is at work in it.
        TrainingRefused: what is to be resumed was begun with other `steps`.
    """
    with hold(out):
        if resume:
            _refuse_other_steps(out, steps)
        else:
            clear_unbegun(out)
            refuse_occupied(out)
        yield


def _refuse_other_steps(out: Path, steps: int | None) -> None:
    try:
        begun = read_card(out).data.get("receipt", {}).get("settings", {}).get("steps")
    except NotADataset:
        return  # nothing was kept yet; the training itself says so
    if steps is not None and begun is not None and begun != steps:
        raise TrainingRefused(
            f"{out} was begun with {begun} steps, not {steps}, and the learning rate has followed that from the "
            "first step on. Resume without steps, or train into another folder."
        )


def _refuse_ours(given: Mapping[str, Any]) -> None:
    name = next((name for name, value in given.items() if value), None)
    if name is not None:
        raise TrainingRefused(f"--{name} is not supported for policies trained by an external library.")


def _by_others(leaf: ForeignLeaf, policy: str, job: ForeignJob) -> ForeignTraining:
    choices = [(each.path, opened(each).choice) for each in job.spec.sources]
    sentences = [(path, choice.sentence) for path, choice in choices if choice is not None]
    notes = tuple(f"{path}: {sentence}" for path, sentence in sentences if sentence is not None)
    return ForeignTraining(job.out, policy, leaf.train(job), notes)
