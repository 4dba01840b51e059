"""What the words of `kata train` mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robokata.learn.trainable import ForeignJob
    from robokata.learn.training_spec import TrainingSpec


def spec_of(
    recipe: Path,
    where: str | None,
    split: str | None,
    options: Sequence[str],
    *,
    rates: Sequence[str] = (),
    in_steps: bool = False,
) -> TrainingSpec:
    """The training spec of a path: `--where`, `--split` and `--rate-hz` for every source, `--option` for the policy.

    Raises:
        TrainingRefused: an option is not NAME=VALUE, or the file cannot be obeyed.
    """
    from robokata.core.errors import TrainingRefused
    from robokata.learn.training_spec import refuse_mixed_units, spec_at

    spec = spec_at(recipe)
    given: dict[str, Any] = dict(spec.options)
    for word in options:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise TrainingRefused(f"--option {word!r} is not NAME=VALUE.")
        given[name] = value
    sources = spec.sources
    if where is not None:
        sources = tuple(replace(s, where=where if s.where is None else f"({s.where}) and ({where})") for s in sources)
    if split is not None:
        sources = tuple(replace(s, split=split) for s in sources)
    if rates:
        sources = tuple(replace(source, rate_hz=(*source.rate_hz, *rates)) for source in sources)
    spec = replace(spec, sources=sources, options=given, in_steps=spec.in_steps or in_steps)
    refuse_mixed_units(vars(spec), where="--in-steps" if in_steps else str(recipe))
    return spec


@contextmanager
def folder_for(out: Path, *, resume: bool, steps: int | None) -> Iterator[None]:
    """Hold the folder of a training: a new one, or one that can be gone on with.

    Raises:
        WriteRefused: it holds something, and nothing is to be resumed, or another run is at work in it.
        TrainingRefused: what is to be resumed was begun with other `steps`.
    """
    from robokata.learn.checkpoint import clear_unbegun
    from robokata.runtime.atomic import refuse_occupied
    from robokata.runtime.folder_lock import hold

    with hold(out):
        if resume:
            _refuse_other_steps(out, steps)
        else:
            clear_unbegun(out)
            refuse_occupied(out)
        yield


def _refuse_other_steps(out: Path, steps: int | None) -> None:
    from robokata.core.errors import NotADataset, TrainingRefused
    from robokata.learn.checkpoint import read_card

    try:
        begun = read_card(out).data.get("receipt", {}).get("settings", {}).get("steps")
    except NotADataset:
        return  # nothing was kept yet; who resumes says so
    if steps is not None and begun is not None and begun != steps:
        raise TrainingRefused(
            f"{out} was begun with --steps {begun}, not {steps}, and the learning rate has followed that from the "
            "first step on. Resume without --steps, or train into another folder."
        )


def trained_by_others(leaf: Any, job: ForeignJob, *, not_theirs: Mapping[str, Any], json: bool) -> None:
    """Train a policy whose code is not ours, in its own environment. `not_theirs`: words that such code cannot obey.

    Raises:
        TrainingRefused: one of these words is given.
    """
    import typer

    from robokata.cli.console import print_json_of
    from robokata.core.errors import TrainingRefused

    said = next((name for name, value in not_theirs.items() if value), None)
    if said is not None:
        raise TrainingRefused(f"--{said} is a word for our own training loop, and this policy is trained by another.")
    from robokata.training.data import opened

    for each in job.spec.sources:
        choice = opened(each).choice
        if choice is not None and choice.sentence is not None:
            told_on_stderr(f"{each.path}: {choice.sentence}")
    trained = leaf.train(job)
    if json:
        print_json_of([trained])
    else:
        typer.echo(f"{job.out}: trained. Try it: kata evaluate {job.out} --task TASK --out TRIALS")


def told_on_stderr(line: str) -> None:
    """Show a line of somebody else's training."""
    import typer

    typer.echo(line, err=True)
