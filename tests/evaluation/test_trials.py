"""Trials: policies that succeed, fail, die and lie; probes that check themselves; comparisons that are fair."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robokata.core.contracts import Chunk, PolicyRef, PolicySpec, Sensed, StreamNeed
from robokata.core.detection import open_source
from robokata.core.errors import ComparisonRefused, EvaluationStopped, PolicyFailed, UnknownName
from robokata.core.world import Width
from robokata.evaluation import trials as trials_module
from robokata.evaluation.evaluation import run_evaluation
from robokata.evaluation.probes import probes_for
from robokata.evaluation.trial import Conditions
from robokata.evaluation.trials import TrialJob, evaluate_policy
from robokata.geometry.poses import pose_from_seven, seven_of
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import scene_of
from robokata.tasks._moves import above, grasp_yaw, hand_down
from robokata.viewing.html.evaluation import write_evaluation
from robokata.viewing.terminal.evaluation import show_evaluation

TIP = tuple(f"tip.{axis}" for axis in ("x", "y", "z", "qx", "qy", "qz", "qw"))


@dataclass
class Lifter:
    """A policy of ten lines that lifts the cube from its true pose; it can be told to go wrong."""

    fault: str = ""
    sees: bool = False
    calls: int = 0

    def hello(self, embodiment: str | None = None) -> PolicySpec:
        needs = [StreamNeed("observation.tip_pose", (7,), TIP), StreamNeed("simulation.objects", (7,))]
        if self.sees:
            needs.append(StreamNeed("observation.images.scene", (32, 32, 3)))
        return PolicySpec("lifter", tuple(needs), (*TIP, "opening"), 4, 20.0, "action.tip_pose", 4)

    def reset(self, episode_id: str, *, seed: int, embodiment: str | None = None) -> None:
        self.calls, self.phase = 0, 0

    def act(self, observation: Sensed) -> Chunk:
        self.calls += 1
        if self.fault == "dies" and self.calls == 3:
            raise PolicyFailed("died", "the server hung up.")
        tip, cube = (pose_from_seven(observation[n]) for n in ("observation.tip_pose", "simulation.objects"))
        grasp = hand_down(cube[:3, 3], grasp_yaw(cube, turns=4))
        goals = [(above(grasp, 0.1), 0.08), (grasp, 0.08), (grasp, 0.0), (above(grasp, 0.1), 0.0)]
        if self.fault == "idle":
            goals = [(tip, 0.08)] * 4
        goal, opening_m = goals[self.phase]
        if self.phase < 3 and (np.linalg.norm(tip[:3, 3] - goal[:3, 3]) < 0.01 or self.phase == 2):
            self.phase += 1
        step = goal[:3, 3] - tip[:3, 3]
        row = goal.copy()
        row[:3, 3] = tip[:3, 3] + step * min(1.0, 0.06 / max(np.linalg.norm(step), 1e-9))
        actions = np.tile([*seven_of(row), opening_m], (4, 1))
        if self.fault == "nan":
            actions[1, 2] = np.nan
        return Chunk(actions[:, :5] if self.fault == "shape" else actions, (*TIP, "opening"), 20.0)

    def close(self) -> None: ...


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes `opened` give this policy, in this process."""

    def use(made: Lifter) -> Lifter:
        monkeypatch.setattr(trials_module, "opened", lambda ref: made)
        return made

    return use


def job(**options: Any) -> TrialJob:
    conditions = Conditions(scene_of("lift"), Width.D0, **options)
    return TrialJob(PolicyRef("lifter"), conditions, seed=7, filming=None)


run = functools.partial(evaluate_policy, trials=4, workers=1)


def test_a_good_policy_succeeds_and_its_trials_are_episodes(policy: Any, tmp_path: Path) -> None:
    policy(Lifter())
    made = run(job(), tmp_path / "out")
    assert made.metrics["success_at_end"].value == 1.0
    assert made.metrics["first_try_success"].value == 1.0
    episodes = open_source(tmp_path / "out")
    trial = episodes.episode(episodes.keys()[0])
    assert trial.outcome.success is True
    assert trial.extra["trial"]["protocol_hash"] == made.protocol.hash
    assert trial.extra["trial"]["chunk_starts"][:3] == [0, 4, 8]


def test_an_idle_policy_fails_for_a_known_cause(policy: Any, tmp_path: Path) -> None:
    policy(Lifter(fault="idle"))
    made = run(job(), tmp_path / "out")
    assert made.metrics["success_at_end"].value == 0.0
    assert made.metrics["time_to_success"].value == pytest.approx(8.0), "failures are censored at the horizon"
    assert made.metrics["failure_cause"].parts[0].value == 1.0


@pytest.mark.parametrize(("fault", "kind"), [("dies", "died"), ("nan", "not_finite"), ("shape", "wrong_shape")])
def test_a_broken_policy_costs_trials_that_do_not_count_and_stops_the_run(
    policy: Any, tmp_path: Path, fault: str, kind: str
) -> None:
    policy(Lifter(fault=fault))
    with pytest.raises(EvaluationStopped, match=f"4 of 4 trials failed for reasons outside the policy.*{kind}"):
        run(job(), tmp_path / "out")


