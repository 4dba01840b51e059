"""What the verbs share: where the datasets are, and answers as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import Found, find_datasets, open_source
from robokata.core.source import Source
from robokata.runtime.safe_text import visible


def datasets_at(path: Path, format_name: str | None) -> list[Found]:
    """The datasets that the user means: `path` itself with `--format`, else what is recognised there.

    Raises:
        NotADataset: there is none.
        AmbiguousFormat: one could be two formats.
    """
    return [Found(path, format_name)] if format_name is not None else find_datasets(path)


def one_dataset_at(path: Path, format_name: str | None, *, rates: Sequence[str] = ()) -> Source:
    """The one dataset that the user means, open; `rates` are the words of `--rate-hz`.

    Raises:
        RateRefused: a word is no rate.
        NotADataset: there is none, or there are several below `path`.
        AmbiguousFormat: it could be two formats.
    """
    return with_rates(open_source(path, format=format_name), rates_from(rates))


class _Answer(Protocol):
    """What can be printed as JSON."""

    def to_json(self) -> dict[str, Any]: ...


def print_json_of(answers: Sequence[_Answer]) -> None:
    """One JSON object on standard output: the answer, or `{"datasets": [...]}` where the path holds several.

    Numbers that JSON lacks (NaN, infinity) become null.
    """
    objects = [answer.to_json() for answer in answers]
    value = objects[0] if len(objects) == 1 else {"datasets": objects}
    # What JSON leaves as it is (C1 controls, marks of direction) steers a terminal; spelled out it reads the same.
    parts = json.JSONEncoder(indent=2, ensure_ascii=False, allow_nan=False, default=str).iterencode(_plain(value))
    sys.stdout.writelines(visible(part) for part in parts)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return _plain(value.item())
    return value
