"""Reports of every kind: names stay text, folds have contents, and a phone shows all of it."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from browser_page import CHROMIUM, WIDTHS_PX, Page, show
from markupsafe import Markup
from pages import HOSTILE, KINDS, write_page_of

import robokata.viewing.html
from robokata.viewing.html.page import render
from robokata.viewing.svg.bars import ChartBar, bar_chart
from robokata.viewing.svg.line_plot import PlotLine, line_plot
from robokata.viewing.svg.radar import Ring, Spoke, radar_plot

MODULES = sorted(Path(robokata.viewing.html.__file__).parent.glob("*.py"))


@pytest.fixture(scope="module", params=KINDS)
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / "report.html"
    write_page_of(request.param, HOSTILE, path)
    return path


def test_no_name_becomes_a_tag_a_link_or_turns_the_line_around(hostile: Path) -> None:
    text = hostile.read_text(encoding="utf-8")
    page = Page(text)
    assert page.names & {"script", "iframe", "object", "form", "link"} == set()
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in page.links)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text, "the name is shown"
    assert "\u202e" not in text
    assert "\\u202egpj.exe" in text, "and the mark in it is spelled out"


def test_every_link_of_the_contents_leads_to_a_place_inside_a_fold(hostile: Path) -> None:
    text = hostile.read_text(encoding="utf-8")
    links = re.findall(r'<li><a href="#(part-\d+)">', text)
    assert [name for name in Page(text).ids if name.startswith("part-")] == links
    for link in links:
        assert re.search(rf"</summary>\s*<div id=\"{link}\">", text), "so that following it opens the fold"
    assert bool(links) == (hostile.parent.name[:4] in ("stud", "eval"))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_a_phone_and_a_desk_show_all_of_it_without_scrolling_sideways(
    hostile: Path, tmp_path: Path, width_px: int
) -> None:
    shown = show(hostile, tmp_path, width_px=width_px)
    assert shown.lost == 0
    assert shown.beyond_the_page_px <= 0
    assert shown.letter_px >= 8, "charts scale, and their letters stay legible"


def test_charts_are_markup_in_which_names_are_text() -> None:
    at, ring = np.arange(5.0), Ring(0.5, 0.4, 0.6)
    charts = (
        bar_chart([ChartBar(HOSTILE, 0.5, 0.4, 0.6, note=HOSTILE)], span=(0.0, 1.0), x_label=HOSTILE),
        line_plot([PlotLine(HOSTILE, at, at), PlotLine("b", at, at)], y_label=HOSTILE, x_marks={1.0: HOSTILE}),
        radar_plot([Spoke(HOSTILE, 0.5, 0.4, 0.6)] * 3, control=ring, label=HOSTILE),
    )
    for chart in charts:
        assert isinstance(chart, Markup)
        root = ElementTree.fromstring(chart)
        assert {element.tag for element in root.iter()}.isdisjoint({"script", "img"})
        assert any("<script>" in (element.text or "") + (element.tail or "") for element in root.iter())
        assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)


def test_a_template_escapes_what_is_not_markup_and_refuses_a_name_that_it_was_not_given() -> None:
    assert render("note", words="<b>") == '<p class="note">&lt;b&gt;</p>'
    assert render("note", words=Markup("<b>")) == '<p class="note"><b></p>'
    with pytest.raises(Exception, match="'words' is undefined"):
        render("note")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_html_is_written_in_templates_only(path: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and re.search(r"</?[a-z]+[ >/]", text)]
