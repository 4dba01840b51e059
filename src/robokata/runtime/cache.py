"""Indexes that are built once and kept outside the dataset."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import WriteRefused
from robokata.runtime.atomic import replacing
from robokata.runtime.disk import remove_all_leftovers

Arrays = dict[str, NDArray[Any]]
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise on damaged bytes: a zip of version 19.5, an encrypted one, one of a petabyte."""


def cache_dir() -> Path:
    """Folder for derived indexes: `$ROBOKATA_CACHE`, else `$XDG_CACHE_HOME/robokata`, else `~/.cache/robokata`."""
    chosen = os.environ.get("ROBOKATA_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robokata"


def cached_index(path: Path, kind: str, build: Callable[[], Arrays]) -> Arrays:
    """The index of one file, built at most once per state of the file (path, size, time of change).

    An unwritable or damaged cache only costs the building again; the dataset's folder is never written.
    `kind` names the index and its version: `tfrecord-1`.
    """
    stat = path.stat()
    state = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{kind}"
    kept = cache_dir() / kind / f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.npz"
    # We open it: NumPy leaves its own file open where the zip's directory is damaged.
    with suppress(*_DAMAGE), kept.open("rb") as file, np.load(file, allow_pickle=False) as z:
        return {name: z[name] for name in z.files}
    arrays = build()
    with suppress(OSError):
        remove_all_leftovers(kept.parent)
    with suppress(WriteRefused), replacing(kept) as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for allow_pickle
    return arrays
