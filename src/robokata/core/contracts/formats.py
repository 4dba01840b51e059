"""What a file in `formats/` defines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from robokata.core.episode import Episode
from robokata.core.layout import Layout
from robokata.core.source import Source


@runtime_checkable
class FormatLeaf(Protocol):
    """A format: one that reads (`ReadableFormatLeaf`), one that writes (`WritableFormatLeaf`), or both.

    A source whose episodes lie in byte ranges of its files also has `extents(key)` (`core.extent.Located`): a snapshot
    then references those bytes instead of copying them.
    """

    LOOKS_FOR: str
    """What makes a path this format, in words: the error for a path that is no dataset lists these."""
    IS_FOLDER_OF_FILES: bool = False
    """True where a dataset is a folder of recordings, a file each and nothing else: other files there are then named
    as not recognised."""


@runtime_checkable
class ReadableFormatLeaf(FormatLeaf, Protocol):
    """A format that can be read."""

    def sniff(self, path: Path) -> float:
        """Confidence 0..1 that `path` is this format, from names and first bytes only. Never raises."""
        ...

    def read(self, path: Path) -> Source:
        """Open the dataset: indexes only."""
        ...


@runtime_checkable
class WritableFormatLeaf(FormatLeaf, Protocol):
    """A format that can be written: `kata convert` writes it.

    One that is not read by Robokata may define `compare` too (`ComparableFormatLeaf`).
    """

    LOSES: Sequence[str]
    """What this format cannot hold, a phrase each."""
    IS_ONE_TABLE: bool = False
    """True where all episodes must have the same streams: a plan then refuses what differs."""
    IS_REPRODUCIBLE: bool = True
    """False where the format's own library draws ids anew each time: the same episodes are then other bytes."""
    COPIES_MESSAGES: bool = False
    """True where packets that nobody decodes are copied as they are; else a plan names them as lost."""

    def layout(self, episode: Episode, **options: Any) -> Layout:
        """Where each stream of an episode goes and what that costs, asked before anything is written. It takes the
        keyword-only options of `write`.

        Raises:
            WriteRefused: the episode does not fit the format at all.
        """
        ...

    def write(self, path: Path, episodes: Iterable[Episode], **options: Any) -> None:
        """Write episodes; the directory appears in one rename."""
        ...


class WrittenEpisode(NamedTuple):
    """What another library reads of an episode that was written in a format that Robokata only writes."""

    episode: str
    times: int
    """Times that were compared."""
    differences: tuple[tuple[str, str], ...]
    """Stream, and what is wrong with it."""


@runtime_checkable
class ComparableFormatLeaf(Protocol):
    """What a format that is written and not read may define besides `layout` and `write`: then a conversion is read
    back by that format's own library."""

    def compare(self, path: Path, episodes: Iterable[Episode]) -> Iterator[WrittenEpisode]:
        """What was written of each episode, in the order of writing."""
        ...
