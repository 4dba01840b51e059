"""The checks as their own files describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from robokata.core.shelf import shelf
from robokata.core.suite import thresholds_of
from robokata.runtime.notebook import html_table


@dataclass(frozen=True)
class CheckCard:
    """What one check says of itself."""

    name: str
    finds: str
    """Its first line."""
    documentation: str
    needs: tuple[str, ...]
    thresholds: Mapping[str, Any]

    def _repr_html_(self) -> str:
        return html_table(self.name, [(self.documentation,), (f"needs: {', '.join(self.needs) or 'nothing'}",)])

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class Catalogue:
    """All checks, by name."""

    checks: tuple[CheckCard, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"checks": [card.to_json() for card in self.checks]}


def explain(name: str) -> CheckCard:
    """The card of one check.

    Raises:
        UnknownName: no check has this name.
    """
    leaf = shelf("checks")[name]
    text = (leaf.__doc__ or "").strip()
    return CheckCard(
        name, text.splitlines()[0] if text else "", text, tuple(n.value for n in leaf.NEEDS), thresholds_of(leaf)
    )


def catalogue() -> Catalogue:
    """Every check on the shelf."""
    return Catalogue(tuple(explain(name) for name in shelf("checks").names()))
