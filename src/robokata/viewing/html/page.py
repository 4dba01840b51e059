"""A page that needs nothing else: the frame around every HTML report."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files
from pathlib import Path

from robokata.runtime.atomic import replace_text
from robokata.runtime.safe_text import visible


def with_contents(sections: str) -> str:
    """Sections behind a list of contents: each `<section><h2>` gets a place that the list leads to."""
    titles: list[str] = []

    def placed(found: re.Match[str]) -> str:
        titles.append(found[1])
        return f'<section id="part-{len(titles)}"><h2>{found[1]}</h2>'

    body = re.sub(r"<section><h2>(.*?)</h2>", placed, sections)
    links = "".join(f'<li><a href="#part-{number}">{title}</a></li>' for number, title in enumerate(titles, 1))
    return f"<nav><ul>{links}</ul></nav>{body}"


def write_page(path: Path, *, title: str, body: str) -> None:
    """Write one self-contained page.

    Raises:
        WriteRefused: it cannot be written, or the disk is full; an earlier page stays.
    """
    replace_text(path, page(title, body))


def page(title: str, body: str) -> str:
    """A whole page around a body."""
    style = (files("robokata.viewing.html") / "report.css").read_text(encoding="utf-8")
    return visible(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main></body>'
        "</html>"
    )
