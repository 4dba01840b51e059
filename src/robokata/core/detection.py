"""Datasets on disk: detect their format, find them below a folder, open them."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from robokata.core.contracts import ReadableFormatLeaf
from robokata.core.episode import Episode, EpisodeRef
from robokata.core.errors import AmbiguousFormat, NotADataset, Unsupported
from robokata.core.leaf_kinds import readable_format, readable_formats
from robokata.core.pointers import note_root, pointers_below
from robokata.core.shelf import shelf
from robokata.core.source import Source

FILE_SCORE = 0.5
"""Confidence that a file below the path needs: its name or its first bytes, not merely that it could be one."""
MISSES_PER_SUFFIX = 3
"""Files of one ending that are opened in vain before the others of that ending are left alone: one foreign file may
lie before the datasets, a folder of 10,000 pictures may not cost 10,000 openings."""
MISSES_PER_FOLDER = 32
"""Files of one folder that are opened in vain before the rest is left alone: endings may be numbers."""


class Found(NamedTuple):
    """A dataset that was recognised."""

    path: Path
    format: str


def detect(path: str | os.PathLike[str]) -> str:
    """Name of the format that lies at `path` itself.

    Raises:
        NotADataset: no format recognises the path; the message says what was looked for.
        AmbiguousFormat: two formats claim it; `--format` decides.
    """
    where = Path(path)
    _must_exist(where)
    claims = _claims(where)
    pointers = None if claims else pointers_below(os.path.abspath(where))
    if pointers is not None:
        raise NotADataset(f"{where}: {pointers.reason} {pointers.next_move}")
    if not claims:
        looked = "\n".join(f"  {name}: {shelf('formats')[name].LOOKS_FOR}" for name in readable_formats())
        raise NotADataset(
            f"{where}: holds no dataset that Robokata recognises. Looked for:\n{looked}\n"
            "If it is one of these, name it with --format to learn what is missing."
        )
    if len(claims) > 1:
        raise AmbiguousFormat(f"{where}: could be {' or '.join(claims)}. Say which with --format.")
    return claims[0]


def find_datasets(path: str | os.PathLike[str], *, depth: int = 3) -> list[Found]:
    """Datasets at `path`, or else below it, in sorted order: folders, and single files such as `dataset.zarr.zip`.

    A folder that is a dataset is not searched further, and links that lead back are not followed. Three levels
    below hold every published layout seen (`name/version`, `dataset/`, `split/robot/date`); more would walk whole
    disks.

    Raises:
        NotADataset: neither the path nor anything below it is one; folders that may not be listed are named.
        AmbiguousFormat: two formats claim one of them.
    """
    where = Path(path)
    try:
        return [Found(where, detect(where))]
    except NotADataset as nothing_here:
        if not where.is_dir():
            raise
        search = _Search()
        found = list(search.below(where, depth))
        if not found:
            closed = "".join(f"\nNot searched: {place}" for place in search.closed)
            raise NotADataset(f"{nothing_here}{closed}") from None
        return found


def open_source(path: str | os.PathLike[str], *, format: str | None = None) -> Source:
    """Open the dataset at `path`, or the only one below it (`name/1.0.0`): every verb takes the same paths.

    Raises:
        NotADataset: no format recognises it, or several datasets lie below it, or there is nothing of the `format`
            that is insisted on.
        AmbiguousFormat: two formats claim it.
        UnknownName: `format` is not one of ours.
        Unsupported: `format` is one that is only written.
        DamagedData: its indexes cannot be read.
    """
    where = Path(path)
    if format is None:
        found = _only_one(where)
        return open_source(found.path, format=found.format)
    leaf = shelf("formats")[format]
    _must_exist(where)
    if not isinstance(leaf, ReadableFormatLeaf):
        raise Unsupported(f"{where}: {format} is written for other programs, and Robokata does not read it back.")
    note_root(where)
    source = leaf.read(where)
    if not source.keys() and not leaf.sniff(where):
        raise NotADataset(f"{where}: holds nothing of the format {format}. Looked for {leaf.LOOKS_FOR}.")
    return source


def as_source(dataset: str | os.PathLike[str] | Source, *, format: str | None = None) -> Source:
    """An open source as it is, or the dataset at a path, opened: what every verb does with its first argument.

    Raises:
        RobokataError: the path cannot be opened; see `open_source`.
    """
    if isinstance(dataset, (str, os.PathLike)):
        return open_source(dataset, format=format)
    # A whole `robokata.Dataset` is its source, whose kind some verbs know more about.
    whole: Source | None = getattr(dataset, "whole", None)
    return dataset if whole is None else whole


def _only_one(where: Path) -> Found:
    found = find_datasets(where)
    if len(found) > 1:
        names = ", ".join([*(str(each.path) for each in found[:5]), *(["..."] if len(found) > 5 else [])])
        raise NotADataset(f"{where}: holds {len(found)} datasets ({names}). Name one.")
    return found[0]


@functools.lru_cache(maxsize=8)
def reopen(path: str, format_name: str) -> Source:
    """The dataset of a reference, opened once per process: for workers, which open many episodes of one dataset.

    Raises:
        NotADataset: nothing lies there any more.
    """
    _must_exist(Path(path))
    note_root(path)
    return readable_format(format_name).read(Path(path))


def open_episode(ref: EpisodeRef) -> Episode:
    """Open the episode that a reference names.

    Raises:
        NotADataset: nothing lies at the path any more.
        UnknownName: the dataset has no episode of this key.
    """
    return reopen(ref.path, ref.format).episode(ref.key)


def _claims(path: Path, *, at_least_score: float = 0.0) -> list[str]:
    """Formats that recognise `path`, of highest confidence only; none below `at_least_score`."""
    scores = {name: float(readable_format(name).sniff(path)) for name in readable_formats()}
    best = max(scores.values(), default=0.0)
    return [name for name, score in scores.items() if score == best and score > 0 and score >= at_least_score]


class _Search:
    """One walk below a folder. A class, because it remembers where it has been and where it could not go."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        """Folders that the system does not let us list, each with its reason."""
        self._seen: set[str] = set()

    def below(self, folder: Path, depth: int) -> Iterator[Found]:
        self._seen.add(os.path.realpath(folder))
        try:
            children = sorted(folder.iterdir())
        except OSError as error:
            self.closed.append(f"{folder}: {error.strerror}.")
            return
        misses: Counter[str] = Counter()
        for child in children:
            if child.name.startswith("."):
                continue
            if os.path.isdir(child):
                yield from self._folder(child, depth)
            elif misses[child.suffix] < MISSES_PER_SUFFIX and misses.total() < MISSES_PER_FOLDER:
                found = _one(child, at_least_score=FILE_SCORE)
                misses[child.suffix] += found is None
                yield from [found] if found else []

    def _folder(self, folder: Path, depth: int) -> Iterator[Found]:
        if os.path.realpath(folder) in self._seen:
            return
        found = _one(folder)
        if found:
            self._seen.add(os.path.realpath(folder))
            yield found
        elif depth > 1:
            yield from self.below(folder, depth - 1)


def _one(path: Path, *, at_least_score: float = 0.0) -> Found | None:
    claims = _claims(path, at_least_score=at_least_score)
    if len(claims) > 1:
        raise AmbiguousFormat(f"{path}: could be {' or '.join(claims)}. Say which with --format.")
    return Found(path, claims[0]) if claims else None


def _must_exist(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # A shell or a Path makes one slash of the two behind a scheme.
        address = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", str(path))
        if address is not None:
            raise NotADataset(
                f"{address[1]}://{address[2]}: is an address, and datasets are read from this machine's disks. "
                f"Download it first, or mount it, and name the folder."
            ) from None
        raise NotADataset(f"{path}: no such file or directory. Check the path.") from None
    except OSError as error:
        raise NotADataset(f"{path}: cannot be opened: {error.strerror}.") from None
