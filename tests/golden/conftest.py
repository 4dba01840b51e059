"""Texts that users read, kept to the letter: a change of them is seen in the difference, and meant."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from golden_text import Golden

_SIZE = re.compile(r"~?\d+(\.\d+)? (B|kB|MB|GB)\b")


@pytest.fixture
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """`golden("name", text)`: the text is that of tests/golden/name.txt; `ROBOKATA_GOLDEN=update` writes it anew."""

    def compare(name: str, text: str) -> None:
        file = Path(__file__).parent / f"{name}.txt"
        shown = normalised(text, str(tmp_path_factory.getbasetemp()))
        if os.environ.get("ROBOKATA_GOLDEN") == "update":
            file.write_text(shown, encoding="utf-8")
        assert file.exists(), f"{file.name} is not there yet: run with ROBOKATA_GOLDEN=update and read what it holds"
        assert shown == file.read_text(encoding="utf-8")

    return compare


def normalised(text: str, folder: str) -> str:
    """Without what differs between machines: the temporary folder, sizes on disk (encoders differ), ends of lines."""
    text = re.sub(re.escape(folder) + r"/[^/\s]+", "TMP", text)
    # Column widths follow the sizes: runs of spaces before and behind one go with it.
    text = re.sub(rf" *{_SIZE.pattern}", "  SIZE", text)
    # What an encoder makes of the pictures, and the words of DuckDB, change with their versions.
    text = re.sub(r"makes [\d.]+ levels", "makes N levels", text)
    text = re.sub(r"usually \d+", "usually N", text)
    text = re.sub(r"(episodes: )\w+ Error: .*?(?= Columns:)", r"\1WORDS OF DUCKDB", text, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
