"""Instructions that say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robokata.checks.blank_instruction import check, plant
from robokata.core.episode import Episode, EpisodeRef, Instruction
from robokata.core.finding import Finding, Level
from robokata.testing import tiny_episode


def findings(*texts: str | Instruction, folder: str = "sorting_day_3") -> list[Finding]:
    asked = tuple(t if isinstance(t, Instruction) else Instruction(t, source="task") for t in texts)
    episode = replace(tiny_episode(duration_s=1), instructions=asked, ref=EpisodeRef("any", f"/data/{folder}", "0"))
    return [verdict for verdict in check(episode) if isinstance(verdict, Finding)]


@pytest.mark.parametrize(
    "text",
    [
        "pick up the red block and place it in the bowl",
        "Pick up the yellow bottle on the table.",
        "lift",
        "push",
        "test the lid",
        "do nothing",
        "open drawer",
        "place the apple in the plate",
        "把苹果放到盘子里",
        "Öffne die Schublade",
        "stack 3 cubes",
        "put the valid ticket on the tray",
        "go to shelf 12",
        "pick (test tube)",
    ],
)
def test_words_that_ask_for_something_are_left_alone(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "test", "Test", "TEST_2", "task 1", "todo", "TODO: write the instruction", "valid", "None", "n/a", "default",
        "unknown", "<instruction>", "asdf", "asdfasdf", "qwerty", "xxxx", "123", "...", "-", "hello world", "test task",
        "A short description of the task", "sorting_day_3",
    ],
)  # fmt: skip
def test_words_that_were_typed_to_get_past_the_question_are_found(text: str) -> None:
    (finding,) = findings(text)
    assert finding.level is Level.WARNING
    assert finding.measured == text


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_an_empty_text_is_an_error(text: str) -> None:
    (finding,) = findings(text)
    assert finding.level is Level.ERROR
    assert finding.message == "the instruction is empty (task)"


def test_a_leftover_beside_a_real_instruction_is_only_worth_knowing() -> None:
    (finding,) = findings("pick the pear from the counter and place it in the plate", "valid")
    assert finding.level is Level.INFO
    assert finding.message == "the instruction 'valid' is a placeholder, beside one that says what to do (task)"


def test_a_blank_stretch_is_located_even_beside_a_sound_instruction() -> None:
    (finding,) = findings("open the drawer", Instruction("", start_s=2.0, end_s=3.5))
    assert (finding.level, finding.start_s, finding.end_s) == (Level.ERROR, 2.0, 3.5)


def test_the_same_blank_is_reported_once() -> None:
    assert len(findings("test", "test", "test ")) == 1


def test_a_folder_whose_name_is_an_instruction_does_not_make_the_instruction_blank() -> None:
    assert findings("open drawer", folder="open drawer") == []


def test_a_long_text_of_nothing_is_shortened_in_the_message() -> None:
    (finding,) = findings("." * 500)
    assert len(finding.message) < 100


def test_planted_blanks_are_found_and_sound_episodes_stay_silent() -> None:
    for seed in range(20):
        episode: Episode = tiny_episode(seed, duration_s=1)
        assert list(check(episode)) == []
        assert list(check(plant(episode, np.random.default_rng(seed), 1.0)))
        assert list(check(plant(episode, np.random.default_rng(seed), 0.0))) == []
