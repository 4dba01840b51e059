"""Tests of training specs: what a file must not say is refused with its field and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from robokata.core.errors import TrainingRefused
from robokata.learn.training_spec import spec_at


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "unknown key 'x'. Allowed: source, window, policy."),
        ("[window]", "names no data"),
        ('[[source]]\npath = "a"\n[window]\nchunk_steps = 0', "chunk_steps must be an integer from 1 to 4096, got 0"),
        ('[[source]]\npath = "a"\n[window]\nhistory_s = [0, -1]', "history_s must be seconds that rise to 0, got"),
        ('[[source]]\npath = "a"\nweight = -1', "weight must be a number > 0"),
        ("[[source]]\npath = 3", "path must be a string, got 3"),
        ('[[source]]\npath = "a"\nformat = 3', "format must be a string, got 3"),
        ('[[source]]\npath = "a"\nwhere = true', "where must be a string, got True"),
        ('[[source]]\npath = "a"\nweight = true', "weight must be a number > 0"),
        (
            '[[source]]\npath = "a"\n[window]\nchunk_steps = true',
            "chunk_steps must be an integer from 1 to 4096",
        ),
        ('[[source]]\npath = "a"\n[window]\nrate_hz = true', "rate_hz must be a number > 0, got True"),
        ("[[", "is not TOML"),
    ],
)
def test_a_toml_that_cannot_be_obeyed_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(TrainingRefused, match=said):
        spec_at(tmp_path / "bad.toml")
