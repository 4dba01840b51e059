"""Tests of training specs: what a file must not say is refused with its field and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from robokata.core.errors import TrainingRefused
from robokata.learn.training_spec import spec_at


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "knows no 'x'. It may hold: source, window, policy."),
        ("[window]", "names no data"),
        ('[[source]]\npath = "a"\n[window]\nchunk_steps = 0', "chunk_steps is 0, and a whole number"),
        ('[[source]]\npath = "a"\n[window]\nhistory_s = [0, -1]', "seconds that rise to 0 is needed"),
        ('[[source]]\npath = "a"\nweight = -1', "weight is -1, and a number above 0"),
        ("[[source]]\npath = 3", "path is 3, and a text is needed"),
        ('[[source]]\npath = "a"\nformat = 3', "format is 3, and a text is needed"),
        ('[[source]]\npath = "a"\nwhere = true', "where is True, and a text is needed"),
        ('[[source]]\npath = "a"\nweight = true', "weight is True, and a number above 0"),
        ('[[source]]\npath = "a"\n[window]\nchunk_steps = true', "chunk_steps is True, and a whole number"),
        ('[[source]]\npath = "a"\n[window]\nrate_hz = true', "rate_hz is True, and a number above 0"),
        ("[[", "is no TOML"),
    ],
)
def test_a_toml_that_cannot_be_obeyed_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(TrainingRefused, match=said):
        spec_at(tmp_path / "bad.toml")
