"""What an operator types: configurations, and words while a robot records."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WORDS = {"": "keep", "d": "discard", "q": "end"}


def config_of(text: str, option: str) -> dict[str, Any]:
    """A JSON object, or the one in the file behind `@`.

    Raises:
        CollectionRefused: it is none.
    """
    from robokata.core.errors import CollectionRefused

    try:
        said = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise CollectionRefused(f"{option} {text}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise CollectionRefused(f'{option} is no JSON ({error}). It is like \'{{"port": "/dev/ttyACM0"}}\'.') from None
    if not isinstance(said, dict):
        raise CollectionRefused(f'{option} is no JSON object. It is like \'{{"port": "/dev/ttyACM0"}}\'.')
    return said


def words_from_terminal() -> Callable[[], str | None]:
    """What asks for the operator's newest word; there are none where standard input is no terminal."""
    said: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            said.put(_WORDS.get(line.strip().lower(), "keep"))

    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=listen, daemon=True).start()

    def word() -> str | None:
        try:
            return said.get_nowait()
        except queue.Empty:
            return None

    return word
