"""What `kata check` comes to: sound only where something was judged."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robokata.core.clock import measured_clock
from robokata.core.episode import Episode
from robokata.core.source import EpisodeList, EpisodeRow
from robokata.core.stream import Kind, Role, Stream
from robokata.core.suite import Suite
from robokata.core.values import ArrayValues
from robokata.inspection.run import Judgement, check_dataset
from robokata.survey.unrecognised import unrecognised_files
from robokata.testing import tiny_episode, tiny_source
from robokata.viewing.html.check_report import write_html
from robokata.viewing.junit import write_junit


def packets(count: int = 50) -> Episode:
    """Messages of a lidar that nobody takes apart, on a measured clock."""
    messages = np.empty(count, object)
    messages[:] = [bytes([number]) for number in range(count)]
    clock = measured_clock(np.arange(count) * 10_000_000)
    stream = Stream("/lidar_packets", Kind.MESSAGE, Role.UNKNOWN, clock, ArrayValues(messages))
    return Episode("packets", {stream.name: stream})


def test_messages_that_nobody_takes_apart_are_nothing_to_judge() -> None:
    report = check_dataset(EpisodeList([packets()]))
    assert report.judgement is Judgement.NOTHING_TO_JUDGE
    assert not report.is_sound
    assert set(report.decided) < set(report.checks)
    assert report.to_json()["judgement"] == "nothing to judge"
    assert report.to_json()["why_unjudged"] == "no stream of the episode that was checked holds numbers or pictures"
    both = check_dataset(EpisodeList([packets(), tiny_episode(0, duration_s=1.0)]), keys=["packets"])
    assert both.judgement is Judgement.NOTHING_TO_JUDGE


def test_a_dataset_without_episodes_is_nothing_to_judge_everywhere(tmp_path: Path) -> None:
    report = check_dataset(EpisodeList([]))
    assert report.judgement is Judgement.NOTHING_TO_JUDGE
    assert report.why_unjudged == "the dataset is empty: no episode was checked"
    write_html([report], tmp_path / "r.html")
    assert "Nothing to judge: the dataset is empty" in (tmp_path / "r.html").read_text(encoding="utf-8")
    write_junit([report], tmp_path / "r.xml")
    (suite,) = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    assert suite.find("testcase/error").get("message").startswith("nothing to judge")  # type: ignore[union-attr]
    assert len(suite.findall("testcase/skipped")) + 1 == len(suite.findall("testcase"))


def test_sound_data_are_sound_and_say_how_many_checks_decided() -> None:
    report = check_dataset(tiny_source(6))
    assert report.judgement is Judgement.SOUND
    silent = set(report.checks) - set(report.decided)
    assert silent
    assert silent <= {abstention.check for abstention in report.abstentions}


def test_a_check_that_abstains_in_one_episode_of_two_has_decided() -> None:
    blind = tiny_episode(0)
    blind = replace(blind, streams={n: s for n, s in blind.streams.items() if not s.is_picture}, ref=None)
    report = check_dataset(EpisodeList([blind, tiny_episode(1)]))
    assert "blank_camera" in report.decided
    assert "blank_camera" in {abstention.check for abstention in report.abstentions}
    assert "blank_camera" not in check_dataset(EpisodeList([blind])).decided


def test_where_all_checks_are_off_nothing_is_sound() -> None:
    every = frozenset(Suite().checks)
    assert check_dataset(tiny_source(2), suite=Suite(off=every)).judgement is Judgement.NOTHING_TO_JUDGE


@pytest.mark.parametrize(
    "name",
    ["README.md", "LICENSE", "metadata.yaml", "dataset_info.json", "features.json", ".hidden", "out.receipt.json"],
)
def test_files_that_describe_a_folder_are_no_unread_data(name: str, tmp_path: Path) -> None:
    for file in ("a.bag", name, "other.pcap"):
        (tmp_path / file).write_bytes(b"x")
    assert unrecognised_files(tmp_path, [EpisodeRow("a", file="a.bag")]) == ("other.pcap",)


def test_what_tfds_writes_beside_its_shards_is_no_unread_data(tmp_path: Path) -> None:
    shard = "set-train.tfrecord-00000-of-00001"
    for file in (shard, "dataset_info.json", "features.json", "dataset_statistics_1a2b.json", "notes.txt"):
        (tmp_path / file).write_bytes(b"x")
    assert unrecognised_files(tmp_path, [EpisodeRow("train/0", file=shard)]) == ("notes.txt",)


def test_a_dataset_with_a_layout_of_its_own_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.parquet").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    assert unrecognised_files(tmp_path, [EpisodeRow("0", file="data/0.parquet")]) == ()
