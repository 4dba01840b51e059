"""What `kata expand` was asked for, and who does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from robokata.core.errors import UnknownName
from robokata.core.source import Source
from robokata.core.world import Width
from robokata.expansion import by_steps, demonstrations, factors, world_model
from robokata.runtime.schema import read_toml
from robokata.sim.cameras import Filming
from robokata.sim.transfer_options import Tellings, tellings_from
from robokata.sim.variation import variation_from


class Bar(Protocol):
    """Told the number of episodes, then each time some are done."""

    def started(self, episodes: int) -> None: ...
    def advance(self, episodes: int) -> None: ...


@dataclass(frozen=True)
class Request:
    """The options of one expansion."""

    by: str
    out: Path
    episodes: int | None = None
    """None: one per source."""
    seed: int = 0
    url: str | None = None
    width: str | None = None
    spec: Path | None = None
    factors: tuple[str, ...] = ()
    val_share: float = 0.0
    clean_actions: bool = False
    size_px: tuple[int, int] | None = (128, 128)
    keep_failures: bool = False
    workers: int | None = None

    @property
    def filming(self) -> Filming | None:
        """Which pictures the new episodes get."""
        return Filming(*self.size_px) if self.size_px else None


def fulfil(source: Source, request: Request, *, keys: Sequence[str] | None, bar: Bar) -> Any:
    """Make what was asked for, and report.

    Raises:
        UnknownName: there is no such way to expand.
        RecipeRefused: the options contradict each other or the TOML file cannot be obeyed.
    """
    if request.by not in WAYS:
        raise UnknownName("way to expand", request.by, WAYS)
    return WAYS[request.by](source, request, list(source.keys() if keys is None else keys), bar)


def _by_demonstrations(source: Source, request: Request, keys: list[str], bar: Bar) -> Any:
    options: dict[str, Any] = {
        "seed": request.seed,
        "filming": request.filming,
        "keep_failures": request.keep_failures,
        "clean_actions": request.clean_actions,
        "val_share": request.val_share,
        "tellings": _tellings(request.spec),
    }
    if request.width is not None:
        options["width"] = _width(request.width)
    job = demonstrations.job_for(source, keys=keys, **options)
    wanted = request.episodes or len(keys)
    bar.started(wanted)
    return demonstrations.expand_by_demonstrations(
        job, request.out, episodes=wanted, workers=request.workers, advance=bar.advance
    )


def _by_factors(source: Source, request: Request, keys: list[str], bar: Bar) -> Any:
    variation = variation_from(request.factors, seed=request.seed)
    wanted = request.episodes or len(keys)
    bar.started(wanted)
    return factors.expand_by_factors(
        source,
        request.out,
        variation,
        episodes=wanted,
        keys=keys,
        filming=request.filming,
        workers=request.workers,
        advance=bar.advance,
    )


def _by_step(source: Source, request: Request, keys: list[str], bar: Bar) -> Any:
    job = by_steps.job_for(source, request.by, keys=keys, words=request.factors, seed=request.seed)
    wanted = request.episodes or len(keys)
    bar.started(wanted)
    return by_steps.expand_by_step(job, request.out, episodes=wanted, workers=request.workers, advance=bar.advance)


def _by_world_model(source: Source, request: Request, keys: list[str], bar: Bar) -> Any:
    job = world_model.job_for(source, request.url, keys=keys, words=request.factors, seed=request.seed)
    wanted = request.episodes or len(keys)
    bar.started(wanted)
    return world_model.expand_by_world_model(
        job, request.out, episodes=wanted, workers=request.workers, advance=bar.advance
    )


def _width(word: str) -> Width:
    try:
        return Width(word)
    except ValueError:
        raise UnknownName("width", word, list(Width)) from None


def _tellings(spec: Path | None) -> Tellings:
    return Tellings() if spec is None else tellings_from(read_toml(spec), where=str(spec))


WAYS: dict[str, Callable[[Source, Request, list[str], Bar], Any]] = {
    "demonstrations": _by_demonstrations,
    "factors": _by_factors,
    **dict.fromkeys(by_steps.WAYS, _by_step),
    "world-model": _by_world_model,
}
