"""Reports as a parser reads them and as a browser shows them."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

VOID = {"meta", "img", "br"}
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS_PX = (420, 1100)
"""A phone and a desk."""


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what the page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class Shown(NamedTuple):
    """What a browser made of a page with every fold open."""

    pictures: int
    lost: int
    beyond_the_page_px: int
    """How far the page scrolls sideways."""
    letter_px: float
    """Height of the smallest letters in a chart; 0 without charts."""


_PROBE = """<script>addEventListener("load", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  const lost = [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).length;
  const wide = document.documentElement.scrollWidth - innerWidth;
  const letters = [...document.querySelectorAll(".plot")].filter(plot => plot.querySelector("text")).map(plot =>
    parseFloat(getComputedStyle(plot.querySelector("text")).fontSize) * plot.getBoundingClientRect().width
    / plot.viewBox.baseVal.width);
  document.title = `seen ${document.images.length} ${lost} ${wide} ${letters.length ? Math.min(...letters) : 0}`;
})</script>"""
_QUIET = ("disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync")


def show(page: Path, folder: Path, *, width_px: int) -> Shown:
    """Open a page in a browser that ends by itself."""
    probe = folder / "probe.html"
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{_PROBE}</body>"), encoding="utf-8")
    flags = [f"--{name}" for name in ("headless", "no-sandbox", "disable-gpu", "hide-scrollbars", *_QUIET)]
    size = [f"--window-size={width_px},3000", "--virtual-time-budget=4000", f"--screenshot={folder / 'shot.png'}"]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={folder / 'profile'}", *size, "--dump-dom", probe.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    (numbers,) = re.findall(r"<title>seen ([^<]*)</title>", dom)
    pictures, lost, beyond, letter = numbers.split()
    return Shown(int(pictures), int(lost), int(beyond), float(letter))
