"""Runs the corpus in two processes, prints what goes wrong as it comes, and writes the figures."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.trust.corpus import corpus
from benchmarks.trust.trial import Outcome, try_variant


def main(words: Sequence[str]) -> int:
    """Run the variants that the command line chooses; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks trust", description=__doc__)
    parser.add_argument("--only", default="", help="variants whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="every n-th variant of those")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--json", type=Path, help="write outcomes here; variants that it holds already are not run again"
    )
    parser.add_argument("--page", type=Path, help="write the Markdown page here")
    parser.add_argument("--list", action="store_true", help="print the names, and end")
    chosen = parser.parse_args(words)
    names = [variant.name for variant in corpus() if chosen.only in variant.name][:: chosen.every]
    if chosen.list:
        print("\n".join(names))
        return 0
    from benchmarks.trust import page

    known = page.load(chosen.json) if chosen.json and chosen.json.exists() else {}
    began = time.perf_counter()
    fresh = [name for name in names if name not in known]
    outcomes = dict(known)
    for number, outcome in enumerate(run(fresh, jobs=chosen.jobs), 1):
        outcomes[outcome.name] = outcome
        print(f"{number:>4}/{len(fresh)} {_words(outcome)}", flush=True)
        if chosen.json:
            page.save(chosen.json, outcomes, wall_s=time.perf_counter() - began)
    shown = [outcomes[name] for name in names]
    print(page.figures(shown, wall_s=time.perf_counter() - began))
    if chosen.page:
        chosen.page.write_text(page.markdown(shown, wall_s=time.perf_counter() - began))
    return int(any(o.wrong or o.false_exact or o.internal for o in shown))


def run(names: Sequence[str], *, jobs: int) -> Iterator[Outcome]:
    """Outcomes of variants by name, in their order."""
    with tempfile.TemporaryDirectory(prefix="robokata-trust-") as folder:
        # The cache is the run's own: what it keeps of these files is of no use to anybody.
        os.environ["ROBOKATA_CACHE"] = str(Path(folder) / "cache")
        work = [(name, folder) for name in names]
        if jobs <= 1:
            yield from map(try_named, work)
            return
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            yield from pool.imap(try_named, work)


def try_named(work: tuple[str, str]) -> Outcome:
    """One variant, in a folder of its own."""
    name, folder = work
    variant = next(variant for variant in corpus() if variant.name == name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return try_variant(variant, Path(folder) / name.replace("/", "-"))


def _words(outcome: Outcome) -> str:
    is_right = not (outcome.wrong or outcome.false_exact or outcome.internal)
    lines = [f"{'ok  ' if is_right else 'FAIL'} {outcome.name} ({outcome.seconds:.1f} s)"]
    for kind in ("wrong", "false_exact", "internal"):
        lines += [f"       {kind}: {what}"[:300] for what in getattr(outcome, kind)[:6]]
    return "\n".join(lines)
