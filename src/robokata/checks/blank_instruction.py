"""An instruction that says nothing.

What it finds:
    Texts that are empty, and texts that somebody typed to get past the question: "test", "task 1", "valid",
    "TODO", digits, keyboard mash, the name of the folder.

Why it hurts:
    A language-conditioned policy learns that these words mean this motion. Empty texts teach it to act
    without being asked; "valid" in every episode teaches it to ignore the words.

Example:
    4 of 7 episodes of a published DROID excerpt have an empty instruction; NVIDIA's GR1 sample lists the
    annotation "valid" beside the real instruction of each episode.

Limits:
    Abstains where the format has no place for instructions. Knows English placeholders only, and judges
    words, not whether they fit the motion. A single real word ("lift") is taken at its word.

Repair:
    Write what the robot was asked to do, or leave the episode out of language-conditioned training. Neither
    changes what the robot would have done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from robokata.core.contracts import Need
from robokata.core.episode import Episode, Instruction
from robokata.core.finding import Finding, Level, Span, Verdict

NEEDS: Sequence[Need] = (Need.INSTRUCTIONS,)

# Defaults and dummies of recording tools (LeRobot, GR00T, RLDS builder templates), and what people type instead.
_PLACEHOLDER_WORDS = """
test testing tests task tasks instruction instructions language language_instruction prompt command
todo tbd fixme none null nil nan na n/a undefined unknown unspecified default dummy placeholder empty blank
foo bar baz foobar hello hello_world abc xyz valid invalid true false yes no ok success failure fail good bad
demo demonstration episode trajectory trial sample example data dataset recording record new untitled unnamed
my_task task_name task_description your_task your_task_here task_description_here single_task
a_short_description_of_the_task describe_the_task insert_task_here no_instruction no_task not_available
not_provided lorem_ipsum string text
"""
_PLACEHOLDERS = frozenset(_PLACEHOLDER_WORDS.split())
# Neighbouring keys, forwards and back, at least three: "asd", "asdf", "qwerty", "jkl"; and one letter repeated.
_MASH = re.compile(r"(?:asdf*|qwe(?:rt?y?)?|zxc?v?|jkl|hjkl|fdsa?|dsa|lkj)+|(.)\1+", re.IGNORECASE)


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per text that says nothing, located where the text applies."""
    folder = PurePath(episode.ref.path).name if episode.ref else ""
    asked = list(dict.fromkeys(episode.instructions))
    reasons = [_why_blank(instruction.text, folder) for instruction in asked]
    # A sound text for the whole episode is what a loader can train on; the blank one beside it is a leftover.
    has_sound = any(
        reason is None and instruction.start_s is None for instruction, reason in zip(asked, reasons, strict=True)
    )
    reported: set[tuple[str, float | None]] = set()
    for instruction, reason in zip(asked, reasons, strict=True):
        key = (instruction.text.strip(), instruction.start_s)
        if reason is not None and key not in reported:
            reported.add(key)
            yield _finding(episode, instruction, reason, has_sound=has_sound)


def _why_blank(text: str, folder: str) -> str | None:
    """What is wrong with a text, None where it says something."""
    bare = text.strip()
    if not bare:
        return "empty"
    if not any(letter.isalpha() for letter in bare):
        return "no words"
    if bare == folder and " " not in bare:
        return "the name of the folder"
    # "Task_1", "<test>", "TODO: ..." and "test 03" are placeholders with an ornament.
    words = re.sub(r"[\W\d_]+", " ", bare.casefold()).split()
    first = bare.casefold().split(":")[0].strip(" <>[]{}()\"'")
    if "_".join(words) in _PLACEHOLDERS or "/".join(words) in _PLACEHOLDERS or first in ("todo", "fixme", "tbd"):
        return "a placeholder"
    if words and all(word in _PLACEHOLDERS for word in words) and len(words) <= 3:
        return "a placeholder"
    if len(words) == 1 and len(words[0]) >= 3 and _MASH.fullmatch(words[0]):
        return "keys at random"
    return None


def _finding(episode: Episode, instruction: Instruction, reason: str, *, has_sound: bool) -> Finding:
    is_leftover = has_sound and instruction.start_s is None
    level = Level.INFO if is_leftover else Level.ERROR if reason == "empty" else Level.WARNING
    quoted = "" if reason == "empty" else f" {_short(instruction.text)!r}"
    beside = ", beside one that says what to do" if is_leftover else ""
    where = f" ({instruction.source})" if instruction.source else ""
    return Finding(
        level=level,
        message=f"the instruction{quoted} is {reason}{beside}{where}",
        episode=episode.id,
        spans=() if instruction.start_s is None else (Span(instruction.start_s, instruction.end_s),),
        measured=_short(instruction.text),
        expected="words that say what the robot was asked to do",
        repair="write what the robot was asked to do, or leave the episode out of language-conditioned training",
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Replace every instruction by "" or by a placeholder; below `magnitude` 0.5, one of several only."""
    if magnitude <= 0 or not episode.instructions:
        return episode
    text = str(rng.choice(["", "test", "TODO", "task 1", "asdf"]))
    blanked = [replace(instruction, text=text) for instruction in episode.instructions]
    if magnitude < 0.5:
        blanked[1:] = episode.instructions[1:]
    return replace(episode, instructions=tuple(blanked), ref=None)
