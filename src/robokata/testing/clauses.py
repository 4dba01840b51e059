"""What a check or a format must do, as functions that third parties run on theirs.

```python
import pytest
from robokata.testing import CHECK_CLAUSES

@pytest.mark.parametrize("clause", CHECK_CLAUSES)
def test_my_check_keeps_the_contract(clause):
    clause("my_check")          # the name under which it stands on the shelf
```

`SOURCE_CLAUSES` do the same for a dataset that a format leaf has opened. A clause that is broken raises
AssertionError and says which.
"""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import measured_clock
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, UnknownName
from robokata.core.finding import MOST_SPANS, Finding, Level, Span
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList, Source
from robokata.core.stream import Stream
from robokata.core.suite import Suite, thresholds_of
from robokata.core.values import ArrayValues
from robokata.inspection.run import check_dataset
from robokata.media.images import RawImages
from robokata.testing.tiny import tiny_episode, tiny_source

SECTIONS = ("What it finds:", "Why it hurts:", "Example:", "Limits:", "Repair:")
SEEDS = range(8)
VICTIM = "2"
"""Episode of the sound dataset into which a check that judges episodes one by one plants its defect."""


_STRETCHES = re.compile(r"(?<=around )\d+(?= time)|\b\d+(?= (?:such |more )?(?:stretches|gaps|jumps)\b)")
_SAMPLES = re.compile(r"\b(\d+) of \d+ (?:samples|pictures|rows|intervals)\b")


def only(check: str) -> Suite:
    """A suite of one check."""
    return Suite(off=frozenset(name for name in shelf("checks").names() if name != check))


def planted_source(check: str, seed: int, *, magnitude: float = 1.0) -> EpisodeList:
    """Six sound episodes into which a check has planted its defect."""
    leaf, rng = _leaf(check), np.random.default_rng(seed)
    source = tiny_source(6, seed=seed)
    if hasattr(leaf, "judge"):
        planted: EpisodeList = leaf.plant(source, rng, magnitude)
        return planted
    victim = leaf.plant(source.episode(VICTIM), rng, magnitude)
    return EpisodeList([victim if key == VICTIM else source.episode(key) for key in source.keys()], source.facts())


def has_five_sections(check: str) -> None:
    """The docstring has a first sentence and the five sections, in order."""
    text = _leaf(check).__doc__ or ""
    assert text.splitlines()[0].endswith("."), "the first line is one sentence"
    absent = [section for section in SECTIONS if section not in text]
    assert not absent, f"{check} lacks the sections {absent}"
    places = [text.find(section) for section in SECTIONS]
    assert places == sorted(places), "the sections come in the order of the contract"


def defines_its_parts(check: str) -> None:
    """The leaf defines NEEDS, plant, and check or gather and judge."""
    leaf = _leaf(check)
    assert all(isinstance(need, Need) for need in leaf.NEEDS), "NEEDS holds members of Need"
    assert hasattr(leaf, "plant"), "a check plants its own counterexample"
    both = hasattr(leaf, "gather") and hasattr(leaf, "judge")
    assert hasattr(leaf, "check") != both, "a leaf has check, or gather and judge"


def has_plain_thresholds(check: str) -> None:
    """Every threshold is keyword-only and has a default that a suite file can hold."""
    for name, default in thresholds_of(_leaf(check)).items():
        assert default is not inspect.Parameter.empty, f"{check}.{name} has no default"
        assert isinstance(default, (bool, int, float, str)), f"{check}.{name} cannot be written in a suite file"


def fires_on_its_plant(check: str) -> None:
    """What the check plants, it finds; the finding names the episode and seconds inside it."""
    for seed in SEEDS:
        source = planted_source(check, seed)
        found = [f for f in _findings(source, check) if f.level is not Level.INFO]
        assert found, f"{check} does not find its own plant with seed {seed}"
        for finding in found:
            assert finding.check == check, "a finding carries the name of its check"
            assert finding.repair, "a finding says what to do"
        if hasattr(_leaf(check), "check"):
            assert {f.episode for f in found} == {VICTIM}, "the planted episode, and no other"
            assert all(_is_inside(finding, source.episode(VICTIM)) for finding in found)


