"""`rk.convert`: a dataset in another format, read back and compared before it appears."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robokata.conversion import convert as conversion
from robokata.conversion.convert import Receipt
from robokata.conversion.readback import depth_named
from robokata.core.declared_rate import open_with_rates
from robokata.core.layout import LossReport
from robokata.core.source import Source
from robokata.runtime.episode_filter import choose_episodes
from robokata.runtime.progress import SILENT, Progress


def plan_conversion(
    dataset: str | os.PathLike[str] | Source,
    *,
    to: str,
    episodes: Sequence[str] | None = None,
    where: str | None = None,
    split: str | None = None,
    without: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    rate_hz: Sequence[str | float] = (),
    format: str | None = None,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> LossReport:
    """What a conversion would lose, stream by stream; nothing is written. Arguments: see `convert`.

    Raises:
        UnknownName: the format cannot be written, or has no such option.
        DamagedData: an episode cannot be read.
    """
    source = open_with_rates(dataset, format=format, rate_hz=rate_hz)
    keys = _keys(source, episodes, where, split)
    on_progress.started(len(keys))
    return conversion.plan_conversion(
        source, to, keys=keys, options=options, without=without, workers=workers, advance=on_progress.advance
    )


def convert(
    dataset: str | os.PathLike[str] | Source,
    out: str | os.PathLike[str],
    *,
    to: str,
    episodes: Sequence[str] | None = None,
    where: str | None = None,
    split: str | None = None,
    without: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    accept_loss: bool = False,
    verify: str = "quick",
    rate_hz: Sequence[str | float] = (),
    format: str | None = None,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> Receipt:
    """Write a dataset in the format `to`, read it back and compare it; only then the target appears.

    `without` leaves streams out, `options` are the writer's own, `verify="full"` decodes every picture. A conversion
    that would lose something is refused unless `accept_loss`; `plan_conversion` says before what it would be.

    Raises:
        WriteRefused: the target is occupied, something would be lost, or what was read back differs.
        UnknownName: the format cannot be written, or has no such option; an episode or split does not exist.
        DamagedData: an episode cannot be read.
    """
    source, place = open_with_rates(dataset, format=format, rate_hz=rate_hz), Path(out)
    conversion.refuse_target(source, place)
    keys = _keys(source, episodes, where, split)
    on_progress.started(2 * len(keys))
    return conversion.convert(
        source,
        place,
        to,
        keys=keys,
        options=options,
        without=without,
        accept_loss=accept_loss,
        verify=depth_named(verify),
        workers=workers,
        advance=on_progress.advance,
        on_read_back=on_progress.advance,
    )


def _keys(source: Source, episodes: Sequence[str] | None, where: str | None, split: str | None) -> list[str]:
    if not episodes and where is None and split is None:
        return list(source.keys())
    return list(choose_episodes(source, episodes=episodes, where=where, split=split).keys)
