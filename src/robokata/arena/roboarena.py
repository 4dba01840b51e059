"""RoboArena's published tables: which of two policies a person preferred, and how far every rollout got."""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from robokata.core.errors import DamagedData, MediaMissing
from robokata.statistics.ranking import Outcome, Preference

_PREFERENCE = re.compile(r"^PREFERENCE=(A|B|TIE)\s*$", re.I | re.M)
_OUTCOME = {"A": Outcome.FIRST, "B": Outcome.SECOND, "TIE": Outcome.TIE}
_LARGEST_BYTES = 1 << 30
"""A table of a distributed evaluation holds some megabytes; a gzip bomb would hold more than a gigabyte."""


class Rollout(NamedTuple):
    """One episode of one policy in one session."""

    session: str
    policy: str
    letter: str | None
    """Which of the session's policies it was, `A`, `B`, ...; None where nobody wrote it down."""
    success: bool | None
    progress: float | None
    """Partial success in 0..1, as the evaluator judged it."""


class EvaluationSession(NamedTuple):
    """One scene at one site, on which policies A and B were judged."""

    id: str
    site: str
    """A hash: the tables name people and places, and a ranking needs neither."""
    is_valid: bool
    """True where the evaluator confirmed that the session ran as it should."""


@dataclass(frozen=True)
class Arena:
    """What a ranking needs of the tables, and nothing else of them."""

    sessions: tuple[EvaluationSession, ...]
    preferences: tuple[Preference, ...]
    """One per valid session with a preference, `session` being its id."""
    rollouts: tuple[Rollout, ...]
    """All rollouts, of sessions without a confirmation too."""
    unconfirmed: tuple[Preference, ...] = ()
    """Preferences of sessions that nobody confirmed."""

    def of_valid_sessions(self) -> tuple[Rollout, ...]:
        """Rollouts of confirmed sessions."""
        valid = {session.id for session in self.sessions if session.is_valid}
        return tuple(rollout for rollout in self.rollouts if rollout.session in valid)


def read_roboarena(folder: Path) -> Arena:
    """Read `sessions.csv.gz` and `episodes.csv.gz` (or the same uncompressed).

    Free text is searched for the preference and the letter of the rollout and then dropped.

    Raises:
        MediaMissing: a table is not there.
        DamagedData: a table lacks a column that is needed, or is no table.
    """
    sessions: list[EvaluationSession] = []
    preferences: list[Preference] = []
    unconfirmed: list[Preference] = []
    needed = ("id", "evaluation_location", "evaluation_notes", "policyA_name", "policyB_name")
    for row in _rows(folder, "sessions", needed):
        notes = row["evaluation_notes"]
        is_valid = "valid_session:" in notes.casefold()
        sessions.append(EvaluationSession(row["id"], _hashed(row["evaluation_location"]), is_valid))
        found = _PREFERENCE.search(notes)
        if found is not None:
            first, second = row["policyA_name"].strip(), row["policyB_name"].strip()
            preference = Preference(first, second, _OUTCOME[found[1].upper()], row["id"])
            (preferences if is_valid else unconfirmed).append(preference)
    needed = ("session_id", "policy_name", "binary_success", "partial_success", "feedback")
    rollouts = [_rollout(row) for row in _rows(folder, "episodes", needed)]
    return Arena(tuple(sessions), tuple(preferences), tuple(rollouts), tuple(unconfirmed))


def policies_of(preferences: Sequence[Preference]) -> tuple[str, ...]:
    """Names of the policies that were judged, sorted."""
    return tuple(sorted({name for p in preferences for name in (p.first, p.second)}))


def _rollout(row: dict[str, str]) -> Rollout:
    letter = row["feedback"].partition(";")[0].strip().upper()
    is_letter = len(letter) == 1 and "A" <= letter <= "Z"
    success = _number(row["binary_success"])
    return Rollout(
        row["session_id"],
        row["policy_name"].strip(),
        letter if is_letter else None,
        None if success is None else success >= 0.5,
        _number(row["partial_success"]),
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _hashed(place: str) -> str:
    return hashlib.sha256(" ".join(place.casefold().split()).encode()).hexdigest()[:8]


def _rows(folder: Path, table: str, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    path = folder / f"{table}.csv.gz"
    if not path.exists():
        path = folder / f"{table}.csv"
    if not path.exists():
        raise MediaMissing(folder, f"holds neither {table}.csv.gz nor {table}.csv.")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            raise DamagedData(path, "unpacks to more than 1 GiB, which no table of an evaluation does.")
        lines = csv.DictReader(data.decode("utf-8").splitlines(keepends=True))
        lacking = [name for name in needed if name not in (lines.fieldnames or ())]
        if lacking:
            raise DamagedData(path, f"has no column {', '.join(lacking)}; it has {', '.join(lines.fieldnames or ())}.")
        for row in lines:
            yield {name: row[name] or "" for name in needed}
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedData(os.fspath(path), f"cannot be read as a table: {error}.") from error
