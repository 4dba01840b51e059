"""Does what the tour claims hold on other processors? `python -m benchmarks.tour FOLDER [VARIANT ...]`.

A processor chooses the code that the libraries run (AVX-512, AVX2, ...), and with it the order in which floating-point
numbers are added. Training amplifies the last digit: the same seed gives another policy. Each variant makes
PyTorch's libraries take other code than they do here, or takes other seeds; the data are made once, and every
variant learns from the same. The tour's study runs whole in each; runs that are done are found again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.detection import open_source
from robokata.studies import guided_tour as tour
from robokata.studies.study import FILE, run_study


class Variant(NamedTuple):
    """One way in which the tour may turn out elsewhere."""

    environment: Mapping[str, str]
    seed: int = 0
    """Of the study: training seeds and the resets of trials."""


VARIANTS = {
    "this processor": Variant({}),
    "AVX2": Variant({"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}),
    "common code": Variant({"MKL_CBWR": "COMPATIBLE"}),
    "other seeds": Variant({}, seed=1),
}
"""The second and third were seen to change a training's loss in its sixth digit after 40 steps, where this processor
has AVX-512. Limits of numpy's and MKL's instructions, and of torch's own kernels alone, changed nothing."""


def main() -> int:
    """Run the variants, and print every answer of each; 1 where the tour's claim is not resolved in all of them."""
    folder, chosen = Path(sys.argv[1]), sys.argv[2:] or list(VARIANTS)
    if not (folder / "recorded").exists():
        source = tour.record(folder / "collected", seed=0, workers=None, advance=lambda episodes: None)
        tour.spoil(source, folder / "recorded", seed=0)
    made: Path | None = None
    holds = True
    for name in chosen:
        out = folder / name.replace(" ", "_")
        if made is not None and not (out / "data").exists():
            shutil.copytree(made / "data", out / "data")
        command = (sys.executable, "-m", "benchmarks.tour", "--one", str(folder), name)
        subprocess.run(command, check=True, env=os.environ | VARIANTS[name].environment)
        made = made or out
        holds &= _show(name, json.loads((out / FILE).read_text(encoding="utf-8"))["answers"])
    print("the tour's claim is resolved in all" if holds else "the tour's claim is NOT resolved in all")
    return 0 if holds else 1


def _one(folder: Path, name: str) -> int:
    source = open_source(folder / "recorded").path
    asked = tour.question(source, folder, seed=VARIANTS[name].seed)
    run_study(asked, folder / name.replace(" ", "_"))
    return 0


def _show(name: str, answers: list[dict[str, Any]]) -> bool:
    print(f"\n{name}")
    for answer in answers:
        told = answer["effects"]["success_at_end"]["estimate"]
        interval = f"{100 * told['value']:+.1f} [{100 * told['low']:+.1f}, {100 * told['high']:+.1f}; 95 %, unadjusted]"
        verdict = "resolved" if answer["is_resolved"] else "not resolvable"
        what = f"{answer['level']} against {answer['baseline']}"
        print(f"  {what}: {interval}, p after Holm {answer['p_adjusted']:.2g}, {verdict}", flush=True)
    (claim,) = (a for a in answers if a["level"] == tour.CLAIMED and a["is_control"])
    return bool(claim["is_resolved"]) and claim["effects"]["success_at_end"]["estimate"]["value"] > 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        sys.exit(_one(Path(sys.argv[2]), sys.argv[3]))
    sys.exit(main())
