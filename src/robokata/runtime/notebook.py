"""Results as small tables in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def html_table(title: str, rows: Sequence[Sequence[object]], *, head: Sequence[str] = ()) -> str:
    """A titled table for `_repr_html_`; every text is escaped."""
    body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
    first = f"<thead><tr>{_cells(head, 'th')}</tr></thead>" if head else ""
    return f"<div><strong>{escape(title)}</strong><table>{first}<tbody>{body}</tbody></table></div>"


def _cells(values: Sequence[object], tag: str) -> str:
    return "".join(f"<{tag}>{'' if value is None else escape(str(value))}</{tag}>" for value in values)
