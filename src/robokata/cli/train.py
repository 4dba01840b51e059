"""`kata train`: a policy from a dataset, or from a mixture of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robokata.cli.grouped_help import option_group

_data = option_group("Data")
_loop = option_group("Training")
_machine = option_group("Machine and output")


def train(
    data: Annotated[Path, typer.Argument(help="A dataset, or a TOML file with [[source]], [window], [policy].")],
    policy: Annotated[str, typer.Option(help="small_vla, bc_mlp, ...; a wrong name lists them.")] = "small_vla",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the policy, new but with --resume; default: DATA-POLICY here.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the policy; a wrong name lists them.")
    ] = None,
    where: Annotated[str | None, _data(help="Only episodes that meet this SQL condition.")] = None,
    split: Annotated[
        str | None, _data(help="Split to learn from, or `all`; default: train, if there are splits.")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, _data(help="Rate of steps without times: 10, or STREAM=10; several times.")
    ] = None,
    in_steps: Annotated[bool, _data("--in-steps", help="Windows of rows, not of seconds.")] = False,
    seed: Annotated[int, _loop(min=0, help="The same seed gives the same weights.")] = 0,
    steps: Annotated[int | None, _loop(min=1, help="Steps; default: the policy's own.")] = None,
    minutes: Annotated[float | None, _loop(help="As many steps as fit into this time.")] = None,
    batch_size: Annotated[int | None, _loop(min=1, help="Samples per step.")] = None,
    accumulate: Annotated[int, _loop(min=1, help="Batches per step of the optimizer.")] = 1,
    learning_rate: Annotated[float | None, _loop(help="Largest rate of the schedule.")] = None,
    resume: Annotated[bool, _loop("--resume", help="Go on where the folder's training was kept.")] = False,
    device: Annotated[str, _machine(help="auto, cpu, cuda, cuda:1.")] = "auto",
    precision: Annotated[str | None, _machine(help="float32, bfloat16; default: bfloat16 on a GPU.")] = None,
    threads: Annotated[int | None, _machine(min=1, help="Threads of the network; default: all cores.")] = None,
    json: Annotated[bool, _machine("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a policy. What the data lacks is said before the first step; a kill costs at most half a minute.

    \b
    Examples:
      kata train stack --policy bc_mlp --steps 2000
      kata train mixture.toml --minutes 30 --out stack-small_vla
    """
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.runtime.options import parse_assignments
    from robokata.training.train import ForeignTraining
    from robokata.training.train import train as run
    from robokata.viewing.html.training import write_training_html
    from robokata.viewing.terminal.training import show_foreign_training, show_trained

    options, window = parse_assignments(option or (), "--option"), {"in_steps": True} if in_steps else {}
    with progress_bar("training", of="episodes, then steps") as bar:
        trained = run(
            data, policy=policy, out=out, steps=steps, minutes=minutes, seed=seed, resume=resume, where=where,
            split=split, rates=rate_hz or (), window=window, options=options, device=device, precision=precision,
            threads=threads, batch_size=batch_size, accumulate=accumulate, learning_rate=learning_rate,
            on_progress=bar, on_line=lambda line: typer.echo(line, err=True),
        )  # fmt: skip
    if isinstance(trained, ForeignTraining):
        print_json_of([trained]) if json else show_foreign_training(trained)
        return
    write_training_html(trained, trained.folder / "report.html")
    print_json_of([trained]) if json else show_trained(trained)
