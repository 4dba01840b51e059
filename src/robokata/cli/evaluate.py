"""`kata evaluate`: a policy at a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robokata.cli.grouped_help import option_group

_trials = option_group("Trials")
_compare = option_group("Probes and comparison")
_policy = option_group("Policy")
_report = option_group("Run and report")


def evaluate(
    policy: Annotated[str, typer.Argument(help="Checkpoint folder, or ws://HOST:PORT of a policy server.")],
    task: Annotated[str, typer.Option(help="lift, stack, ...; a wrong name lists them.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the trials, one episode each; default: POLICY-TASK here.")
    ] = None,
    robot: Annotated[str | None, _trials(help="Robot; default: the task's usual one.")] = None,
    trials: Annotated[int, _trials(min=1, help="Trials that count, per arm.")] = 50,
    reset_range: Annotated[str, _trials(help="How far apart resets lie: D0, D1, D2.")] = "D0",
    seed: Annotated[int, _trials(min=0, help="The same seed gives the same resets to every policy.")] = 1000,
    execute: Annotated[int | None, _trials(min=1, help="Actions of a chunk to execute before asking.")] = None,
    size: Annotated[str, _trials(help="Pixels of the pictures kept, HEIGHTxWIDTH; 0 for none.")] = "128x128",
    probe: Annotated[list[str] | None, _compare(help="Probe by name, or `all`; several times.")] = None,
    against: Annotated[Path | None, _compare(help="An earlier evaluation to compare with.")] = None,
    sequential: Annotated[bool, _compare("--sequential", help="Stop when --against is decided.")] = False,
    device: Annotated[str, _policy(help="auto, cpu, cuda, cuda:1.")] = "cpu",
    option: Annotated[
        list[str] | None, _policy(help="NAME=VALUE for the policy: timeout_s, names, ... of a server.")
    ] = None,
    workers: Annotated[int | None, _report(min=1, help="Processes; default: one per core, one of a server.")] = None,
    html: Annotated[Path | None, _report(help="Write a report for a browser.")] = None,
    json: Annotated[bool, _report("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a policy at a task: metrics with intervals, probes against a control arm, comparison with another policy.

    \b
    Examples:
      kata evaluate stack-small_vla --task stack --probe all --html report.html
      kata evaluate ws://localhost:8000 --task lift --against lift-bc_mlp --sequential
    """
    from robokata.cli.choice import refuse_unwritable, size_of
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.evaluation.evaluate import evaluate as run
    from robokata.runtime.options import parse_assignments
    from robokata.viewing.html.evaluation import write_evaluation
    from robokata.viewing.terminal.evaluation import show_evaluation

    refuse_unwritable(html)
    options = parse_assignments(option or (), "--option")
    with progress_bar(f"evaluating at {task}", of="trials") as bar:
        found = run(
            policy, task=task, out=out, robot=robot, trials=trials, reset_range=reset_range, seed=seed,
            probes=probe or (), against=against, sequential=sequential, execute_steps=execute, size_px=size_of(size),
            device=device, options=options, workers=workers, on_progress=bar,
        )  # fmt: skip
    if html is not None:
        write_evaluation(found, html)
    print_json_of([found]) if json else show_evaluation(found)
