"""Many trials on all cores: each an Episode in one folder, with what every metric says of it in the journal."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.contracts import Policy, PolicyRef, PolicySpec
from robokata.core.episode import Episode, Origin
from robokata.core.errors import EvaluationStopped, PolicyFailed
from robokata.core.estimate import Estimate, Observation
from robokata.core.shelf import shelf
from robokata.evaluation.metric import summarise
from robokata.evaluation.protocol import TrialProtocol
from robokata.evaluation.trial import HOLD_S, Conditions, Trial, executed_steps, run_trial
from robokata.learn.checkpoint import CARD
from robokata.learn.open_policy import is_address, open_policy
from robokata.runtime.jobs import Made, Production, Tried, produce, with_receipt, workers_of
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import world_of
from robokata.sim.episode import episode_of
from robokata.sim.gl import mujoco

SUCCESS = f"the task's own predicate; a trial ends when it has held for {HOLD_S} s"
MOST_INFRASTRUCTURE_SHARE = 0.2
"""Share of trials that may fail for reasons outside the policy before the run stops: beyond it, what is left is no
longer a sample of the resets."""


@dataclass(frozen=True)
class TrialJob:
    """Trial `number` of a policy."""

    policy: PolicyRef
    conditions: Conditions
    seed: int
    filming: Filming | None = field(default_factory=Filming)
    name: str = "trial"

    def __call__(self, number: int) -> Made:
        try:
            policy = opened(self.policy)
        except PolicyFailed as failure:
            # A server that is gone when a worker calls costs this trial, as one that goes in the middle of it does.
            row = {"success": False, "infrastructure": f"{failure.kind}: {failure}", "duration_s": 0.0}
            return Made({**row, "seen": None, "act_s": None, "observed": {}}, counts=False)
        trial = run_trial(policy, self.conditions, seed=self.seed, number=number)
        episode = self._episode(trial, policy, number)
        row = {
            "success": trial.attempt.success_at_end and trial.infrastructure is None,
            "infrastructure": trial.infrastructure,
            "duration_s": len(trial.attempt.steps) / self.conditions.scene.control_hz,
            "seen": None if trial.seen is None else trial.seen._asdict(),
            "act_s": [float(np.median(trial.act_s)), float(np.max(trial.act_s))] if trial.act_s else None,
            "observed": {name: _plain(shelf("metrics")[name].observe(episode)) for name in metric_names()},
        }
        return Made(row, episode if trial.attempt.steps else None, counts=trial.infrastructure is None)

    def protocol(self, spec_execute_steps: int) -> TrialProtocol:
        """What must agree before two sets of trials may be compared."""
        conditions, scene = self.conditions, self.conditions.scene
        return TrialProtocol(
            task=scene.task,
            width=str(conditions.width),
            control_rate_hz=scene.control_hz,
            horizon_s=float(scene.leaf.HORIZON_S),
            success=SUCCESS,
            executed_steps=spec_execute_steps,
            simulator=f"mujoco {mujoco().__version__}",
            robot=scene.robot,
            instruction=f"wording {conditions.wording} {dict(conditions.reworded)}",
            factors={**conditions.variation.magnitudes, "pixel_noise_levels": conditions.pixel_noise_levels},
            more={"seed": self.seed, "size_px": "x".join(map(str, conditions.size_px))},
        )

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many."""
        return {
            "by": "policy",
            "policy": self.policy.where,
            "policy_hash": policy_hash(self.policy.where),
            "conditions": _plain_conditions(self.conditions),
            "seed": self.seed,
            "filming": None if self.filming is None else self.filming.to_json(),
            "metrics": list(metric_names()),
            **({"options": told} if (told := self.policy.public_options()) else {}),
        }

    def _episode(self, trial: Trial, policy: Policy, number: int) -> Episode:
        conditions, scene = self.conditions, self.conditions.scene
        spec = policy.hello(scene.robot) if trial.infrastructure is None else None
        executed = 0 if spec is None else executed_steps(spec, conditions)
        made = {
            "task": scene.task,
            "width": str(conditions.width),
            "seed": [self.seed, number],
            "words": dict(trial.begun.setup.words),
            "by": "policy",
            "factors": trial.begun.factors,
            "horizon_s": float(scene.leaf.HORIZON_S),
            "targets": sorted({subtask.prop for subtask in trial.attempt.subtasks}),
        }
        if not trial.attempt.steps:
            episode = Episode(id=f"{self.name}-{number:06d}", streams={})
        else:
            episode = episode_of(
                trial.attempt,
                world_of(scene),
                id=f"{self.name}-{number:06d}",
                instruction=trial.instruction,
                made=made,
                origin=Origin(session=f"evaluation seed {self.seed}", operator=self.policy.where),
                filming=self.filming,
                rng=np.random.default_rng([self.seed, number, 13]),
            )
        facts = {
            "policy": self.policy.where,
            "seed": number,
            "protocol_hash": self.protocol(executed).hash,
            "infrastructure": trial.infrastructure,
            "executed_steps": executed,
            "chunk_starts": trial.chunk_starts,
            "horizon_s": float(scene.leaf.HORIZON_S),
        }
        return _with_extra(episode, "trial", facts)


@dataclass(frozen=True)
class Trials:
    """A finished set of trials."""

    production: Production
    protocol: TrialProtocol
    lines: tuple[Tried, ...]
    metrics: Mapping[str, Estimate]

    @property
    def successes(self) -> dict[int, bool]:
        """Trial number -> success at its end, of the trials that count."""
        return {line.number: bool(line.row["success"]) for line in self.lines if not line.row["infrastructure"]}

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            **self.production.to_json(),
            "protocol": self.protocol.to_json(),
            "protocol_hash": self.protocol.hash,
            "metrics": {name: estimate.to_json() for name, estimate in self.metrics.items()},
            "infrastructure": sum(bool(line.row["infrastructure"]) for line in self.lines),
        }


