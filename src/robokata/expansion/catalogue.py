"""The expanders that there are, and their options."""

from __future__ import annotations

import inspect

from robokata.core.errors import LeafRefused
from robokata.core.shelf import shelf
from robokata.runtime.options import options_of


def expander_summaries() -> list[tuple[str, str]]:
    """Each expander with the first sentence of its file and its options; one that cannot be used says why."""
    return [(name, _summary(name)) for name in shelf("expanders").names()]


def _summary(name: str) -> str:
    try:
        leaf = shelf("expanders")[name]
    except LeafRefused as refused:
        return str(refused)
    sentence = (inspect.getdoc(leaf) or "").partition("\n")[0]
    options = ", ".join(str(option) for option in options_of(leaf.plan).values())
    return f"{sentence} {f'Options: {options}.' if options else 'No options.'}".strip()
