"""Numbered jobs on all cores, their episodes in one folder, in order: what collecting, generating and evaluating share.

A job is a pure function of its number. So the folder does not depend on the number of workers, and a run that was
killed goes on where it stopped: what is finished lies there as a file of its own, and a journal says what was tried.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, WriteRefused
from robokata.core.leaf_kinds import writable_format
from robokata.core.version import __version__
from robokata.runtime.atomic import replace_json, replace_text
from robokata.runtime.file_name import lone_file_name
from robokata.runtime.folder_lock import hold
from robokata.runtime.notebook import html_table
from robokata.runtime.pool import WorkerKilled, WorkerPool, answer_of

JOURNAL = "attempts.jsonl"
"""In the folder, one line per finished job; readers of datasets do not look at it."""
_AHEAD = 3
"""Jobs per worker that are begun before the first one answers: all stay busy, few are thrown away at the end."""


@dataclass(frozen=True)
class Made:
    """What one job gave."""

    row: Mapping[str, Any]
    """What the journal keeps of it; plain values."""
    episode: Episode | None = None
    """None: nothing to keep. Its id names its file."""
    counts: bool = True
    """False for what is kept beside what was asked for: failures, as labelled negatives."""


class Job(Protocol):
    """A numbered job; it is pickled to the workers."""

    def __call__(self, number: int, /) -> Made: ...


@dataclass(frozen=True)
class Tried:
    """One line of the journal."""

    number: int
    row: Mapping[str, Any]
    file: str | None
    """Name of the episode's file in the folder, None where nothing was kept."""
    counts: bool = True
    """True where the file is one of those asked for."""

    @property
    def is_one(self) -> bool:
        """True where this is one of the episodes asked for."""
        return self.file is not None and self.counts


