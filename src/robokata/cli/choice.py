"""What options mean: which demands, which episodes, where the reports go."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from robokata.core.detection import Found
    from robokata.core.source import Source

Choice = TypeVar("Choice", bound=enum.StrEnum)


def keys_from(
    source: Source, episodes: Sequence[str] | None, where: str | None, split: str | None = None
) -> list[str] | None:
    """Episodes that `--episode`, `--where` and `--split` leave, in the dataset's order; None where all are absent.

    Raises:
        UnknownName: an episode or a split that the dataset does not have.
        QueryRefused: the condition is none, or no episode meets it.
    """
    from robokata.runtime.episode_filter import choose_episodes

    if not episodes and where is None and split is None:
        return None
    return list(choose_episodes(source, episodes=episodes, where=where, split=split).keys)


class Chosen(NamedTuple):
    """A dataset, open, and the episodes of it that are asked for."""

    source: Source
    keys: list[str] | None
    """None: all."""
    sentence: str | None
    """Which splits were taken, in words; None where the dataset has none, or all of it is taken."""


def sources_from(
    found: Sequence[Found],
    episodes: Sequence[str] | None,
    where: str | None,
    split: str | None,
    *,
    rates: Sequence[str] = (),
    is_for_training: bool = False,
) -> list[Chosen]:
    """The datasets with the episodes that are asked for; those of several that have none are passed over, and named.

    `rates` are the words of `--rate-hz`.

    Raises:
        RateRefused: a word is no rate.
        UnknownName: no dataset has an episode or a split that is asked for.
        QueryRefused: the condition is none, or no episode of any dataset meets it.
    """
    import typer

    from robokata.core.declared_rate import rates_from, with_rates
    from robokata.core.detection import open_source
    from robokata.core.errors import QueryRefused, UnknownName
    from robokata.runtime.episode_filter import choose_episodes

    chosen: list[Chosen] = []
    refused: list[QueryRefused | UnknownName] = []
    for each in found:
        source = with_rates(open_source(each.path, format=each.format), rates_from(rates))
        if not (episodes or where is not None or split is not None or is_for_training):
            chosen.append(Chosen(source, None, None))
            continue
        try:
            choice = choose_episodes(
                source, episodes=episodes, where=where, split=split, is_for_training=is_for_training
            )
        except (QueryRefused, UnknownName) as error:
            refused.append(error)
            continue
        chosen.append(Chosen(source, list(choice.keys), choice.sentence))
    if refused and not chosen:
        raise refused[0]
    for reason in refused:
        typer.echo(f"passed over: {reason}", err=True)
    return chosen


def refuse_unwritable(target: Path | None) -> None:
    """Say before the work, not after an hour of it, that a report has no place.

    Raises:
        WriteRefused: no such folder, the target is a folder, or writing there is not allowed.
    """
    from robokata.core.errors import WriteRefused

    if target is None:
        return
    if not target.parent.is_dir():
        raise WriteRefused(f"{target}: the folder {target.parent} does not exist. Make it first.")
    if target.is_dir():
        raise WriteRefused(f"{target}: is a folder. Name a file in it: {target / 'report'}{target.suffix or '.html'}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise WriteRefused(f"{target}: may not be written. Choose another place.")


def one_of(kind: type[Choice], word: str, what: str) -> Choice:
    """A word as a member of an enumeration.

    Raises:
        UnknownName: it is none; the message lists those that exist.
    """
    from robokata.core.errors import UnknownName

    try:
        return kind(word)
    except ValueError:
        raise UnknownName(what, word, [str(member) for member in kind]) from None


def size_of(word: str) -> tuple[int, int] | None:
    """`480x640` as height and width in pixels; None for `0`, no pictures.

    Raises:
        UnknownName: it is no size.
    """
    from robokata.core.errors import UnknownName

    if word == "0":
        return None
    height, _, width = word.partition("x")
    if not (height.isdecimal() and width.isdecimal() and 16 <= int(height) <= 2160 and 16 <= int(width) <= 3840):
        raise UnknownName("picture size", word, ["0", "128x128", "224x224", "480x640"])
    return int(height), int(width)


def named_values(words: Sequence[str] | None) -> dict[str, str]:
    """`--option NAME=VALUE`, several times, as a table.

    Raises:
        PolicyFailed: a word is not NAME=VALUE.
    """
    from robokata.core.errors import PolicyFailed

    out = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise PolicyFailed("refused", f"--option {word!r} is not NAME=VALUE.")
        out[name] = value
    return out