def test_a_server_that_is_gone_when_a_worker_calls_costs_that_trial_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []

    def opened(ref: PolicyRef) -> Lifter:
        calls.append(ref)
        if len(calls) == 3:
            raise PolicyFailed("unreachable", "ws://here: the policy server cannot be reached.")
        return Lifter()

    monkeypatch.setattr(trials_module, "opened", opened)
    trials = run(job(), tmp_path / "out")
    assert len(trials.successes) == 4
    assert [line.number for line in trials.lines if line.row["infrastructure"]] == [1]


def test_a_policy_that_dies_now_and_then_is_judged_by_the_rest(policy: Any, tmp_path: Path) -> None:
    made = policy(Lifter())
    act, died = made.act, []

    def mostly(observation: Sensed) -> Chunk:
        if made.calls == 2 and not died:
            died.append(True)
            raise PolicyFailed("stalled", "no answer within 10 s.")
        return act(observation)

    made.act = mostly
    trials = run(job(), tmp_path / "out")
    assert len(trials.successes) == 4
    assert trials.metrics["success_at_end"].infrastructure == 1
    assert trials.metrics["success_at_end"].n == 4


def test_broken_trials_are_run_anew_once_the_policy_works(policy: Any, tmp_path: Path) -> None:
    policy(Lifter(fault="dies"))
    with pytest.raises(EvaluationStopped):
        run(job(), tmp_path / "out")
    policy(Lifter())
    assert len(run(job(), tmp_path / "out").successes) == 4


def test_the_same_trials_meet_every_policy(policy: Any, tmp_path: Path) -> None:
    policy(Lifter())
    one = run(job(), tmp_path / "one")
    policy(Lifter(fault="idle"))
    other = run(job(), tmp_path / "other")
    seen = [[line.row["seen"] for line in each.lines] for each in (one, other)]
    assert seen[0] == seen[1]


def test_probes_change_what_they_mean_to_and_nothing_else(policy: Any, tmp_path: Path) -> None:
    policy(Lifter(sees=True))
    names = ["light", "texture", "object_mass", "paraphrase", "sensor_noise", "object_pose_D1", "object_pose_D2"]
    probes = probes_for(names, width=Width.D0)
    found = run_evaluation(job(size_px=(32, 32)), tmp_path / "out", trials=3, probes=probes, workers=1)
    for result in found.probes:
        assert result.manipulation.holds, f"{result.probe.name}: {result.manipulation.sentence()}"
    write_evaluation(found, tmp_path / "report.html")
    assert "manipulation" in (tmp_path / "report.html").read_text()


def test_a_wider_reset_reaches_a_policy_of_numbers_too(policy: Any, tmp_path: Path) -> None:
    policy(Lifter())
    probes = probes_for(["object_pose_D1"], width=Width.D0)
    (wider,) = run_evaluation(job(), tmp_path / "out", trials=2, probes=probes, workers=1).probes
    assert wider.manipulation.holds, wider.manipulation.sentence()


