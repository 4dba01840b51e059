from __future__ import annotations

import json
import subprocess
import sys

from robokata.core.shelf import shelf

KATA = [sys.executable, "-m", "robokata.cli.main"]


def answer(*words: str) -> dict[str, object]:
    shown = subprocess.run([*KATA, *words], capture_output=True, text=True, check=True).stdout
    parsed: dict[str, object] = json.loads(shown)
    return parsed


def test_the_list_of_checks_is_there_as_json_too() -> None:
    checks = answer("check", "--list", "--json")["checks"]
    assert isinstance(checks, list)
    assert [card["name"] for card in checks] == list(shelf("checks").names())


def test_a_check_explains_itself_as_json_too() -> None:
    card = answer("explain", "clock_gap", "--json")
    assert card["thresholds"] == {"longer_than_periods": 1.8, "error_above_s": 0.5, "error_above_share": 0.05}
    assert card["needs"] == ["measured_clock"]
