"""What the words of `kata train` mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robokata.learn.training_spec import TrainingSpec


def spec_of(recipe: Path, where: str | None, options: Sequence[str]) -> TrainingSpec:
    """The training spec of a path, with `--where` for every source and `--option` for the policy.

    Raises:
        TrainingRefused: an option is not NAME=VALUE, or the file cannot be obeyed.
    """
    from robokata.core.errors import TrainingRefused
    from robokata.learn.training_spec import spec_at

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
    return replace(spec, sources=sources, options=given)


def trained_by_others(leaf: Any, spec: TrainingSpec, out: Path, *, seed: int, steps: int | None, device: str) -> None:
    """Train a policy whose code is not ours, in its own environment."""
    import typer

    from robokata.learn.trainable import ForeignJob

    job = ForeignJob(spec, out, seed=seed, steps=steps, device=device, told=lambda line: typer.echo(line, err=True))
    leaf.train(job)
    typer.echo(f"{out}: trained. Try it: kata serve {out}")
