"""Runs checks: on one episode, then across episodes. `kata check` and the step `drop_found` both run them here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robokata.core.contracts import DatasetCheckLeaf, Gathered, unmet_need
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, RobokataError, Unsupported
from robokata.core.finding import Abstention, Finding, Level, Verdict, by
from robokata.core.shelf import shelf
from robokata.core.source import Facts
from robokata.core.suite import Suite


class Examined(NamedTuple):
    """What all checks say about one episode: verdicts now, rows for later."""

    verdicts: list[Verdict]
    rows: dict[str, Any]
    has_values: bool
    """True where a stream holds what checks look into: not texts, nor messages that are not taken apart."""


def examine(episode: Episode, *, suite: Suite) -> Examined:
    """All checks on one episode: what runs in each worker."""
    verdicts: list[Verdict] = []
    rows: dict[str, Any] = {}
    for name in suite.checks:
        leaf = shelf("checks")[name]
        unmet = unmet_need(episode, leaf.NEEDS)
        if unmet is not None:
            verdicts.append(Abstention(unmet.reason, episode.id, check=name))
            continue
        try:
            if isinstance(leaf, DatasetCheckLeaf):
                row = leaf.gather(episode, **suite.arguments(name, "gather"))
                if isinstance(row, Abstention):
                    verdicts += by(name, [row])
                elif row is not None:
                    rows[name] = row
            else:
                verdicts += by(name, leaf.check(episode, **suite.arguments(name, "check")))
        except (DamagedData, Unsupported) as damage:
            # Said once, as a finding, by unreadable_data; the other checks only say that they could not look.
            verdicts.append(Abstention(f"cannot be read: {damage}", episode.id, check=name))
        except Exception as failure:  # noqa: BLE001 - the boundary: a failing check costs its own verdict, not the run
            verdicts.append(_failed(name, failure, episode.id))
    return Examined(verdicts, rows, _has_values(episode))


def judge_all(rows: Mapping[str, Sequence[Gathered]], suite: Suite, facts: Facts) -> Iterator[Verdict]:
    """The checks across episodes, on the rows that they gathered: check -> rows, in the dataset's order."""
    said: set[str] = set()
    for name in suite.checks:
        leaf = shelf("checks")[name]
        if not isinstance(leaf, DatasetCheckLeaf):
            continue
        try:
            yield from list(by(name, leaf.judge(rows.get(name, ()), facts, **suite.arguments(name, "judge"))))
        except (DamagedData, Unsupported) as damage:
            # A file of the dataset, not of one episode: no other check would name it.
            if str(damage) not in said:
                said.add(str(damage))
                yield unreadable(None, damage)
            yield Abstention(f"cannot be read: {damage}", check=name)
        except Exception as failure:  # noqa: BLE001 - the boundary: a failing check costs its own verdict, not the run
            yield _failed(name, failure, None)


def unreadable(key: str | None, error: RobokataError | None) -> Finding:
    """The finding for an episode, or a file of the dataset (key None), that cannot be read."""
    return Finding(
        check="unreadable_data",
        level=Level.ERROR,
        message=str(error),
        episode=key,
        repair="restore the file from the original" + (", or drop the episode" if key is not None else ""),
    )


_FAILED = "the check itself failed"


def is_failure(abstention: Abstention) -> bool:
    """True where a check abstains because its own code raised."""
    return abstention.reason.startswith(_FAILED)


def _failed(check: str, failure: Exception, episode: str | None) -> Abstention:
    return Abstention(f"{_FAILED}: {type(failure).__name__}: {failure}. Please report this.", episode, check=check)


def _has_values(episode: Episode) -> bool:
    try:
        return any(len(stream) and (stream.is_numeric or stream.is_picture) for stream in episode.streams.values())
    except (DamagedData, Unsupported):
        # What cannot be read is unreadable_data's finding.
        return True