def covers_what_it_counts(check: str) -> None:
    """The spans of a finding hold every stretch and every sample that its message counts, in channels that it names."""
    for seed in SEEDS:
        for finding in _findings(planted_source(check, seed), check):
            spans, told = finding.spans, f"{check}, seed {seed}: {finding.message}"
            assert len(spans) <= MOST_SPANS, "a finding has at most MOST_SPANS spans"
            if not spans:
                continue
            stretches = max((int(count) for count in _STRETCHES.findall(finding.message)), default=0)
            assert len(spans) >= min(stretches, MOST_SPANS), told
            samples = max((int(count) for count in _SAMPLES.findall(finding.message)), default=0)
            assert _samples_in(spans) >= samples, told
            named = {name.strip() for name in (finding.channel or "").split(",")}
            assert not finding.channel or {span.channel for span in spans} <= {*named, finding.channel, None}, told


def lies_where_its_plant_is(check: str) -> None:
    """The spans of a finding touch samples that the plant has changed, where it is known which those are."""
    for seed in SEEDS:
        sound, planted = tiny_source(6, seed=seed), planted_source(check, seed)
        for finding in _findings(planted, check):
            if finding.level is Level.INFO or finding.stream is None or finding.episode not in sound.keys():
                continue
            before, after = (source.episode(str(finding.episode)).streams for source in (sound, planted))
            if finding.stream in before and any(span.start_sample is not None for span in finding.spans):
                samples = _changed(before[finding.stream], after[finding.stream])
                where = f"{check}, seed {seed}: {finding.message}"
                assert not len(samples) or _overlap(finding.spans, samples), where


def is_silent_on_sound_data(check: str) -> None:
    """Sound episodes give nothing above info, with measured clocks and with synthesized ones."""
    for seed in SEEDS:
        for is_measured in (True, False):
            found = _findings(tiny_source(6, seed=seed, is_measured=is_measured), check)
            loud = [f for f in found if f.level is not Level.INFO]
            assert not loud, f"{check} speaks on sound data: {loud[0].message}"


def plants_the_same_each_time(check: str) -> None:
    """The same seed plants the same defect, and the sound episodes stay sound."""
    first, second = (_findings(planted_source(check, 3), check) for _ in range(2))
    assert first == second, "planting depends on nothing but the random generator"
    assert not [f for f in _findings(tiny_source(6, seed=3), check) if f.level is not Level.INFO]


def abstains_where_needs_are_unmet(check: str) -> None:
    """An episode without streams gives an abstention with a reason, where the check needs something."""
    if not _leaf(check).NEEDS:
        return
    report = check_dataset(EpisodeList([Episode(id="bare", streams={})]), suite=only(check))
    assert report.findings == (), "nothing can be found where nothing is"
    assert [a for a in report.abstentions if a.episode == "bare" and a.reason], "an abstention has a reason"


def survives_short_episodes(check: str) -> None:
    """Episodes of no, one and two samples break nothing."""
    whole = tiny_episode(0, duration_s=1.0)
    for count in (0, 1, 2):
        streams = {}
        for name, stream in whole.streams.items():
            kept = ArrayValues(np.asarray(stream.values[:count]))
            values = RawImages(kept, where="short") if stream.is_picture else kept
            streams[name] = stream.with_values(values, clock=measured_clock(stream.clock.times_ns[:count]))
        short = Episode(id="short", streams=streams, instructions=whole.instructions)
        report = check_dataset(EpisodeList([short]), suite=only(check))
        failed = [a.reason for a in report.abstentions if "failed" in a.reason]
        assert not failed, failed


def says_what_it_lacks_to_plant(check: str) -> None:
    """Where there is nothing to plant into, `plant` gives the data back or says in words what it lacks."""
    leaf = _leaf(check)
    bare = Episode(id="bare", streams={})
    targets = [EpisodeList([]), EpisodeList([bare])] if hasattr(leaf, "judge") else [bare]
    for target in targets:
        refusal = "nothing to plant"
        try:
            leaf.plant(target, np.random.default_rng(0), 1.0)
        except ValueError as error:
            refusal = str(error)
        assert "nothing to plant" in refusal, f"{check}: {refusal}"


CHECK_CLAUSES: tuple[Callable[[str], None], ...] = (
    has_five_sections,
    defines_its_parts,
    has_plain_thresholds,
    fires_on_its_plant,
    covers_what_it_counts,
    lies_where_its_plant_is,
    is_silent_on_sound_data,
    plants_the_same_each_time,
    abstains_where_needs_are_unmet,
    survives_short_episodes,
    says_what_it_lacks_to_plant,
)
"""All that a check must do; each takes the check's name."""


def keeps_its_declarations(source: Source) -> None:
    """A sound dataset contradicts nothing that it declares, and has one row per episode."""
    facts = source.facts()
    assert not [d for d in facts.declarations if not d.holds]
    assert [row.id for row in facts.rows] == list(source.keys())


