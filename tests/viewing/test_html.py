"""The report: self-contained, well formed, complete, and harmless."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from browser_page import CHROMIUM, WIDTHS_PX, Page, show
from reports import a_finding, episodes, report_of

from robokata.core.detection import open_source
from robokata.core.episode import Instruction
from robokata.core.finding import Abstention, Level, Span
from robokata.core.source import EpisodeList
from robokata.inspection.run import Report, check_dataset
from robokata.testing.sample import Planted, write_sample
from robokata.viewing.html.check_report import write_html
from robokata.viewing.html.episode_map import episode_map
from robokata.viewing.html.evidence import evidence_html


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Planted], Report, Path]:
    folder = tmp_path_factory.mktemp("html")
    planted = write_sample(folder / "sample")
    report = check_dataset(open_source(folder / "sample"), workers=1)
    write_html([report], folder / "report.html")
    return planted, report, folder / "report.html"


def section(page: str, check: str) -> str:
    (found,) = re.findall(rf'<section id="d0-\w+-{check}">.*?</section>', page, re.DOTALL)[:1]
    return str(found)


def test_the_page_is_well_formed_and_needs_nothing_else(sample: tuple[list[Planted], Report, Path]) -> None:
    text = sample[2].read_text()
    page = Page(text)
    assert page.names & {"script", "link", "iframe", "object", "embed", "base", "form"} == set()
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"https?://|url\(|@import", text)
    assert len(text) < 3_000_000


def test_each_planted_defect_is_shown_with_its_curve_and_its_pictures(
    sample: tuple[list[Planted], Report, Path],
) -> None:
    planted, _, path = sample
    text = path.read_text()
    for defect in planted:
        shown = section(text, defect.check)
        if defect.place.startswith("episode"):
            assert '<svg class="plot"' in shown, defect.check
            assert shown.count("data:image/jpeg;base64,") >= 8, defect.check
            assert f"<h3>{defect.place.partition(' is')[0]}" in shown


def test_each_group_of_findings_is_listed(sample: tuple[list[Planted], Report, Path]) -> None:
    _, report, path = sample
    text = path.read_text()
    for finding in report.findings:
        assert f'<section id="d0-{finding.level}-{finding.check}">' in text
    for abstention in report.abstentions:
        assert f"<td>{abstention.check}</td>" in text


def test_a_copy_is_shown_beside_its_twin(sample: tuple[list[Planted], Report, Path]) -> None:
    shown = section(sample[2].read_text(), "duplicate_episode")
    assert '<p class="note">episode 9</p>' in shown
    assert '<p class="note">episode 1</p>' in shown
    assert shown.count("<img") == 16
    assert "stroke-dasharray" in shown


NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'


def test_words_of_the_dataset_are_text_and_never_tags(tmp_path: Path) -> None:
    episode = replace(episodes(1)[0], id=NASTY, instructions=(Instruction(NASTY),))
    camera = next(episode.pictures())
    other = replace(camera, name=NASTY)
    episode = replace(episode, streams={**episode.streams, NASTY: other})
    finding = a_finding(episode=NASTY, stream=NASTY, channel=NASTY, message=NASTY, repair=NASTY, measured=NASTY)
    silent = [Abstention(NASTY, NASTY, check="stamp_lag")]
    report = report_of([finding] * 5, source=EpisodeList([episode]), abstentions=silent)
    write_html([report, report], tmp_path / "r.html")
    page = Page((tmp_path / "r.html").read_text())
    assert "script" not in page.names
    assert "x" not in page.links


def test_several_datasets_stand_below_each_other(tmp_path: Path) -> None:
    write_html([report_of([a_finding()]), report_of([])], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    Page(text)
    assert text.count("<h1>") == 2
    assert ">not sound<" in text
    assert ">sound<" in text


def test_a_damaged_video_costs_its_picture_only(sample: tuple[list[Planted], Report, Path], tmp_path: Path) -> None:
    shutil.copytree(sample[2].parent / "sample", tmp_path / "sample")
    for video in (tmp_path / "sample" / "videos").rglob("*.mp4"):
        video.write_bytes(video.read_bytes()[:2000])
    source = open_source(tmp_path / "sample")
    numbers = a_finding(episode="5", spans=(Span(3.98, 4.0),))
    shown = evidence_html(source, numbers)
    assert '<svg class="plot"' in shown
    assert "no picture" in shown.lower()
    write_html([replace(report_of([numbers]), source=source)], tmp_path / "r.html")
    Page((tmp_path / "r.html").read_text())


def test_a_finding_about_nothing_that_exists_has_no_evidence() -> None:
    source = EpisodeList(episodes(1))
    assert evidence_html(source, a_finding(episode="gone")) == ""
    assert evidence_html(source, a_finding(episode=None, stream=None)) == ""
    assert evidence_html(source, a_finding(episode=None, stream="gone")) == ""
    assert "for example episode 0" in evidence_html(source, a_finding(episode=None))


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("clock_gap", "time to the next sample (ms)"),
        ("idle_stretch", "travel from sample to sample"),
        ("not_finite", "observation.state"),
    ],
)
def test_each_kind_of_defect_has_its_own_curve(check: str, words: str) -> None:
    shown = evidence_html(EpisodeList(episodes(1)), a_finding(check=check, spans=(Span(0.5, 0.7),)))
    assert words in shown
    assert 'class="shade"' in shown


def test_the_lag_of_two_clocks_is_drawn() -> None:
    from robokata.core.clock import measured_clock

    episode = episodes(1)[0]
    state = episode.streams["observation.state"]
    header = measured_clock(state.clock.times_ns - 30_000_000)
    source = EpisodeList([episode.with_stream(replace(state, other_clocks={"header": header}))])
    assert "lag between its clocks (ms)" in evidence_html(source, a_finding(check="stamp_lag"))


def test_without_times_samples_are_counted() -> None:
    shown = evidence_html(EpisodeList(episodes(1)), a_finding(spans=(Span(start_sample=20, end_sample=30),)))
    assert "<figcaption>sample " in shown
    assert " s</" not in shown


def test_the_map_has_a_cell_per_episode_and_its_worst_level() -> None:
    findings = [
        a_finding(episode="1", level=Level.INFO),
        a_finding(episode="1"),
        a_finding(episode="3", check="clock_gap", level=Level.WARNING),
        a_finding(episode=None),
    ]
    drawn = episode_map(findings, ["0", "1", "2", "3"], anchor="d0-")
    Page(drawn)
    assert re.findall(r'<rect class="(\w+)" x="([\d.]+)"', drawn) == [("error", "1.05"), ("warning", "3.05")]
    assert 'href="#d0-error-not_finite"' in drawn
    assert "episode 1: 2 errors of not_finite" in drawn
    assert episode_map([a_finding(episode=None)], ["0"], anchor="") == ""


def test_ten_thousand_episodes_share_cells_and_none_is_lost() -> None:
    keys = [f"run/{n}" for n in range(10_000)]
    drawn = episode_map([a_finding(episode=key) for key in keys[::37]], keys, anchor="")
    assert drawn.count("<rect") == len({n * 300 // 10_000 for n in range(0, 10_000, 37)})
    assert "Each cell is up to 34 episodes." in drawn
    assert "and 263 more" in drawn
    assert len(drawn) < 100_000


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_a_browser_shows_every_picture_and_nothing_leaves_the_page(
    sample: tuple[list[Planted], Report, Path], tmp_path: Path, width_px: int
) -> None:
    shown = show(sample[2], tmp_path, width_px=width_px)
    assert shown.pictures >= 60
    assert shown.lost == 0
    assert shown.beyond_the_page_px <= 0
