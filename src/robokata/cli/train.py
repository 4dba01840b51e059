"""`kata train`: a policy from a dataset, or from a recipe of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="A dataset, or a TOML file with [[source]], [window], [policy].")],
    policy: Annotated[str, typer.Option(help="small_vla, bc_mlp, ...; a wrong name lists them.")] = "small_vla",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the policy, new but with --resume; default: RECIPE-POLICY here.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps; default: what the policy is used to.")] = None,
    minutes: Annotated[float | None, typer.Option(help="As many steps as fit into this time.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the folder's training was kept.")] = False,
    where: Annotated[str | None, typer.Option(help="Only episodes that meet this SQL condition.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to learn from, or `all`; default: train, where there are splits.")
    ] = None,
    rate_hz: Annotated[
        list[str] | None, typer.Option(help="Rate of the steps of data without times: 10, or STREAM=10; several times.")
    ] = None,
    in_steps: Annotated[bool, typer.Option("--in-steps", help="Windows of consecutive rows, not of seconds.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16; default: bfloat16 on a GPU.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the network; default: all cores.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples per step.")] = None,
    accumulate: Annotated[int, typer.Option(min=1, help="Batches per step of the optimizer.")] = 1,
    learning_rate: Annotated[float | None, typer.Option(help="Largest rate of the schedule.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the policy; a wrong name lists them.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Train a policy. What the data lacks is said before the first step; a kill costs at most half a minute."""
    from robokata.cli.console import print_json_of
    from robokata.cli.progress import progress_bar
    from robokata.cli.training import folder_for, spec_of, told_on_stderr, trained_by_others
    from robokata.core.contracts import ForeignLeaf
    from robokata.core.leaf_kinds import trainable_policy
    from robokata.viewing.terminal.training import show_trained

    leaf = trainable_policy(policy)
    spec = spec_of(recipe, where, split, option or [], rates=rate_hz or (), in_steps=in_steps)
    out = out or Path(f"{recipe.resolve().stem}-{policy}")
    # Held until the command ends: a second run is refused before it reads anything.
    context.with_resource(folder_for(out, resume=resume, steps=steps))
    if isinstance(leaf, ForeignLeaf):
        from robokata.learn.trainable import ForeignJob

        foreign = ForeignJob(
            spec, out, seed, steps, device, told_on_stderr, batch_size=batch_size, learning_rate=learning_rate,
            threads=threads, resume=resume,
        )  # fmt: skip
        ours_alone = {"minutes": minutes, "precision": precision, "accumulate": accumulate > 1}
        trained_by_others(leaf, foreign, not_theirs=ours_alone, json=json)
        return
    from robokata.training.data import opened
    from robokata.training.settings import settings_for
    from robokata.training.train import Progress, plan, refuse_untrainable
    from robokata.training.train import train as learn
    from robokata.viewing.html.training import write_training_html

    refuse_untrainable(policy)
    settings = settings_for(
        leaf.HABITS, steps=steps, minutes=minutes, seed=seed, device=device, threads=threads, batch_size=batch_size,
        learning_rate=learning_rate, accumulate=accumulate, precision=precision,
    )  # fmt: skip
    sources = [opened(each) for each in spec.sources]
    with progress_bar("reading") as bar:
        bar.started(sum(len(each.keys) for each in sources))
        job = plan(policy, spec, sources, settings, workers=settings.threads, advance=bar.advance)
    with progress_bar("training", of="steps") as bar:

        def told(progress: Progress) -> None:
            if progress.is_first:
                bar.started(progress.steps)
                bar.advance(progress.step - 1)
            bar.advance(1)

        trained = learn(job, out, resume=resume, told=told, is_held=True)
    write_training_html(trained, out / "report.html")
    print_json_of([trained]) if json else show_trained(trained)