def evaluate_policy(
    job: TrialJob,
    out: Path,
    *,
    trials: int,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda trials: None,
) -> Trials:
    """Run trials until so many count; a run that was killed goes on where it stopped.

    Raises:
        EvaluationStopped: too many trials failed for reasons outside the policy.
        WriteRefused: the folder holds something else or cannot be written.
        PolicyFailed: the policy cannot be opened.
    """
    workers = _workers(job, workers)
    spec = _said_of_itself(job, workers)
    most = trials + max(3, round(MOST_INFRASTRUCTURE_SHARE * trials))
    recipe = job.described()
    lines = produce(
        job, out, wanted=trials, at_most=most, same_as=recipe, again=_is_broken, workers=workers, advance=advance
    )
    broken = [line for line in lines if line.row["infrastructure"]]
    counted = len(lines) - len(broken)
    if counted < trials:
        kept = f"the {counted} that count are kept" if counted else "none counted, so it begins anew"
        raise EvaluationStopped(
            f"{out}: {len(broken)} of {len(lines)} trials failed for reasons outside the policy, the last one: "
            f"{broken[-1].row['infrastructure']} Mend that and run the same command again: {kept}."
        )
    made = with_receipt(out, lines, recipe, versions={"mujoco": mujoco().__version__})
    return Trials(made, job.protocol(executed_steps(spec, job.conditions)), tuple(lines), summarised(lines))


def protocol_of(job: TrialJob, *, workers: int | None = None) -> TrialProtocol:
    """The protocol that trials of this job would be run under, before any is: the policy says its part of it.

    Raises:
        PolicyFailed: the policy cannot be opened.
    """
    spec = _said_of_itself(job, _workers(job, workers))
    return job.protocol(executed_steps(spec, job.conditions))


def summarised(lines: Sequence[Tried]) -> dict[str, Estimate]:
    """Every metric of a set of trials, from what each trial said."""
    out = {}
    for name in metric_names():
        observed = [_observation(line.row["observed"].get(name), line.row["infrastructure"]) for line in lines]
        out[name] = summarise(name, observed)
    return out


def metric_names() -> tuple[str, ...]:
    """All metrics of the shelf."""
    return shelf("metrics").names()


_KEPT = 2
"""Policies that stay open in a process: the two of a comparison."""
_open: OrderedDict[tuple[str, str, tuple[tuple[str, str], ...]], Policy] = OrderedDict()


def opened(policy: PolicyRef) -> Policy:
    """The policy, opened once per process; the one that was not asked for the longest is closed for it."""
    key = _key(policy)
    found = _open.pop(key, None) or open_policy(policy.where, device=policy.device, options=policy.options)
    _open[key] = found
    while len(_open) > _KEPT:
        _open.popitem(last=False)[1].close()
    return found


def dismiss(policy: PolicyRef) -> None:
    """Close a policy that this process opened and needs no more: behind one may be a process, or a connection."""
    found = _open.pop(_key(policy), None)
    if found is not None:
        found.close()


def _key(policy: PolicyRef) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return policy.where, policy.device, tuple(sorted(policy.options.items()))


def _workers(job: TrialJob, wish: int | None) -> int | None:
    # A policy server may answer one client at a time.
    return 1 if wish is None and is_address(job.policy.where) else wish


def _said_of_itself(job: TrialJob, workers: int | None) -> PolicySpec:
    robot = job.conditions.scene.robot
    if workers_of(workers) == 1:
        return opened(job.policy).hello(robot)
    policy = open_policy(job.policy.where, device=job.policy.device, options=job.policy.options)
    try:
        return policy.hello(robot)
    finally:
        # A connection that stays open would keep a server of one client from the workers.
        policy.close()


def policy_hash(where: str) -> str | None:
    """Content hash of a checkpoint's weights and card, None for a server. How long its training took is no part."""
    folder = Path(where)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".pt", ".npz")):
        digest.update(file.name.encode() + (_lasting(file) if file.name == CARD else file.read_bytes()))
    return digest.hexdigest()[:16]


def _lasting(card: Path) -> bytes:
    """A card without the speed of its training, which differs between two runs that give the same weights."""
    told = json.loads(card.read_text(encoding="utf-8"))
    told.get("receipt", {}).pop("so_far", None)
    return json.dumps(told, sort_keys=True).encode()


def _is_broken(row: Mapping[str, Any]) -> bool:
    """A trial that the infrastructure broke is run anew: the server may stand again."""
    return bool(row["infrastructure"])


def _plain(observation: Observation) -> dict[str, Any]:
    return observation._asdict()


def _observation(row: Mapping[str, Any] | None, infrastructure: str | None) -> Observation:
    if infrastructure or row is None:
        return Observation(None, infrastructure, is_infrastructure=True)
    parts = tuple((str(name), float(value)) for name, value in row["parts"])
    return Observation(**{**row, "parts": parts})


def _plain_conditions(conditions: Conditions) -> dict[str, Any]:
    return {**asdict(conditions), "width": str(conditions.width), "variation": conditions.variation.to_json()}


def _with_extra(episode: Episode, name: str, value: Mapping[str, Any]) -> Episode:
    return replace(episode, extra={**episode.extra, name: value})
