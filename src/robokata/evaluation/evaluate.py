"""The verb evaluate: a policy at a task, with probes and a comparison."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from robokata.core.contracts import PolicyRef
from robokata.core.errors import UnknownName
from robokata.core.world import Width
from robokata.evaluation.evaluation import Evaluation, run_evaluation
from robokata.evaluation.probes import probes_for
from robokata.evaluation.trial import Conditions
from robokata.evaluation.trials import TrialJob
from robokata.runtime.progress import Progress
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of


def evaluate(
    policy: str | os.PathLike[str],
    *,
    task: str,
    out: str | os.PathLike[str] | None = None,
    robot: str | None = None,
    trials: int = 50,
    reset_range: str = "D0",
    seed: int = 1000,
    probes: Sequence[str] = (),
    against: str | os.PathLike[str] | None = None,
    sequential: bool = False,
    execute_steps: int | None = None,
    size_px: tuple[int, int] | None = (128, 128),
    device: str = "cpu",
    options: Mapping[str, str] | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Run a policy at a task: metrics with intervals, probes against a control arm, a comparison with another policy.

    What is finished is not run again.

    Args:
        policy: Checkpoint folder, or `ws://HOST:PORT` of a policy server.
        task: A task of the shelf.
        out: Folder for the trials, one episode each; None: `POLICY-TASK` here.
        robot: Robot of the trials; None: the task's usual one.
        trials: Trials that count, per arm.
        reset_range: Where props may lie at the reset: D0, D1 or D2.
        seed: The same seed gives the same resets to every policy.
        probes: Names of probes, or `all`.
        against: Folder of an earlier evaluation to compare with.
        sequential: Stop as soon as the comparison is decided.
        execute_steps: Actions of a chunk to execute before asking again; None: as the policy says.
        size_px: Height and width of the pictures that trials keep; None for none.
        device: cpu, cuda, cuda:N or auto.
        options: Options of the policy.
        workers: Processes; None: one per core, one for a server.
        on_progress: Hears how many trials are done.

    Raises:
        UnknownName: there is no such task, robot, range or probe.
        ComparisonRefused: the earlier evaluation was run under another protocol, or there is none to be decided.
        EvaluationStopped: too many trials failed for reasons outside the policy.
        PolicyFailed: the policy cannot be opened.
        WriteRefused: the folder holds something else or cannot be written, or another run is at work in it.
    """
    if reset_range not in list(Width):
        raise UnknownName("reset range", reset_range, list(Width))
    width = Width(reset_range)
    conditions = Conditions(scene_of(task, robot), width, execute_steps=execute_steps)
    filming = Filming(*size_px) if size_px else None
    job = TrialJob(PolicyRef(str(policy), device, dict(options or {})), conditions, seed, filming=filming)
    return run_evaluation(
        job,
        Path(out or f"{Path(policy).name.replace(':', '_')}-{task}"),
        trials=trials,
        probes=probes_for(probes, width=width) if probes else [],
        against=None if against is None else Path(against),
        sequential=sequential,
        workers=workers,
        on_progress=on_progress,
    )
