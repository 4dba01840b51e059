"""What a format that can be written must do, as functions that third parties run on theirs.

Each takes the format's name, options that suit it (`{}` where none is needed) and an empty folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.layout import Way
from robokata.core.leaf_kinds import readable_formats, writable_format
from robokata.testing.tiny import tiny_episode

Options = Mapping[str, Any]


class _Stopped(Exception):
    """What the source of a broken writing raises."""


def writer_says_where_everything_goes(format_name: str, options: Options, folder: Path) -> None:
    """`layout` has a place for every stream, lost ones too, with the reason where something is lost."""
    episode = _episode(0)
    layout = writable_format(format_name).layout(episode, **options)
    placed = {place.stream for place in layout.places}
    assert set(episode.streams) <= placed, f"nothing is said of {sorted(set(episode.streams) - placed)}"
    assert set(layout.names) <= set(episode.streams), "names are given to streams of the episode only"
    silent = [place.stream for place in layout.places if place.way is Way.DROPPED and not place.note]
    assert not silent, f"{silent} are dropped without a reason"
    assert writable_format(format_name).LOSES is not None


def writer_appears_at_once(format_name: str, options: Options, folder: Path) -> None:
    """A writing that breaks off leaves nothing; one that is done is where it was asked for."""
    leaf = writable_format(format_name)
    broken = folder / "broken"
    try:
        leaf.write(broken, _then_stop([_episode(0), _episode(1)]), **options)
    except _Stopped:
        assert not broken.exists(), "a target that is not complete must not be there"
    else:
        assert not broken.exists(), "the source raised, and write did not say so"
    leaf.write(folder / "whole", [_episode(0), _episode(1)], **options)
    assert (folder / "whole").exists()


def writer_writes_the_same_bytes_again(format_name: str, options: Options, folder: Path) -> None:
    """The same episodes are the same files, to the byte, unless the format says `IS_REPRODUCIBLE = False`."""
    leaf = writable_format(format_name)
    if not leaf.IS_REPRODUCIBLE:
        return
    for name in ("one", "two"):
        # A dataset may be called as its folder.
        (folder / name).mkdir()
        leaf.write(folder / name / "set", [_episode(0), _episode(1)], **options)
    assert _digests(folder / "one") == _digests(folder / "two"), "two writings of the same episodes differ"


def writer_is_read_back(format_name: str, options: Options, folder: Path) -> None:
    """Where the format is read too: as many episodes, and the numbers of every stream that the layout calls copied."""
    if format_name not in readable_formats():
        return
    leaf = writable_format(format_name)
    leaf.write(folder / "set", [_episode(0), _episode(1)], **options)
    source = open_source(folder / "set", format=format_name)
    assert len(source.keys()) == 2
    for number, key in enumerate(source.keys()):
        episode, read = _episode(number), source.episode(key)
        copied = {place.stream for place in leaf.layout(episode, **options).places if place.way is Way.COPIED}
        for stream in episode.numeric():
            is_there = any(np.array_equal(each.table, stream.table) for each in read.numeric())
            assert is_there or stream.name not in copied, f"{stream.name} is called copied, and is not read back"


WRITER_CLAUSES: tuple[Callable[[str, Options, Path], None], ...] = (
    writer_says_where_everything_goes,
    writer_appears_at_once,
    writer_writes_the_same_bytes_again,
    writer_is_read_back,
)
"""All that a format that can be written must do."""


def _episode(number: int) -> Episode:
    return tiny_episode(number, duration_s=0.4)


def _then_stop(episodes: list[Episode]) -> Iterator[Episode]:
    yield from episodes
    raise _Stopped


def _digests(folder: Path) -> dict[str, str]:
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