def gives_each_value_its_time(source: Source) -> None:
    """Every stream has as many int64 times as values, and samples of the shape that it promises."""
    for key in source.keys():
        episode = source.episode(key)
        assert episode.streams, "an episode has streams"
        for stream in episode.streams.values():
            assert len(stream.clock.places) == len(stream.values) == len(stream.clock), stream.name
            assert stream.clock.places.dtype == np.int64, stream.name
            assert stream.values.shape[0] == len(stream), stream.name
            if len(stream):
                assert np.shape(stream.values[0]) == stream.shape, stream.name


def travels_as_a_reference(source: Source) -> None:
    """An episode pickles small and opens again elsewhere with the same numbers."""
    episode = source.episode(source.keys()[-1])
    packed = pickle.dumps(episode)
    assert len(packed) < 2000, "an episode travels as a reference, not as its arrays"
    again = pickle.loads(packed)  # noqa: S301 - bytes that were made two lines above
    assert (again.id, list(again.streams)) == (episode.id, list(episode.streams))
    for stream in episode.numeric():
        np.testing.assert_array_equal(again.stream(stream.name).table, stream.table)


def refuses_unknown_episodes(source: Source) -> None:
    """An id that does not exist is refused with the ids that do."""
    refusal = ""
    try:
        source.episode("no such episode")
    except UnknownName as error:
        refusal = str(error)
    assert str(source.keys()[0]) in refusal, "an unknown episode is refused, and the refusal lists what exists"


def slices_as_numpy_does(source: Source) -> None:
    """Single samples, slices and arrays of sample numbers agree."""
    for key in source.keys():
        for stream in source.episode(key).streams.values():
            if len(stream) < 8 or not (stream.is_numeric or stream.is_picture):
                continue
            picked = np.asarray([len(stream) - 1, 0, len(stream) // 2])
            for row, ordinal in zip(np.asarray(stream.values[picked]), picked, strict=True):
                np.testing.assert_array_equal(row, stream.values[int(ordinal)])
            np.testing.assert_array_equal(stream.values[2:7], stream.values[np.arange(2, 7)])


SOURCE_CLAUSES: tuple[Callable[[Source], None], ...] = (
    keeps_its_declarations,
    gives_each_value_its_time,
    travels_as_a_reference,
    refuses_unknown_episodes,
    slices_as_numpy_does,
)
"""All that an opened dataset must do; each takes the Source of a sound one."""


def _leaf(check: str) -> Any:
    return shelf("checks")[check]


def _findings(source: EpisodeList, check: str) -> Sequence[Finding]:
    return check_dataset(source, suite=only(check)).findings


def _is_inside(finding: Finding, episode: Episode) -> bool:
    if finding.stream is not None and finding.stream not in episode.streams:
        return False
    last = max(map(len, episode.streams.values()), default=0)
    # Half a second beyond the end: a gap is found where the next sample should have been.
    end_s = (episode.duration_s or 0.0) + 0.5
    return all(
        (span.start_s is None or -0.5 <= span.start_s <= (span.end_s or 0.0) <= end_s)
        and (span.start_sample is None or 0 <= span.start_sample <= (span.end_sample or 0) <= last)
        for span in finding.spans
    )


def _samples_in(spans: Sequence[Span]) -> int:
    covered: set[int] = set()
    for span in spans:
        if span.start_sample is not None and span.end_sample is not None:
            covered.update(range(span.start_sample, span.end_sample + 1))
    return len(covered)


def _overlap(spans: Sequence[Span], samples: NDArray[np.int64]) -> bool:
    """True where some span touches some of the samples; a step or a gap lies between two of them."""
    return any(
        bool(((samples >= span.start_sample - 1) & (samples <= (span.end_sample or 0) + 1)).any())
        for span in spans
        if span.start_sample is not None
    )


def _changed(before: Stream, after: Stream) -> NDArray[np.int64]:
    """Numbers of the samples that a plant has changed, in value or in time."""
    count = min(len(before), len(after))
    is_other = before.clock.places[:count] != after.clock.places[:count]
    if before.values is not after.values:
        is_other = is_other | [_differ(before, after, sample) for sample in range(count)]
    return np.concatenate([np.flatnonzero(is_other), np.arange(count, max(len(before), len(after)))])


def _differ(before: Stream, after: Stream, sample: int) -> bool:
    try:
        one, other = (np.asarray(stream.values[sample]) for stream in (before, after))
    except DamagedData:
        return True
    return not np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
