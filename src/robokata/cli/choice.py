"""What the options of `kata check` mean: which demands, which episodes, where the reports go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robokata.core.source import Source
    from robokata.core.suite import Suite


def suite_from(path: Path | None, fail_on: str | None) -> Suite:
    """The suite of a file, or the default one; `--fail-on` wins over the file.

    Raises:
        SuiteRefused: the file cannot be obeyed, or the level is none.
    """
    from robokata.core.errors import SuiteRefused
    from robokata.core.finding import Level
    from robokata.core.suite import Suite, read_suite

    suite = read_suite(path) if path is not None else Suite()
    if fail_on is None:
        return suite
    if fail_on not in list(Level):
        raise SuiteRefused(f"--fail-on is {fail_on!r}. It is one of {', '.join(Level)}.")
    return replace(suite, fail_on=Level(fail_on))


def keys_from(source: Source, episodes: Sequence[str] | None, where: str | None) -> list[str] | None:
    """Episodes that `--episode` and `--where` leave, in the dataset's order; None where both are absent.

    Raises:
        UnknownName: an episode that the dataset does not have.
        QueryRefused: the condition is none.
    """
    from robokata.core.errors import UnknownName
    from robokata.survey import rows_where

    if not episodes and where is None:
        return None
    known = source.keys()
    unknown = next((episode for episode in episodes or () if episode not in known), None)
    if unknown is not None:
        raise UnknownName("episode", unknown, known)
    chosen = set(episodes or known)
    if where is not None:
        chosen &= {row.id for row in rows_where(source.facts().rows, where)}
    return [key for key in known if key in chosen]


def refuse_unwritable(target: Path | None) -> None:
    """Say before the work, not after an hour of it, that a report has no place.

    Raises:
        WriteRefused: no such folder, the target is a folder, or writing there is not allowed.
    """
    from robokata.core.errors import WriteRefused

    if target is None:
        return
    if not target.parent.is_dir():
        raise WriteRefused(f"{target}: the folder {target.parent} does not exist. Make it first.")
    if target.is_dir():
        raise WriteRefused(f"{target}: is a folder. Name a file in it: {target / 'report'}{target.suffix or '.html'}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise WriteRefused(f"{target}: may not be written. Choose another place.")
