"""The .jsonl files of LeRobot v2: an object per line, and a broken line costs that line only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData
from robokata.formats._lerobot.facts import bounded_bytes, not_utf8

MAX_LINE_BYTES = 64 * 2**20
"""Longest line of statistics that is read: 1,000 features of 1,000 numbers each stay below it."""
_NUMBER = re.compile(rb'"episode_index"\s*:\s*(\d{1,15})\b')


class BrokenLine(NamedTuple):
    """A line of a .jsonl file that cannot be read."""

    number: int
    """From 1, as editors count."""
    offset: int
    """Byte at which the line starts."""
    reason: str
    data: bytes


class Lines(NamedTuple):
    """The objects of a .jsonl file, and the lines that are none."""

    objects: list[dict[str, Any]]
    broken: list[BrokenLine]


def read_lines(path: Path) -> Lines:
    """A .jsonl file; a broken line costs that line only.

    Raises:
        MediaMissing: it does not exist.
        TooLarge: it is beyond any metadata.
    """
    lines = Lines([], [])
    offset = 0
    for number, data in enumerate(bounded_bytes(path).split(b"\n"), start=1):
        if data.strip():
            read = parse_line(data)
            if isinstance(read, dict):
                lines.objects.append(read)
            else:
                lines.broken.append(BrokenLine(number, offset, read, data))
        offset += len(data) + 1
    return lines


def lines_of_episodes(path: Path, info: Mapping[str, Any]) -> Lines:
    """The list of episodes; none where the dataset says that it has none: it was ended before the first was saved.

    Raises:
        MediaMissing: it does not exist, and there should be episodes.
    """
    return Lines([], []) if info.get("total_episodes") == 0 and not path.exists() else read_lines(path)


def parse_line(data: bytes) -> dict[str, Any] | str:
    """The object of one line, or why there is none."""
    try:
        read = json.loads(data)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg}"
    except UnicodeDecodeError as error:
        return not_utf8(error).removesuffix(".")
    except (RecursionError, ValueError) as error:
        return f"not JSON: {type(error).__name__}"
    return read if isinstance(read, dict) else f"not an object: {type(read).__name__}"


def line_of_episode(data: bytes) -> int | None:
    """Number of the episode that a line is about, without parsing it; None where it does not show."""
    match = _NUMBER.search(data)
    return int(match[1]) if match else None


class StatisticsLines:
    """`meta/episodes_stats.jsonl`, read line by line when asked. A class, because it keeps where the lines start.

    The file holds some kilobytes per episode: parsing it whole for one episode of 10,000 would take seconds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def places(self) -> Mapping[int, int]:
        """Byte at which each episode's line starts; empty where there is no file.

        Raises:
            DamagedData: the system cannot read the file.
        """
        places: dict[int, int] = {}
        if self.path.exists() and not self.path.is_file():  # Opening a pipe would wait for its other end.
            raise DamagedData(self.path, "is a folder, a pipe or a device.", next_move="Restore it from the original.")
        try:
            with self.path.open("rb") as file:
                start = 0
                while line := file.readline(MAX_LINE_BYTES):
                    number = line_of_episode(line)
                    if number is not None:
                        places.setdefault(number, start)
                    start += len(line)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DamagedData(self.path, f"cannot be read: {error.strerror}.") from None
        return places

    def of(self, number: int) -> Mapping[str, Any]:
        """The statistics of one episode as they are written; empty where the file has none.

        Raises:
            DamagedData: the episode's line is broken.
        """
        start = self.places.get(number)
        if start is None:
            return {}
        with self.path.open("rb") as file:
            file.seek(start)
            read = parse_line(file.readline(MAX_LINE_BYTES))
        if not isinstance(read, dict):
            raise DamagedData(
                self.path,
                f"the line of episode {number} is broken: {read}.",
                offset=start,
                next_move="Restore the line from the original.",
            )
        statistics = read.get("stats")
        return statistics if isinstance(statistics, dict) else {}


def tasks_of_lines(lines: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Texts by task_index, as meta/tasks.jsonl lists them."""
    return {line["task_index"]: str(line["task"]) for line in lines if {"task_index", "task"} <= line.keys()}


class Listed(NamedTuple):
    """What meta/episodes.jsonl says of one episode."""

    tasks: tuple[str, ...]
    length: int | None
    extra: Mapping[str, Any]


NOTHING_SAID = Listed((), None, {})


def lines_by_episode(lines: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """The first line about each episode."""
    said: dict[int, Mapping[str, Any]] = {}
    for line in lines:
        number = line.get("episode_index")
        if isinstance(number, int) and 0 <= number < 2**53:
            said.setdefault(number, line)
    return said


def listed_from(line: Mapping[str, Any]) -> Listed:
    """One line of meta/episodes.jsonl; what is not what it should be counts as not said."""
    tasks, length = line.get("tasks"), line.get("length")
    texts = tasks if isinstance(tasks, list) else [tasks]
    return Listed(
        tuple(dict.fromkeys(str(text) for text in texts if text is not None)),
        length if isinstance(length, int) and 0 <= length < 2**53 else None,
        {name: value for name, value in line.items() if name not in ("episode_index", "tasks", "length")},
    )


def tables_by_episode(found: set[Path], listed: Collection[int], file_of: Callable[[int], Path]) -> dict[int, Path]:
    """Tables by episode: where the template puts them, else by the number that ends their name."""
    named = {file: int(digits[1]) for file in found if (digits := re.search(r"(\d{1,15})$", file.stem))}
    # By the files first: a million lines may stand beside a copy of ten episodes.
    tables = {number: file for file, number in named.items() if number in listed and file_of(number) == file}
    if len(tables) < len(found):
        tables |= {number: file for number in listed if (file := file_of(number)) in found}
    for file in sorted(named.keys() - set(tables.values())):
        tables.setdefault(named[file], file)
    return tables


def refuse_broken_line(broken: Sequence[BrokenLine], number: int, path: Path) -> None:
    """Tell why an episode is not listed, where the line that is about it is broken.

    Raises:
        DamagedData: it is.
    """
    for line in broken:
        if line_of_episode(line.data) == number:
            raise DamagedData(
                path,
                f"line {line.number}, which lists episode {number}, is broken: {line.reason}.",
                offset=line.offset,
                next_move="Restore the line from the original.",
            )