def produce(
    job: Job,
    out: Path,
    *,
    wanted: int,
    at_most: int,
    same_as: Mapping[str, Any],
    again: Callable[[Mapping[str, Any]], bool] = lambda row: False,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> list[Tried]:
    """Do jobs 0, 1, 2, ... until `wanted` episodes are kept or `at_most` were tried; all lines of the journal.

    `same_as` describes the run: a folder that was begun with another description is refused, one that was begun with
    this one is gone on with, and jobs whose row is to be done `again` are. As soon as more of them are to be done
    again than `at_most` leaves room for, the run ends. `workers` None: one per core.

    Raises:
        WriteRefused: the folder holds something else, cannot be written, or the disk is full.
        DamagedData: the folder's journal cannot be read.
    """
    refuse_used(out)
    with hold(out):
        return _produced(job, _Journal(out, same_as, again), wanted, at_most, again, workers, advance)


def _produced(
    job: Job,
    journal: _Journal,
    wanted: int,
    at_most: int,
    again: Callable[[Mapping[str, Any]], bool],
    workers: int | None,
    advance: Callable[[int], None],
) -> list[Tried]:
    kept = sum(tried.is_one for tried in journal.lines)
    advance(kept)
    if kept >= wanted or len(journal.lines) >= at_most:
        journal.close()
        return journal.lines[: _cut(journal.lines, wanted)]
    count = workers or len(os.sched_getaffinity(0))
    done, lost = {tried.number for tried in journal.lines}, 0
    numbers = [number for number in range(at_most) if number not in done]
    made = _inline(job, numbers, journal.pending) if count == 1 else _pooled(job, numbers, journal.pending, count)
    try:
        for tried in made:
            journal.add(tried)
            kept += tried.is_one
            advance(int(tried.is_one))
            lost += again(tried.row)
            # Where sources run out, fewer may be tried than are wanted: then none may be lost, and nothing ends early.
            if kept == wanted or lost > max(0, at_most - wanted):
                break
    finally:
        made.close()
        journal.close()
    return sorted(journal.lines, key=lambda tried: tried.number)


def workers_of(wish: int | None) -> int:
    """The number of workers asked for, or one per core."""
    return wish or len(os.sched_getaffinity(0))


def _cut(lines: list[Tried], wanted: int) -> int:
    kept = 0
    for index, tried in enumerate(lines):
        kept += tried.is_one
        if kept == wanted:
            return index + 1
    return len(lines)


class _Journal:
    """The folder's journal. A class, because a file is open and lines are added."""

    def __init__(self, out: Path, same_as: Mapping[str, Any], again: Callable[[Mapping[str, Any]], bool]) -> None:
        self.out, self.pending, self._again = out, out / ".pending", again
        self.lines: list[Tried] = []
        head = json.dumps({"robokata": "attempts", **same_as}, sort_keys=True, default=str)
        path = out / JOURNAL
        try:
            out.mkdir(parents=True, exist_ok=True)
            refuse_used(out)
            whole = self._resumed(path, head) if path.exists() and path.stat().st_size else [head]
            replace_text(path, "\n".join(whole) + "\n")
            # A writer that was killed leaves files there, and folders too.
            shutil.rmtree(self.pending, ignore_errors=True)
            self.pending.mkdir(exist_ok=True)
            self._file = path.open("a", encoding="utf-8")  # journal: lines are added as jobs finish
        except OSError as error:
            raise WriteRefused(f"{out}: {error.strerror}. Choose another target.") from None

    def add(self, tried: Tried) -> None:
        """Write a finished job down; its file moves into the folder first, so that a line never lacks its file."""
        if tried.file is not None:
            os.replace(self.pending / tried.file, self.out / tried.file)
        line = {"number": tried.number, "file": tried.file, "counts": tried.counts, "row": dict(tried.row)}
        self._file.write(json.dumps(line, default=float) + "\n")
        self._file.flush()
        self.lines.append(tried)

    def close(self) -> None:
        """End the journal; what nobody asked for any more goes."""
        self._file.close()
        shutil.rmtree(self.pending, ignore_errors=True)

    def _resumed(self, path: Path, head: str) -> list[str]:
        """The lines of an earlier run that are kept; those to be done again are left out, and their files removed."""
        try:
            first, *rest = path.read_text(encoding="utf-8").splitlines() or [""]
        except UnicodeDecodeError as error:
            raise _damaged(path, f"it is no text ({error}).") from None
        if first != head:
            if not _is_head(first):
                raise _damaged(path, "its first line does not say how the run was begun.")
            raise WriteRefused(
                f"{self.out} was begun with other settings: {_unlike(first, head)}. Choose another target, or repeat "
                f"them to go on."
            )
        whole = [first]
        for at, text in enumerate(rest, start=2):
            tried = _tried(text)
            if tried is None:
                if at == len(rest) + 1:
                    break  # the line that was being written when the run was killed
                raise _damaged(path, f"line {at} cannot be read ({text[:60]!r}).")
            if self._again(tried.row):
                if tried.file is not None:
                    (self.out / tried.file).unlink(missing_ok=True)
                continue
            self.lines.append(tried)
            whole.append(text)
        return whole


def refuse_used(out: Path) -> None:
    """Refuse a folder that holds something else than the run that it was begun with.

    Raises:
        WriteRefused: it is not empty and has no journal, or is no folder.
    """
    if out.exists() and not (out / JOURNAL).exists() and (not out.is_dir() or any(out.iterdir())):
        raise WriteRefused(f"{out} exists and is not empty. Choose another target; nothing is ever overwritten.")


def _damaged(path: Path, reason: str) -> DamagedData:
    return DamagedData(
        path,
        f"the journal of this folder is damaged: {reason}",
        next_move="Restore it from a copy, or choose another target: without it nothing here can be gone on with.",
    )


def _is_head(text: str) -> bool:
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(head, dict) and head.get("robokata") == "attempts"


def _tried(text: str) -> Tried | None:
    """A line of the journal, None where it is none."""
    try:
        line = json.loads(text)
        tried = Tried(line["number"], line["row"], line["file"], line["counts"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_one = isinstance(tried.number, int) and isinstance(tried.row, dict) and isinstance(tried.file, (str, type(None)))
    return tried if is_one else None


def _unlike(begun: str, asked: str) -> str:
    """Where two heads differ, as `seed: 1, now 2`."""
    one, two = (dict(_leaves(json.loads(text))) for text in (begun, asked))
    names = [name for name in dict.fromkeys((*one, *two)) if one.get(name) != two.get(name)]
    shown = [f"{name}: {one.get(name, 'none')}, now {two.get(name, 'none')}" for name in names]
    return "; ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def _leaves(value: Any, name: str = "") -> Generator[tuple[str, Any], None, None]:
    if not isinstance(value, dict) or (name and not value):
        yield name, value
        return
    for key, item in value.items():
        yield from _leaves(item, f"{name}.{key}" if name else str(key))


def _do(job: Job, number: int, pending: str) -> Tried:
    made = job(number)
    if made.episode is None:
        return Tried(number, made.row, None)
    name = f"{lone_file_name(made.episode.id)}.mcap"
    path = Path(pending) / name
    path.unlink(missing_ok=True)
    writable_format("mcap").write(path, [made.episode])
    return Tried(number, made.row, name, made.counts)


def _inline(job: Job, numbers: Sequence[int], pending: Path) -> Generator[Tried, None, None]:
    for number in numbers:
        yield _do(job, number, str(pending))


def _pooled(job: Job, numbers: Sequence[int], pending: Path, workers: int) -> Generator[Tried, None, None]:
    running: deque[tuple[int, Future[Tried]]] = deque()
    left = iter(numbers)
    # Its end is before the folder is tidied: what a worker is writing must not appear afterwards.
    with WorkerPool(workers) as pool:
        while True:
            while len(running) < _AHEAD * workers and (number := next(left, None)) is not None:
                running.append((number, pool.submit(_do, job, number, str(pending))))
            if not running:
                return
            number, future = running.popleft()
            try:
                yield answer_of(future)
            except WorkerKilled:
                raise WriteRefused(
                    f"job {number}: a worker process was killed (out of memory?). What is finished is kept; run the "
                    f"same command again to go on, with fewer --workers."
                ) from None


@dataclass(frozen=True)
class Production:
    """What a run made."""

    out: str
    tried: int
    kept: int
    succeeded: int
    duration_s: float
    """Recorded time of the kept episodes."""
    recipe: Mapping[str, Any]
    receipt: str
    """Path of the receipt."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def _repr_html_(self) -> str:
        facts = {"episodes": self.kept, "tries": self.tried, "recorded, s": f"{self.duration_s:.1f}"}
        return html_table(self.out, [*facts.items(), ("receipt", self.receipt)])


def with_receipt(
    out: Path, lines: list[Tried], recipe: Mapping[str, Any], *, versions: Mapping[str, str]
) -> Production:
    """Write the receipt of a finished run beside its folder: enough to make every file again, byte for byte.

    Raises:
        WriteRefused: it cannot be written.
    """
    kept = [tried for tried in lines if tried.file is not None]
    ones = [tried for tried in kept if tried.counts]
    path = out.with_name(f"{out.name}.receipt.json")
    text = json.dumps(recipe, sort_keys=True, default=str)
    receipt = {
        "recipe": recipe,
        "recipe_hash": hashlib.sha256(text.encode()).hexdigest(),
        "versions": {"robokata": __version__, "python": platform.python_version(), **versions},
        "tried": len(lines),
        "files": {tried.file: _file_hash(out / str(tried.file)) for tried in kept},
    }
    replace_json(path, receipt, consequence="The episodes are complete; only the receipt is missing.")
    return Production(
        out=str(out),
        tried=len(lines),
        kept=len(ones),
        succeeded=sum(bool(tried.row.get("success")) for tried in lines),
        duration_s=float(sum(tried.row.get("duration_s", 0.0) for tried in kept)),
        recipe=recipe,
        receipt=str(path),
    )


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