def test_probes_of_pictures_are_not_run_for_a_policy_that_sees_none(
    policy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy(Lifter())
    probes = probes_for(["light", "sensor_noise", "object_mass"], width=Width.D0)
    found = run_evaluation(job(), tmp_path / "out", trials=2, probes=probes, workers=1)
    assert [result.probe.name for result in found.probes] == ["object_mass"]
    assert {each.probe.name for each in found.skipped} == {"light", "sensor_noise"}
    assert not (tmp_path / "out" / "light").exists()
    reason = "the policy sees no pictures, and it changes nothing else"
    assert found.to_json()["skipped_probes"] == {"light": reason, "sensor_noise": reason}
    show_evaluation(found)
    assert f"probe light was not run: {reason}" in capsys.readouterr().out
    write_evaluation(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "2 not run" in page
    assert found.floor is None


def test_probes_of_a_policy_that_never_succeeds_are_said_to_be_at_the_floor(
    policy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy(Lifter(fault="idle"))
    probes = probes_for(["object_mass"], width=Width.D0)
    found = run_evaluation(job(), tmp_path / "out", trials=2, probes=probes, workers=1)
    said = "The control arm succeeded in 0 of 2 trials: no probe can be worse."
    show_evaluation(found)
    write_evaluation(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in page
    links = re.findall(r'<a href="#(part-\d+)">', page)
    assert len(links) >= 4
    assert all(f'id="{link}"' in page for link in links)
    assert "<details open><summary>control: 2 of 2 trials failed" in page
    assert "<details><summary>object_mass: 2 of 2 trials failed" in page


def test_a_probe_that_does_not_reach_the_policy_fails_its_check(policy: Any, tmp_path: Path) -> None:
    policy(Lifter(sees=True))
    (paraphrase,) = probes_for(["paraphrase"], width=Width.D0)
    broken = replace(paraphrase, reworded={"zebra": "giraffe"})
    found = run_evaluation(job(size_px=(32, 32)), tmp_path / "out", trials=2, probes=[broken], workers=1)
    assert not found.probes[0].manipulation.holds
    assert found.probes[0].manipulation.sentence() == "of 2 trials: instruction did not change in 2"


def test_policies_are_compared_on_shared_trials_and_unlike_protocols_are_refused(
    policy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy(Lifter(fault="idle"))
    run_evaluation(job(), tmp_path / "idle", trials=12, workers=1)
    policy(Lifter())
    found = run_evaluation(job(), tmp_path / "good", trials=12, against=tmp_path / "idle", sequential=True, workers=1)
    assert found.against is not None
    assert found.against.comparison.difference.value == 1.0
    assert found.against.sequential is not None
    assert found.against.sequential.winner is not None
    assert found.against.sequential.pairs < 12, "ten clear pairs decide"
    told, report = found.to_json()["against"]["comparison"], tmp_path / "report.html"
    assert (told["p_value"], told["difference"]["low"], told["second_is_better_share"]) == (None, None, None)
    write_evaluation(found, report)
    show_evaluation(found)
    shown = " ".join(capsys.readouterr().out.split())
    for page in (report.read_text(), shown):
        assert "pairs: this policy is better, e-value" in page
        assert "No interval and no McNemar p are given: they hold for a number of trials fixed before" in page
        assert "not of the methods that trained them (one training seed each): a claim about a method needs" in page
        assert "McNemar exact" not in page
    wide = replace(job(), conditions=replace(job().conditions, width=Width.D1))
    with pytest.raises(ComparisonRefused, match="width: 'D0' and 'D1'"):
        run_evaluation(wide, tmp_path / "wide", trials=2, against=tmp_path / "idle", workers=1)
    assert not (tmp_path / "wide").exists(), "refused before the first trial"


def test_a_comparison_of_all_trials_has_its_p_and_says_of_what_it_speaks(policy: Any, tmp_path: Path) -> None:
    policy(Lifter(fault="idle"))
    run_evaluation(job(), tmp_path / "one", trials=2, workers=1)
    found = run_evaluation(job(), tmp_path / "other", trials=2, against=tmp_path / "one", workers=1)
    assert found.against is not None
    first, scope = found.against.sentences()
    assert first.endswith("n = 2, p = 1 (McNemar exact)")
    assert scope.startswith("This speaks of these two checkpoints, not of the methods that trained them")


def test_trials_until_it_is_decided_need_something_to_decide(policy: Any, tmp_path: Path) -> None:
    policy(Lifter())
    with pytest.raises(ComparisonRefused, match="Say with what"):
        run_evaluation(job(), tmp_path / "out", trials=2, sequential=True, workers=1)


def test_an_unknown_probe_lists_those_that_exist() -> None:
    with pytest.raises(UnknownName, match=r"No probe is called 'lihgt'\. Did you mean 'light'"):
        probes_for(["lihgt"], width=Width.D0)
    with pytest.raises(UnknownName, match=r"No probe is called 'lihgt'"):
        probes_for(["all", "lihgt"], width=Width.D0)


def test_all_probes_may_be_asked_for_together_with_one_of_them() -> None:
    every = probes_for(None, width=Width.D0)
    assert probes_for(["all"], width=Width.D0) == probes_for(["all", "light"], width=Width.D0) == every


def test_a_policy_for_another_robot_is_refused_as_infrastructure(policy: Any, tmp_path: Path) -> None:
    policy(Lifter())
    two_arms = TrialJob(PolicyRef("lifter"), Conditions(scene_of("hand_over"), Width.D0), seed=1, filming=None)
    with pytest.raises(EvaluationStopped, match="was trained for another robot"):
        evaluate_policy(two_arms, tmp_path / "out", trials=1, workers=1)


def test_the_mixture_changes_everything_that_single_probes_change(policy: Any, tmp_path: Path) -> None:
    policy(Lifter(sees=True))
    (mixed,) = run_evaluation(
        job(size_px=(32, 32)), tmp_path / "out", trials=2, workers=1,
        probes=probes_for(["all_mixed"], width=Width.D0),
    ).probes  # fmt: skip
    assert mixed.manipulation.holds, mixed.manipulation.sentence()
    factors = mixed.trials.protocol.factors
    singles = [probe for probe in probes_for(None, width=Width.D0) if probe.factors]
    assert {name for probe in singles for name in probe.factors} <= set(factors)
    assert mixed.trials.protocol.width == "D1"


def test_the_report_shows_failures_as_filmstrips_with_their_cause_and_how_to_open_them(
    policy: Any, tmp_path: Path
) -> None:
    policy(Lifter(fault="idle"))
    filmed = replace(job(), filming=Filming(32, 32))
    found = run_evaluation(
        filmed, tmp_path / "out", trials=2, workers=1, probes=probes_for(["robot_start"], width=Width.D0)
    )
    write_evaluation(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for arm in ("control", "robot_start"):
        assert f"{arm}: 2 of 2 trials failed" in page
        assert f"kata look {tmp_path}/out/{arm}/{'trial' if arm == 'control' else arm}-000001.mcap" in page
    assert page.count("data:image/jpeg;base64") == 4 * 7
    assert ">approach_miss</span> trial 0, 8.0 s" in page
