"""Reads what `write_samples.py` wrote, with Robokata and what it depends on alone: `python read_samples.py FOLDER`."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.detection import open_source
from robokata.core.episode import Episode


def digests_below(folder: Path) -> dict[str, dict[str, str]]:
    """A digest of every stream of every sample."""
    return {path.name: digests(path) for path in sorted(folder.iterdir()) if path.suffix != ".json"}


def digests(path: Path) -> dict[str, str]:
    source = open_source(inner(path))
    return {f"{key}:{name}": text for key in source.keys() for name, text in streams(source.episode(key)).items()}


def inner(path: Path) -> Path:
    """The set itself, where its maker put it into folders of its own."""
    below = list(path.iterdir()) if path.is_dir() and path.suffix != ".zarr" else []
    return inner(below[0]) if len(below) == 1 else path


def streams(episode: Episode) -> dict[str, str]:
    found = {}
    for name, stream in episode.streams.items():
        values = stream.values[: min(len(stream), 3)] if stream.is_picture else stream.values[:]
        found[name] = digest(np.asarray(values))
    return found


def digest(array: np.ndarray[Any, Any]) -> str:
    data = array.tobytes() if array.dtype.kind != "O" else repr(array.tolist()).encode()
    return f"{array.dtype.kind}{list(array.shape)} {hashlib.sha256(data).hexdigest()[:16]}"


def main(folder: Path) -> int:
    expected, found, wrong = json.loads((folder / "expected.json").read_text()), 0, []
    for name, wanted in expected.items():
        try:
            read: Any = digests(folder / name)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next sample is looked at too
            read = f"{type(error).__name__}: {error}"
        found += len(wanted)
        wrong += [] if read == wanted else [f"{name}: {read if isinstance(read, str) else difference(wanted, read)}"]
    sys.stdout.write(
        "\n".join([*wrong, f"{len(expected)} samples, {found} streams, {len(wrong)} samples wrong"]) + "\n"
    )
    return 1 if wrong else 0


def difference(wanted: dict[str, str], read: dict[str, str]) -> str:
    names = sorted(n for n in wanted.keys() | read.keys() if wanted.get(n) != read.get(n))
    return ", ".join(f"{n} is {read.get(n)}, not {wanted.get(n)}" for n in names[:3])


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
