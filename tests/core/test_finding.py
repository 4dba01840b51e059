"""Spans of findings: all that is told stays covered, the worst first."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from robokata.core.finding import MOST_SPANS, Finding, Level, Span, spans_from, stretches_in_words, whole_span

STRETCHES = st.lists(
    st.builds(
        lambda first, length, channel: Span(first / 10, (first + length) / 10, first, first + length, channel),
        st.integers(0, 10_000),
        st.integers(0, 40),
        st.sampled_from(["x", "y", None]),
    ),
    min_size=1,
    max_size=200,
)


def samples(spans: list[Span] | tuple[Span, ...]) -> set[tuple[str | None, int]]:
    return {(s.channel, n) for s in spans for n in range(s.start_sample or 0, (s.end_sample or 0) + 1)}


@given(STRETCHES)
def test_spans_cover_every_stretch_and_are_a_bounded_number(stretches: list[Span]) -> None:
    spans = spans_from(stretches, worst=stretches[-1])
    assert len(spans) <= MOST_SPANS
    assert samples(stretches) <= samples(spans)
    assert samples(stretches[-1:]) <= samples(spans[:1])


@given(STRETCHES)
def test_the_ends_of_a_finding_are_those_of_all_its_spans(stretches: list[Span]) -> None:
    finding = Finding(Level.ERROR, "m", "0", spans=spans_from(stretches))
    assert finding.start_sample == min(span.start_sample or 0 for span in stretches)
    assert finding.end_s == max(span.end_s or 0 for span in stretches)


def test_many_channels_become_spans_of_the_stream() -> None:
    stretches = [Span(0.0, 1.0, n, n + 1, f"c{n}") for n in range(MOST_SPANS + 1)]
    spans = spans_from(stretches)
    assert {span.channel for span in spans} == {None}
    assert {n for _, n in samples(spans)} == set(range(MOST_SPANS + 2))


def test_words_say_how_many_stretches_there_are() -> None:
    one, two = Span(2.0, 3.6), Span(start_sample=100, end_sample=179)
    assert stretches_in_words([one]) == "from 2.00 s to 3.60 s"
    assert stretches_in_words([two, two]) == "in 2 stretches, the longest from sample 100 to 179"
    assert (one.words, two.words) == ("1.60 s from 2.00 s on", "80 samples from sample 100 on")
    assert (whole_span(None), whole_span(2.0)) == ((), (Span(0.0, 2.0),))


def test_without_times_seconds_are_null_in_json() -> None:
    untimed = Finding(Level.INFO, "m", "0", spans=(Span(None, None, 4, 9), Span(None, None, 1, 2)))
    shown = json.loads(json.dumps(untimed.to_json()))
    assert (shown["start_s"], shown["end_s"], shown["start_sample"], shown["end_sample"]) == (None, None, 1, 9)
    assert [span["start_sample"] for span in shown["spans"]] == [4, 1]
