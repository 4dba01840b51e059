"""What single metrics promise beyond the contract."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from robokata.core.clock import NS_PER_S, measured_clock, step_clock
from robokata.core.detection import open_source
from robokata.core.episode import Annotation, Episode, Outcome
from robokata.core.values import ArrayValues
from robokata.evaluation.metric import measure_trials, summarise
from robokata.metrics import (
    action_chatter,
    attempts,
    chunk_boundary_jump,
    collisions,
    drops,
    failure_cause,
    first_try_success,
    path_efficiency,
    smoothness_ldlj,
    smoothness_sparc,
    stalls,
    time_to_success,
)
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import RATE_HZ, scripted_trial, without_simulator


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def at_every(episode: Episode, keep: int) -> Episode:
    """The same movement, sampled more slowly."""
    streams = {}
    for name, stream in episode.streams.items():
        clock = measured_clock(stream.clock.times_ns[::keep], declared_rate_hz=Fraction(RATE_HZ, keep))
        streams[name] = replace(stream, clock=clock, values=ArrayValues(stream.table[::keep]))
    return replace(episode, streams=streams)


def without_times(episode: Episode) -> Episode:
    streams = {n: replace(s, clock=step_clock(len(s))) for n, s in episode.streams.items()}
    return replace(episode, streams=streams)


def test_attempts_from_the_jaws_alone_agree_with_those_from_the_things() -> None:
    for seed in range(12):
        full = scripted_trial(rng(seed), empties=seed % 3, drops=seed % 2)
        bare = attempts_of(without_simulator(full)).grasps
        assert [g.is_held for g in bare] == [g.is_held for g in attempts_of(full).grasps]
        assert len(bare) == seed % 3 + seed % 2 + 1


def test_a_drop_shows_in_the_jaws_alone() -> None:
    for count in (0, 1, 2):
        assert drops.observe(without_simulator(scripted_trial(rng(count), drops=count))).value == count


def test_without_a_calibrated_gripper_the_command_tells_what_is_held() -> None:
    log = replace(without_simulator(scripted_trial(rng(), empties=1)), embodiment=None)
    found = attempts_of(log)
    assert "it begins and ends at its highest value" in found.evidence
    assert [grasp.is_held for grasp in found.grasps] == [False, True]


def test_without_calibration_and_command_holding_is_not_judged() -> None:
    log = replace(without_simulator(scripted_trial(rng())), embodiment=None).without_stream("action")
    assert attempts.observe(log).value == 1
    assert first_try_success.observe(log).reason == (
        "nothing tells how far this gripper closes on nothing: no limits, no width, no command on its scale"
    )


def test_a_gripper_whose_sign_nobody_knows_is_not_guessed() -> None:
    log = replace(without_simulator(scripted_trial(rng(), success=False)), embodiment=None)
    assert attempts.observe(log).reason == (
        "nothing tells which way round the gripper of observation.state, channel gripper opens"
    )


@pytest.mark.parametrize("metric", [smoothness_sparc, smoothness_ldlj, action_chatter])
def test_trials_without_times_are_not_judged_for_what_needs_time(metric: object) -> None:
    assert metric.observe(without_times(scripted_trial(rng()))).reason == "the format keeps no times"


def test_smoothness_is_not_judged_below_usable_rates() -> None:
    slow = at_every(scripted_trial(rng()), 4)
    assert smoothness_sparc.observe(slow).reason == "5 Hz; smoothness needs 10 Hz"
    assert smoothness_ldlj.observe(at_every(scripted_trial(rng()), 2)).reason == "10 Hz; smoothness needs 20 Hz"


def test_smoothness_of_different_rates_is_resampled_by_measure_and_refused_by_summarise() -> None:
    fast, slow = scripted_trial(rng(1)), at_every(scripted_trial(rng(2)), 2)
    rows = [smoothness_sparc.observe(fast), smoothness_sparc.observe(slow)]
    assert summarise("smoothness_sparc", rows).reason == (
        "trials at 10 Hz and at 20 Hz cannot be pooled: the value depends on the rate. Observe all with rate_hz=10"
    )
    both = measure_trials("smoothness_sparc", [fast, slow])
    assert both.value == pytest.approx(measure_trials("smoothness_sparc", [at_every(fast, 2), slow]).value, abs=0.15)


def test_idle_ends_do_not_change_smoothness() -> None:
    short = scripted_trial(rng(4), success=None)
    still = {}
    for name, stream in short.streams.items():
        table = np.concatenate((np.repeat(stream.table[:1], 60, axis=0), stream.table))
        clock = measured_clock(np.arange(len(table), dtype=np.int64) * (NS_PER_S // RATE_HZ))
        still[name] = replace(stream, clock=clock, values=ArrayValues(table))
    long = replace(short, streams=still)
    bare = [replace(each, extra={}) for each in (short, long)]
    for metric in (smoothness_sparc, smoothness_ldlj):
        assert metric.observe(bare[1]).value == pytest.approx(metric.observe(bare[0]).value, rel=1e-6)


def test_pauses_and_retries_are_less_smooth() -> None:
    plain, retried = scripted_trial(rng(3)), scripted_trial(rng(3), empties=3, stall_s=1.0)
    for metric in (smoothness_sparc, smoothness_ldlj):
        assert metric.observe(retried).value < metric.observe(plain).value


def test_jumps_between_chunks_stand_out_and_chatter_does_not() -> None:
    assert chunk_boundary_jump.observe(scripted_trial(rng(), executed_steps=10)).value == pytest.approx(1, abs=0.5)
    assert chunk_boundary_jump.observe(scripted_trial(rng(), executed_steps=10, jump_rad=0.1)).value > 2
    assert chunk_boundary_jump.observe(scripted_trial(rng())).reason == "nobody says where chunks begin"
    assert (
        chunk_boundary_jump.observe(scripted_trial(rng(), executed_steps=1)).reason
        == "chunks of one step have no inside"
    )


def test_chatter_counts_reversals_per_second() -> None:
    calm, shaky = (
        action_chatter.observe(scripted_trial(rng())).value,
        action_chatter.observe(scripted_trial(rng(), chatter_rad=0.01)).value,
    )
    assert calm < 1
    # A sign change at every step of 20 Hz.
    assert shaky == pytest.approx(RATE_HZ, rel=0.25)


def test_a_detour_makes_the_way_less_efficient_and_a_failure_is_not_judged() -> None:
    straight, detour = scripted_trial(rng(2)), scripted_trial(rng(2), detour_m=0.3)
    assert path_efficiency.observe(detour).value < path_efficiency.observe(straight).value <= 1
    assert path_efficiency.observe(scripted_trial(rng(), success=False)).reason == (
        "it failed: the way to the goal is not known"
    )


def test_a_trial_cut_short_counts_with_the_time_that_it_was_given() -> None:
    failed = time_to_success.observe(scripted_trial(rng(), success=False))
    assert (failed.value, failed.is_censored) == (30.0, True)
    all_failed = measure_trials("time_to_success", [scripted_trial(rng(seed), success=False) for seed in range(3)])
    assert (all_failed.value, all_failed.low) == (30.0, None)


def test_giving_up_on_slow_scenes_does_not_make_a_policy_fast() -> None:
    patient = [scripted_trial(rng(s), stall_s=float(4 * (s % 2))) for s in range(10)]
    gives_up = [scripted_trial(rng(s), stall_s=float(4 * (s % 2)), success=s % 2 == 0) for s in range(10)]
    assert measure_trials("time_to_success", gives_up).value > measure_trials("time_to_success", patient).value


def test_contacts_of_one_pair_in_quick_succession_are_one() -> None:
    bounces = tuple(Annotation("contact:arm/palm:cube", 1 + 0.15 * k, 1.05 + 0.15 * k) for k in range(4))
    later = Annotation("contact:arm/palm:cube", 3.0, 3.1)
    hit = replace(scripted_trial(rng()), annotations=(*bounces, later))
    assert collisions.observe(hit).value == 2
    unknown = replace(hit, extra={})
    assert collisions.observe(unknown).reason == "contacts were not recorded"


def test_a_trial_frozen_from_the_first_step_is_one_standstill() -> None:
    made = scripted_trial(rng(), success=False)
    frozen = {n: s.with_values(ArrayValues(np.repeat(s.table[:1], len(s), axis=0))) for n, s in made.streams.items()}
    assert stalls.observe(replace(made, streams=frozen)).value == 1
    assert failure_cause.cause_of(replace(made, streams=frozen)) == "stall"


def test_standing_still_after_success_is_no_stall() -> None:
    made = scripted_trial(rng())
    early = {**made.extra["simulation"], "first_success_s": 0.2}
    assert (
        stalls.observe(replace(scripted_trial(rng(), empties=1, stall_s=3.0), extra={"simulation": early})).value == 0
    )


def test_success_once_is_not_told_where_only_failures_at_the_end_are_known() -> None:
    plain = [replace(scripted_trial(rng(s), success=bool(s)), extra={}) for s in (0, 1)]
    assert measure_trials("success_at_end", plain).value == 0.5
    assert measure_trials("success_once", plain).value is None
    assert measure_trials("success_once", plain[1:]).value == 1


def test_recoveries_count_only_trials_in_trouble() -> None:
    trials = [
        scripted_trial(rng(1)),
        scripted_trial(rng(2), empties=1),
        scripted_trial(rng(3), empties=2, is_held=False, success=False),
    ]
    estimate = measure_trials("recoveries", trials)
    assert (estimate.value, estimate.n, estimate.unmeasured, estimate.note) == (0.5, 2, 1, "never in trouble")


def with_facts(episode: Episode, **simulation: object) -> Episode:
    return replace(episode, extra={**episode.extra, "simulation": {**episode.extra["simulation"], **simulation}})


def circling(episode: Episode) -> Episode:
    pose = episode.stream("observation.tip_pose")
    table = pose.table.copy()
    turn = np.arange(len(table)) / RATE_HZ * 2 * np.pi
    table[:, 0], table[:, 1], table[:, 2] = 0.02 * np.cos(turn), 0.02 * np.sin(turn), 0.2
    return episode.with_stream(pose.with_values(ArrayValues(table)))


def test_each_cause_of_failure_is_told_apart() -> None:
    failed = {"success": False}
    stopped = scripted_trial(rng(), **failed)
    grasp = Annotation("grasp:arm:red", 2.0, 3.0)
    hit = Annotation("contact:arm/palm:table", 0.6, 1.5)
    never_closed = scripted_trial(rng(), is_held=False, **failed)
    short = scripted_trial(rng(), **failed)
    let_go = with_facts(scripted_trial(rng(4)), success_once=False, first_success_s=None)
    cases = {
        "safety_stop": replace(stopped, extra={**stopped.extra, "trial": {"stopped": "safety"}}),
        "undone": with_facts(stopped, success_once=True, first_success_s=2.0),
        "wrong_object": with_facts(replace(stopped, annotations=(grasp,)), targets=["green"]),
        "drop": replace(short, annotations=(Annotation("drop:cube", short.duration_s, short.duration_s),)),
        "oscillation": circling(short),
        "collision": replace(never_closed, annotations=(hit,)),
        "grasp_fail": scripted_trial(rng(), empties=2, is_held=False, **failed),
        "approach_miss": never_closed,
        "premature_stop": short,
        "misplaced": replace(let_go, outcome=Outcome(False), extra={"simulation": let_go.extra["simulation"]}),
        "timeout_in_progress": replace(short, extra={"simulation": short.extra["simulation"]}),
    }
    assert {name: failure_cause.cause_of(case) for name, case in cases.items()} == {name: name for name in cases}


def test_the_causes_of_a_set_add_up() -> None:
    trials = [scripted_trial(rng(s), empties=2, is_held=False, success=False) for s in range(3)] + [
        scripted_trial(rng(9))
    ]
    estimate = measure_trials("failure_cause", trials)
    assert [(part.quantity, part.value) for part in estimate.parts] == [("grasp_fail", 1.0)]
    assert (estimate.n, estimate.note) == (3, "it succeeded")


def test_a_real_width_is_segmented(shared_data: Path) -> None:
    source = open_source(shared_data / "lerobot-v1-arrow" / "umi_cup_in_the_wild")
    (grasp,) = attempts_of(source.episode(next(iter(source.keys())))).grasps
    assert grasp.is_held
    assert (grasp.start_s, grasp.end_s) == pytest.approx((19.9, 29.5), abs=0.5)


def test_real_teleoperation_without_times_is_counted_by_samples(shared_data: Path) -> None:
    source = open_source(shared_data / "droid-json-mp4" / "droid_subset")
    episodes = [source.episode(key) for key in source.keys()]
    estimate = measure_trials("attempts", episodes)
    # One closing in each of train/1, train/3 and train/5, three in train/2, none in train/6; looked at by eye. The sign
    # of the gripper in train/0 and train/4 does not show: they end half closed.
    assert (estimate.value, estimate.n, estimate.unmeasured) == (6 / 5, 5, 2)
    assert measure_trials("success_at_end", episodes).value == pytest.approx(4 / 7)
