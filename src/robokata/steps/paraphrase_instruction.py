"""The same request in other words: from the task's own paraphrases, or from a table of the user's.

A table is a TOML file: each `[[paraphrase]]` has `texts`, a list of templates that mean the same. `{colour}` is a slot,
filled with what the instruction said there; every text of a list has the same slots, so that no word that decides what
is to be done is lost.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused, StepRefused, UnknownName
from robokata.core.shelf import shelf
from robokata.core.trace import rng_of, traced

_NAME = __name__.rpartition(".")[2]
_SLOT = re.compile(r"\{(\w+)\}")


def step(
    episode: Episode,
    *,
    # Empty: the paraphrases of the task that a simulated episode names.
    table: str = "",
    # One new wording per episode; more give one episode each.
    wordings: int = 1,
    keep_original: bool = False,
    seed: int = 0,
) -> Iterator[Episode]:
    """The episode with its whole-episode instructions in other words, under the ids `ID-said1`, `ID-said2`, ...

    Raises:
        StepRefused: it has no instruction, nobody knows other words for it, or fewer than `wordings`.
        RecipeRefused: the table cannot be obeyed.
    """
    if keep_original:
        yield episode
    if not any(each.text for each in episode.instructions):
        raise StepRefused(_NAME, episode.id, "it has no instruction.")
    families = _table_of(table) if table else _task_of(episode)
    others = [_others(each.text, families, episode) for each in episode.instructions]
    fewest = min(len(each) for each in others)
    if not 1 <= wordings <= fewest:
        raise StepRefused(_NAME, episode.id, f"{fewest} other wordings are known, and {wordings} are asked for.")
    rng = rng_of(_NAME, seed, episode)
    orders = [rng.permutation(len(each)) for each in others]
    parameters = {"table": table, "wordings": wordings, "keep_original": keep_original, "seed": seed}
    for number in range(wordings):
        said = [each[order[number]] for each, order in zip(others, orders, strict=True)]
        instructions = tuple(
            replace(each, text=text, source="paraphrase") for each, text in zip(episode.instructions, said, strict=True)
        )
        yield traced(
            replace(episode, instructions=instructions),
            of=episode,
            step=_NAME,
            parameters=parameters,
            id=f"{episode.id}-said{number + 1}",
            said={"was": [each.text for each in episode.instructions]},
        )


def _others(text: str, families: Sequence[Sequence[str]], episode: Episode) -> list[str]:
    """Other wordings of a text, its slots filled as they were."""
    for family in families:
        for template in family:
            found = _pattern(template).fullmatch(text)
            if found is not None:
                filled = [other.format(**found.groupdict()) for other in family if other != template]
                return [each for each in filled if each != text]
    raise StepRefused(_NAME, episode.id, f"nobody knows other words for {text!r}.")


@functools.lru_cache(maxsize=256)
def _pattern(template: str) -> re.Pattern[str]:
    parts, seen = [], set[str]()
    for number, part in enumerate(_SLOT.split(template)):
        if number % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else rf"(?P<{part}>\S(?:.*?\S)?)")
            seen.add(part)
    return re.compile("".join(parts))


def _task_of(episode: Episode) -> list[Sequence[str]]:
    made: Any = episode.extra.get("simulation", {})
    task = made.get("task") if isinstance(made, Mapping) else None
    try:
        return [shelf("tasks")[str(task)].INSTRUCTIONS]
    except UnknownName:
        raise StepRefused(
            _NAME, episode.id, "it names no task whose paraphrases are known. Give your own: table=FILE.toml"
        ) from None


@functools.lru_cache(maxsize=8)
def _table_of(path: str) -> list[list[str]]:
    """The lists of a table.

    Raises:
        RecipeRefused: it cannot be read, or a text lacks a slot that another of its list has.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeRefused(f"{path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise RecipeRefused(f"{path}: is no TOML: {error}.") from None
    entries = found.get("paraphrase")
    if set(found) != {"paraphrase"} or not isinstance(entries, list):
        raise RecipeRefused(
            f'{path}: write one [[paraphrase]] with texts = ["...", "..."] per meaning, and nothing else.'
        )
    families = []
    for number, entry in enumerate(entries, 1):
        texts = entry.get("texts") if isinstance(entry, dict) else None
        if not isinstance(texts, list) or len(texts) < 2 or not all(isinstance(t, str) and t.strip() for t in texts):
            raise RecipeRefused(
                f"{path}: [[paraphrase]] {number}: texts is {texts!r}, and two texts or more are needed."
            )
        for text in texts:
            if sorted(set(_SLOT.findall(text))) != sorted(set(_SLOT.findall(texts[0]))):
                raise RecipeRefused(f"{path}: [[paraphrase]] {number}: {text!r} has other slots than {texts[0]!r}.")
        families.append(texts)
    return families
