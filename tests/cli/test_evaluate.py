"""`kata evaluate` and `kata serve` refuse what cannot be meant, before a policy is opened or a server called."""

from __future__ import annotations

from pathlib import Path

import pytest
from kata_command import Kata


@pytest.mark.parametrize("words", [("evaluate", "{}", "--task", "lift"), ("serve", "{}")])
def test_a_device_that_is_none_is_refused(kata: Kata, tmp_path: Path, words: tuple[str, ...]) -> None:
    said = kata(*(word.format(tmp_path) for word in words), "--device", "tpu")
    assert (said.code, said.out) == (2, "")
    assert said.err == f"kata: {tmp_path}: device is 'tpu'. It is auto, cpu, cuda or cuda:N.\n"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("timeout_s=abc", "option timeout_s is 'abc', and a number from 0.001 to 86400 is needed."),
        ("protocol=foo", "option protocol is 'foo'. It is openpi or roboarena."),
    ],
)
def test_an_option_of_a_server_that_cannot_be_meant_is_refused(
    kata: Kata, tmp_path: Path, option: str, said: str
) -> None:
    out = tmp_path / "trials"
    told = kata("evaluate", "ws://127.0.0.1:9", "--task", "lift", "--option", option, "--out", out)
    assert (told.code, told.err) == (2, f"kata: {said}\n")
    assert not out.exists()
