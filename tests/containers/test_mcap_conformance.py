"""All 416 files of Foxglove's MCAP conformance suite: what is in each is what comes out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from makers.mcap_conformance import INPUTS, Input, suite
from robokata.containers.mcap.file import McapFile
from robokata.conversion.convert import convert
from robokata.core.detection import open_source
from robokata.formats import mcap

PUBLISHED = "eabcfbf8e6525dd4022cb979a3d1793443a31f427cc163be4ddb98e295cd8d01"
"""SHA-256 of the names and SHA-256s that foxglove/mcap publishes (commit 95d067356, tests/conformance/data)."""
SUITE = sorted(suite(), key=lambda one: one[0])


def test_the_suite_is_byte_for_byte_the_published_one() -> None:
    digest = hashlib.sha256()
    for name, _, _, data in SUITE:
        digest.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    assert (len(SUITE), digest.hexdigest()) == (416, PUBLISHED)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_every_variant_holds_the_records_of_its_input(tmp_path: Path, one: Input) -> None:
    variants = [(name, data) for name, made_of, _, data in SUITE if made_of == one]
    assert variants
    for name, data in variants:
        path = tmp_path / f"{name}.mcap"
        path.write_bytes(data)
        assert contents(McapFile(path)) == expected(one), name
        assert streams(path) == {"example": [(p, data) for _, p, data in expected(one)["messages"]]} or not one.channels


def contents(file: McapFile) -> dict:
    topics = [(t.name, t.encoding, *t.schema, dict(t.extra["metadata"])) for t in file.topics]
    messages = []
    for number in range(len(topics)):
        places = file.index(number).places
        read = file.read(np.full(len(places), number, np.int64), places)
        messages += [(m.receive_ns, m.publish_ns, bytes(m.data)) for m in read]
    said = ("name", "media_type", "log_time_ns", "create_time_ns")
    about = [(*(r[name] for name in said), data) for r, data in file.attachments()]
    assert all(d.holds for d in file.declarations())
    return {
        "profile": (file.profile, file.library),
        "topics": topics,
        "messages": messages,
        "counts": list(file.counts()),
        "span": file.span_ns(),
        "attachments": about,
        "metadata": [(r["name"], r["values"]) for r in file.extra.get("metadata", [])],
    }


def expected(one: Input) -> dict:
    schemas = {number: (name, encoding, data) for number, name, encoding, data in one.schemas}
    times = [log for log, _, _ in one.messages]
    return {
        "profile": ("", ""),
        "topics": [(t, e, *schemas.get(s, ("", "", b"")), dict(m)) for _, s, t, e, m in one.channels],
        "messages": [(log, publish, b"\x01\x02\x03") for log, publish, _ in sorted(one.messages)],
        "counts": [len(one.messages)] * len(one.channels),
        "span": (min(times), max(times)) if times else None,
        "attachments": [("myFile", "application/octet-stream", 2, 1, b"\x01\x02\x03")] * one.has_attachment,
        "metadata": [("myMetadata", {"foo": "bar"})] * one.has_metadata,
    }


def streams(path: Path) -> dict:
    """Publish stamps and bytes of every stream, as an episode gives them."""
    episode = mcap.read(path).episode(path.stem)
    return {
        name: list(zip(stream.other_clocks["publish"].times_ns.tolist(), map(bytes, stream.values[:]), strict=True))
        for name, stream in episode.streams.items()
    }


@pytest.mark.parametrize("name", ["TenMessages-pad", "TenMessages-ch-chx-mx-pad-rch-rsh-st-sum", "OneMessage-ch-mx"])
def test_a_file_of_the_suite_comes_through_a_conversion(tmp_path: Path, name: str) -> None:
    (one, data) = next((one, data) for found, one, _, data in SUITE if found == name)
    path = tmp_path / "a.mcap"
    path.write_bytes(data)
    convert(open_source(path), tmp_path / "b.mcap", "mcap")
    after = McapFile(tmp_path / "b.mcap")
    assert [m[:3] for m in contents_of_topic(after, "example")] == expected(one)["messages"]


def contents_of_topic(file: McapFile, name: str) -> list:
    number = next(i for i, topic in enumerate(file.topics) if topic.name == name)
    places = file.index(number).places
    return [
        (m.receive_ns, m.publish_ns, bytes(m.data)) for m in file.read(np.full(len(places), number, np.int64), places)
    ]
