"""Git LFS pointers: the three lines that a clone without git-lfs holds in the place of every large file."""

from __future__ import annotations

import functools
import os
import re
import stat
from typing import NamedTuple

_OPENING = b"version https://git-lfs.github.com/spec/"
_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
_MAX_POINTER_BYTES = 1024
"""Git LFS specification, "The Pointer": a pointer file is smaller than 1024 bytes."""
_MOST_FILES = 200_000
"""Files that are looked at for the count: a second; a store of a million chunks has said enough by then."""

_roots: list[str] = []
"""Datasets that this process has opened, newest last: whoever meets one pointer says how many the dataset has."""
_MOST_ROOTS = 16


class Pointers(NamedTuple):
    """How many files below a folder (or the one file) are pointers."""

    root: str
    files: int
    bytes: int
    """Of the data that the pointers stand for."""

    @property
    def reason(self) -> str:
        """What was found, in words."""
        files = f"{self.files} file{'s' if self.files != 1 else ''}"
        return (
            f"these are Git LFS pointers, {files} ({self.bytes / 1e6:.3g} MB): a clone without git-lfs holds the names "
            f"of its large files, not their content."
        )

    @property
    def next_move(self) -> str:
        """What brings the data."""
        return "Run `git lfs pull` in the clone."


def note_root(path: str | os.PathLike[str]) -> None:
    """Remember that a dataset lies here."""
    root = os.path.abspath(path)
    if root in _roots:
        _roots.remove(root)
    _roots.append(root)
    del _roots[:-_MOST_ROOTS]


def pointers_behind(file: str | os.PathLike[str]) -> Pointers | None:
    """Those of the dataset that a file belongs to, where the file is a pointer.

    `file` may be followed by ": " and a part of it, as messages name it.
    """
    path = os.fspath(file)
    names = (path, path.partition(": ")[0])
    found = next((os.path.abspath(name) for name in names if _size_behind(name) is not None), None)
    if found is None:
        return None
    root = next((r for r in reversed(_roots) if found == r or found.startswith(f"{r}{os.sep}")), found)
    return pointers_below(root)


@functools.lru_cache(maxsize=_MOST_ROOTS)
def pointers_below(root: str) -> Pointers | None:
    """All pointers in a folder, or the one file; None where there is none. Counted once per process."""
    sizes = [size for path in _files_below(root) if (size := _size_behind(path)) is not None]
    return Pointers(root, len(sizes), sum(sizes)) if sizes else None


def _files_below(root: str) -> list[str]:
    if not os.path.isdir(root):
        return [root]
    files: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        files += [os.path.join(folder, name) for name in names]
        if len(files) >= _MOST_FILES:
            break
    return files[:_MOST_FILES]


def _size_behind(path: str) -> int | None:
    """Bytes of the file that a pointer stands for; None where the path is no pointer."""
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size >= _MAX_POINTER_BYTES:  # a pipe would wait for a writer
            return None
        with open(path, "rb") as file:
            text = file.read(_MAX_POINTER_BYTES)
    except (OSError, ValueError):
        return None
    size = _SIZE.search(text)
    return int(size[1]) if text.startswith(_OPENING) and size else None
