"""`kata evaluate`: a policy at a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    policy: Annotated[str, typer.Argument(help="Checkpoint folder, or ws://HOST:PORT of a policy server.")],
    task: Annotated[str, typer.Option(help="lift, stack, ...; a wrong name lists them.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the trials, one episode each; default: POLICY-TASK here.")
    ] = None,
    robot: Annotated[str | None, typer.Option(help="Robot, where not the task's usual one.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials that count, per arm.")] = 50,
    width: Annotated[str, typer.Option(help="How far apart resets lie: D0, D1, D2.")] = "D0",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same resets to every policy.")] = 1000,
    probe: Annotated[list[str] | None, typer.Option(help="Probe by name, or `all`; several times.")] = None,
    against: Annotated[Path | None, typer.Option(help="An earlier evaluation to compare with.")] = None,
    sequential: Annotated[bool, typer.Option("--sequential", help="Stop when --against is decided.")] = False,
    execute: Annotated[int | None, typer.Option(min=1, help="Actions of a chunk to execute before asking.")] = None,
    size: Annotated[str, typer.Option(help="Height x width of the pictures kept; 0 for none.")] = "128x128",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "cpu",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; where not given one per core, one for a server.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the policy: timeout_s, names, ... of a server.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report for a browser.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a policy at a task: metrics with intervals, probes against a control arm, comparison with another policy."""
    from robokata.cli.choice import named_values, one_of, refuse_unwritable, size_of
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.core.world import Width
    from robokata.evaluation.evaluation import evaluate as run
    from robokata.evaluation.probes import probes_for
    from robokata.evaluation.trial import Conditions
    from robokata.evaluation.trials import PolicyRef, TrialJob
    from robokata.sim.cameras import Filming
    from robokata.sim.demonstration import scene_of
    from robokata.viewing.html.evaluation import write_evaluation
    from robokata.viewing.terminal.evaluation import show_evaluation

    refuse_unwritable(html)
    pixels, chosen = size_of(size), one_of(Width, width, "width")
    conditions = Conditions(scene_of(task, robot), chosen, execute_steps=execute)
    folder = out or Path(f"{Path(policy).name.replace(':', '_')}-{task}")
    filming = Filming(*pixels) if pixels else None
    job = TrialJob(PolicyRef(policy, device, named_values(option)), conditions, seed, filming=filming)
    probes = probes_for(probe, width=chosen) if probe else []
    with progress_bar(f"evaluating at {task}", of="trials") as bar:
        found = run(
            job,
            folder,
            trials=trials,
            probes=probes,
            against=against,
            sequential=sequential,
            workers=workers,
            progress=bar,
        )
    if html is not None:
        write_evaluation(found, html)
    if json:
        print_json_of([found])
    else:
        show_evaluation(found)
