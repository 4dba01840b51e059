"""Success rates of SIMPLER, real and simulated, and the agreement that its authors print."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One task: success rates of the same policies in both worlds, and the published statistics."""

    real: dict[str, float]
    simulated: dict[str, float]
    real_trials: int
    mmrv: float
    pearson: float


def _task(real: str, simulated: str, policies: tuple[str, ...], trials: int, mmrv: float, pearson: float) -> Published:
    rates = [dict(zip(policies, (float(x) for x in row.split()), strict=True)) for row in (real, simulated)]
    return Published(rates[0], rates[1], trials, mmrv, pearson)


_GOOGLE = ("rt-2-x", "rt-1-converged", "rt-1-15pct", "rt-1-x", "rt-1-begin", "octo-base")
_WIDOWX = ("rt-1-x", "octo-base", "octo-small")

# Li et al., Evaluating Real-World Robot Manipulation Policies in Simulation (2024), tables of visual matching; trials
# per policy from its appendix (coke can 25 per orientation, drawers 27, WidowX 24).
SIMPLER = {
    "pick coke can": _task(
        ".907 .853 .920 .760 .133 .293", ".787 .857 .710 .567 .027 .170", _GOOGLE, 75, 0.0313, 0.9754
    ),
    "move near": _task(".733 .633 .583 .450 .017 .350", ".779 .442 .354 .317 .050 .042", _GOOGLE, 60, 0.1110, 0.8561),
    "open drawer": _task(".333 .815 .704 .519 .000 .148", ".157 .601 .463 .296 .000 .009", _GOOGLE, 27, 0.0, 0.9832),
    "close drawer": _task(
        ".630 .926 .889 .741 .000 .519", ".343 .861 .667 .891 .278 .444", _GOOGLE, 27, 0.1233, 0.7712
    ),
    "apple in drawer": _task(
        ".074 .185 .185 .407 .000 .000", ".037 .065 .130 .213 .000 .000", _GOOGLE, 27, 0.0, 0.9692
    ),
    "spoon on towel": _task(".000 .333 .417", ".000 .125 .472", _WIDOWX, 24, 0.0, 0.8269),
    "carrot on plate": _task(".000 .250 .083", ".042 .083 .097", _WIDOWX, 24, 0.1113, 0.5714),
    "stack cube": _task(".000 .000 .125", ".000 .000 .042", _WIDOWX, 24, 0.0, 1.0),
    "eggplant in basket": _task(".000 .250 .400", ".000 .431 .569", _WIDOWX, 24, 0.0, 0.9894),
}
