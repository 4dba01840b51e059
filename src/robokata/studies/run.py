"""The jobs of a study: data of each arm, then each training seed by itself; what is finished is never done again."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robokata.core.contracts import ForeignLeaf, PolicyRef, TrainableLeaf
from robokata.core.detection import open_source
from robokata.core.errors import NotADataset, TrainingFailed
from robokata.core.leaf_kinds import trainable_policy
from robokata.core.world import Width
from robokata.curation.curate import curated
from robokata.curation.write import states_of, training_sources, write_curated
from robokata.evaluation.trial import Conditions
from robokata.evaluation.trials import TrialJob, dismiss, evaluate_policy
from robokata.expansion.expand import plan_expansion, run_expansion
from robokata.learn.checkpoint import STATE
from robokata.learn.trainable import ForeignJob
from robokata.learn.training_spec import TrainingSpec
from robokata.loading.data_source import DataSource
from robokata.runtime.atomic import replace_json
from robokata.runtime.jobs import workers_of
from robokata.runtime.pool import WorkerKilled, WorkerPool, answers_of
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.studies.design import Arm
from robokata.studies.spec import ExpandPart, Study
from robokata.training.data import opened
from robokata.training.fit import fit, plan
from robokata.training.settings import settings_for

_DONE = "done.json"
_TRIAL_SEED = 5_000
"""Resets of trials never meet those of demonstrations, whose seeds count from 0."""


@dataclass(frozen=True)
class Data:
    """The data of one arm, on disk."""

    arm: str
    hash: str
    folder: str
    spec: TrainingSpec
    kept: int
    """Episodes of the recipe."""
    made: int
    """Episodes that were generated besides."""
    left_out: Mapping[str, int]
    """How many episodes each step, the checks and the curator left out."""
    seconds: float

    @property
    def episodes(self) -> int:
        """Episodes that are learnt from."""
        return self.kept + self.made

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "spec": self.spec.to_json()}


@dataclass(frozen=True)
class Run:
    """One training seed of one arm, finished."""

    arm: str
    seed: int
    policy: str
    """Folder of the checkpoint."""
    trials: str
    """Folder of the trials, one episode each."""
    observed: Mapping[str, Mapping[str, float]]
    """Metric -> trial number -> value, of the trials that can tell."""
    infrastructure: int
    train_s: float
    evaluate_s: float
    final_loss: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def data_of(arm: Arm, study: Study, out: Path, *, workers: int | None = None) -> Data:
    """Make the data of an arm, or find it made.

    Raises:
        RecipeRefused: the recipe asks for what the data cannot give, or leaves nothing.
        WriteRefused: the folder cannot be written, or generation fails too often.
    """
    planned = curated(arm.recipe, workers=workers, is_for_training=True)
    expansions = [vars(part) | {"picture_px": study.picture_px} for part in arm.expansions]
    key = _hash({"recipe": arm.recipe.to_json(), "inputs": states_of(planned), "expand": expansions})
    folder = out / "data" / key
    done = folder / _DONE
    sources = training_sources(planned, folder / "kept")
    if done.exists():
        told = json.loads(done.read_text(encoding="utf-8"))
    else:
        began = time.monotonic()
        shutil.rmtree(folder / "kept", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        written = write_curated(planned, folder / "kept", workers=workers)
        told = {"kept": written.episodes, "left_out": dict(written.left_out), "made": []}
        for number, part in enumerate(arm.expansions):
            told["made"].append(_expand(part, folder / "kept", folder / f"made-{number}", study, workers))
        told["seconds"] = time.monotonic() - began
        replace_json(done, told, indent=None)
    # Where sources have weights, a generated episode counts as much as a recorded one does on average.
    weights = [source.weight for source in sources]
    each = None if None in weights else sum(w for w in weights if w is not None) / told["kept"]
    made = [
        DataSource(str(folder / f"made-{n}"), format="mcap", weight=None if each is None else each * count)
        for n, count in enumerate(told["made"])
    ]
    spec = training_of(study, arm, (*sources, *made))
    return Data(arm.name, key, str(folder), spec, told["kept"], sum(told["made"]), told["left_out"], told["seconds"])


def training_of(study: Study, arm: Arm, sources: Sequence[DataSource]) -> TrainingSpec:
    """How an arm is trained on what lies there."""
    fields = {name: value for name, value in arm.training.items() if name != "steps"}
    return TrainingSpec(tuple(sources), **fields, options=dict(study.options))


@dataclass(frozen=True)
class RunJob:
    """One training seed of one arm; picklable, independent of every other."""

    study: Study
    arm: str
    steps: int
    data: Data
    seed: int
    out: str

    def __call__(self) -> Run:
        folder = Path(self.out) / "runs" / self.key / f"seed-{self.seed}"
        done = folder / _DONE
        if done.exists():
            # An arm may have been renamed since; what it is made of is the same.
            return replace(Run(**json.loads(done.read_text(encoding="utf-8"))), arm=self.arm)
        folder.mkdir(parents=True, exist_ok=True)
        train_s, loss = self._train(folder / "policy")
        began = time.monotonic()
        job = trial_job(self.study, folder / "policy")
        trials = evaluate_policy(job, folder / "trials", trials=self.study.trials, workers=1)
        dismiss(job.policy)
        observed: dict[str, dict[str, float]] = {}
        for line in trials.lines:
            for name, row in line.row["observed"].items():
                if row["value"] is not None and not line.row["infrastructure"]:
                    observed.setdefault(name, {})[str(line.number)] = float(row["value"])
        run = Run(
            arm=self.arm,
            seed=self.seed,
            policy=str(folder / "policy"),
            trials=str(folder / "trials"),
            observed=observed,
            infrastructure=sum(bool(line.row["infrastructure"]) for line in trials.lines),
            train_s=train_s,
            evaluate_s=time.monotonic() - began,
            final_loss=loss,
        )
        replace_json(done, run.to_json(), indent=None)
        return run

    @property
    def key(self) -> str:
        """What a run depends on, as a short hash: data, training, task and trials."""
        study = self.study
        return _hash(
            {
                "data": self.data.hash,
                "spec": {**self.data.spec.to_json(), "sources": None},
                "policy": study.policy,
                "options": dict(study.options),
                "steps": self.steps,
                "task": [study.task, study.robot, study.width, study.picture_px],
                "trials": study.trials,
                "seed": study.seed,
            }
        )

    def _train(self, out: Path) -> tuple[float, float]:
        told = out.with_name("trained.json")
        if not told.exists():
            began = time.monotonic()
            leaf = trainable_policy(self.study.policy)
            loss = self._by_others(leaf, out) if isinstance(leaf, ForeignLeaf) else self._by_us(leaf, out)
            replace_json(told, {"train_s": time.monotonic() - began, "loss": loss}, indent=None)
        said = json.loads(told.read_text(encoding="utf-8"))
        return float(said["train_s"]), float(said["loss"])

    def _by_us(self, leaf: TrainableLeaf, out: Path) -> float:
        study = self.study
        settings = settings_for(leaf.HABITS, steps=self.steps, seed=self._seed, device=study.device, threads=1)
        job = plan(study.policy, self.data.spec, [opened(s) for s in self.data.spec.sources], settings)
        begun = (out / STATE).exists()
        if not begun:
            shutil.rmtree(out, ignore_errors=True)
        return fit(job, out, resume=begun).curve.last_loss

    def _by_others(self, leaf: ForeignLeaf, out: Path) -> float:
        job = ForeignJob(
            self.data.spec, out, self._seed, self.steps, self.study.device, _unheard, threads=1, resume=True
        )
        try:
            loss = leaf.train(job)["last_loss"]
        except NotADataset:
            shutil.rmtree(out, ignore_errors=True)
            loss = leaf.train(replace(job, resume=False))["last_loss"]
        return math.nan if loss is None else float(loss)

    @property
    def _seed(self) -> int:
        return self.study.seed * 1000 + self.seed


def trial_job(study: Study, policy: Path) -> TrialJob:
    """The trials of a trained policy."""
    px = study.picture_px
    conditions = Conditions(scene_of(study.task, study.robot), Width(study.width), size_px=(px, px))
    # Somebody else's policy acts in the environment that trained it; every other option is in the checkpoint.
    options = {"python": str(study.options["python"])} if "python" in study.options else {}
    return TrialJob(
        PolicyRef(str(policy), options=options), conditions, _TRIAL_SEED + study.seed, filming=Filming(px, px)
    )


def _unheard(line: str) -> None:
    """Of many trainings at once, what each prints is in its own log."""


def run_all(jobs: Sequence[RunJob], *, workers: int | None) -> Iterator[Run]:
    """Do all jobs on all cores, in whatever order they finish; they depend on nothing but themselves.

    Raises:
        RobokataError: whatever a job raises; finished jobs stay finished.
    """
    count = min(workers_of(workers), len(jobs))
    if count <= 1:
        for job in jobs:
            yield job()
        return
    with WorkerPool(count) as pool:
        try:
            yield from answers_of([pool.submit(job) for job in jobs])
        except WorkerKilled:
            raise TrainingFailed(
                "a worker process was killed (out of memory?). Finished runs are kept; run the same command again to "
                "go on, with fewer --workers."
            ) from None


def _expand(part: ExpandPart, folder: Path, out: Path, study: Study, workers: int | None) -> int:
    """Make a level's generated episodes; how many there are."""
    source, size_px = open_source(folder), (study.picture_px, study.picture_px)
    keys = tuple(source.keys())
    jobs = plan_expansion(source, part.by, keys=keys, options=part.options, seed=part.seed, size_px=size_px)
    return run_expansion(jobs, out, by=part.by, episodes=part.episodes, workers=workers).production.kept


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
