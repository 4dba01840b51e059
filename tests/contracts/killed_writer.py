"""A process that starts writers and kills them: `python killed_writer.py VERB FORMAT FOLDER ATTEMPTS`, answers in JSON.

A process of its own, with nothing but imports done: each attempt is a fork of it, warm from the start, and a fork of a
process whose libraries run threads may hang. So everything that reads or writes happens in forks.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robokata.conversion.convert import convert, plan_conversion, receipt_path
from robokata.core.detection import detect, open_source
from robokata.core.errors import WriteRefused
from robokata.core.layout import LossReport
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeList
from robokata.testing import tiny_episode

SUFFIX = {"robomimic_hdf5": ".hdf5"}
OPTIONS: dict[str, dict[str, Any]] = {"lerobot_v3": {"pictures": "video", "codec": "libx264"}}
REFUSED, FAILED = 3, 4
SEEDS = (0, 1)
PLANS: dict[str, LossReport] = {}
EPISODES = {seed: [tiny_episode(number, seed=seed, duration_s=1.0) for number in range(2)] for seed in SEEDS}


def main() -> None:
    verb, name, folder, attempts = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    warm(name)
    out = folder / f"out{SUFFIX.get(name, '')}"
    PLANS[name] = plan_in_fork(folder, name)
    sys.stdout.write(json.dumps({"kill": kill, "race": race, "full": full}[verb](name, folder, out, attempts)))


def warm(name: str) -> None:
    import av  # noqa: F401  # imported here so that the forks need not: an import is no moment of a write
    import h5py  # noqa: F401
    import mcap.writer  # noqa: F401
    import numcodecs  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import simplejpeg  # noqa: F401

    # Not rerun: its import starts threads, which a fork would be without. Each fork imports it.
    shelf("formats")[name]


def plan_in_fork(folder: Path, name: str) -> LossReport:
    answer = folder.with_name(f"{folder.name}-plan")

    def work() -> None:
        plan = plan_conversion(EpisodeList(EPISODES[0]), name, options=OPTIONS.get(name), workers=1)
        answer.write_bytes(pickle.dumps(plan))

    assert in_fork(work) == 0
    plan: LossReport = pickle.loads(answer.read_bytes())  # written by the fork a moment ago
    answer.unlink()
    return plan


def kill(name: str, folder: Path, out: Path, attempts: int) -> dict[str, Any]:
    """Kill a writer at random moments; after each the target is absent or complete."""
    rng = random.Random(name)
    earlier = folder / f"earlier{out.suffix}"
    assert in_fork(lambda: write(name, earlier, 1)) == 0
    began = time.perf_counter()
    assert in_fork(lambda: write(name, folder / f"whole{out.suffix}", 0)) == 0
    whole_s = time.perf_counter() - began
    span_s = whole_s / 2
    wanted, kept = digest_in_fork(folder, folder / f"whole{out.suffix}"), bytes_of(earlier)
    seen: Counter[str] = Counter()
    for attempt in range(attempts):
        writer = start(lambda: write(name, out, 0))
        if attempt % 2:
            time.sleep(whole_s * rng.uniform(0, 1.1))
        else:
            # From the first file on: on a busy machine the times alone may all fall before or after the write.
            while not leftovers(out) and not out.exists():
                time.sleep(0.0005)
            time.sleep(span_s * rng.choice((0, rng.uniform(0, 1))))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        state = "complete" if out.exists() else "unfinished" if leftovers(out) else "absent"
        seen[state] += 1
        # On a busy machine a write takes now longer, now shorter than the one that was measured.
        whole_s *= {"absent": 1.1, "unfinished": 1.0, "complete": 0.93}[state]
        span_s *= {"absent": 1.0, "unfinished": 1.1, "complete": 0.8}[state]
        if state == "complete":
            assert digest_in_fork(folder, out) == wanted, "the target is there, and holds something else"
            receipt = receipt_path(out)
            assert not receipt.exists() or json.loads(receipt.read_text())["episodes"] == 2
            receipt.unlink(missing_ok=True)
            remove(out)
        assert bytes_of(earlier) == kept, "the output beside it has changed"
    assert in_fork(lambda: write(name, out, 0)) == 0, "the next write to the same target failed"
    assert digest_in_fork(folder, out) == wanted
    assert leftovers(out) == []
    return dict(seen)


def race(name: str, folder: Path, out: Path, attempts: int) -> dict[str, Any]:
    """Two writers of different episodes to one target at once."""
    wanted = []
    for seed in SEEDS:
        reference = folder / f"whole{seed}{out.suffix}"
        assert in_fork(lambda reference=reference, seed=seed: write(name, reference, seed)) == 0
        wanted.append(digest_in_fork(folder, reference))
    seen: Counter[str] = Counter()
    for _ in range(attempts):
        writers = [start(lambda seed=seed: write(name, out, seed)) for seed in SEEDS]
        codes = [os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in writers]
        assert set(codes) <= {0, REFUSED}, codes
        assert codes.count(0) == 1, "both wrote to one place, or none did"
        assert digest_in_fork(folder, out) == wanted[codes.index(0)], "the winner's place holds something else"
        assert leftovers(out) == []
        seen[f"{codes.count(0)} wrote"] += 1
        remove(out)
        receipt_path(out).unlink()
    return dict(seen)


def full(name: str, folder: Path, out: Path, attempts: int) -> dict[str, Any]:
    """No file may grow beyond a limit: what a full disk does to a writer, without filling one."""
    whole = folder / f"whole{out.suffix}"
    assert in_fork(lambda: write(name, whole, 0)) == 0
    largest = max(size for _, size, _ in bytes_of(whole))
    shutil.rmtree(folder)
    folder.mkdir()
    said = {}
    for attempt in range(attempts):
        limit = max(1, largest * attempt // attempts)
        answer = folder.with_name(f"{folder.name}-said")
        code = in_fork(lambda limit=limit, answer=answer: write_limited(name, out, limit, answer))
        assert code == REFUSED, f"limit of {limit} bytes: code {code}"
        assert list(folder.iterdir()) == [], f"limit of {limit} bytes left {list(folder.iterdir())}"
        said[str(limit)] = answer.read_text().replace(str(out), "OUT")
        answer.unlink()
    return said


def write(name: str, out: Path, seed: int) -> None:
    # The plan was made before: it is the write that is to be hit.
    report = PLANS[name]
    convert(EpisodeList(EPISODES[seed]), out, name, options=OPTIONS.get(name), report=report, accept_loss=True)


def write_limited(name: str, out: Path, limit: int, answer: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        write(name, out, 0)
    except WriteRefused as refusal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        answer.write_text(str(refusal))
        raise


def start(work: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    code = FAILED
    try:
        work()
        code = 0
    except WriteRefused:
        code = REFUSED
    except BaseException as error:  # noqa: BLE001  # a fork must end here, whatever happened
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


def in_fork(work: Callable[[], None]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(start(work), 0)[1])


def digest_in_fork(folder: Path, path: Path) -> str:
    answer = folder.with_name(f"{folder.name}-digest")
    assert in_fork(lambda: answer.write_text(digest(path)) and None) == 0, f"{path} cannot be read"
    return answer.read_text()


def digest(path: Path) -> str:
    """Of every sample and every time of every episode."""
    if format_of(path) == "rerun_rrd":
        return digest_of_recordings(path)
    out, source = hashlib.sha256(), open_source(path)
    for key in source.keys():
        for name, stream in source.episode(key).streams.items():
            values = stream.values[:]
            data = np.ascontiguousarray(values).tobytes() if values.dtype != object else repr(list(values)).encode()
            out.update(f"{key} {name} {values.dtype} {values.shape}".encode() + data)
            out.update(stream.clock.places.tobytes())
    return out.hexdigest()


def format_of(path: Path) -> str:
    files = [path] if path.is_file() else list(path.iterdir())
    return "rerun_rrd" if all(file.suffix == ".rrd" for file in files) else detect(path)


def digest_of_recordings(path: Path) -> str:
    """Of every value of every entity, by the SDK's own reader; the ids of chunks and rows are drawn anew each time."""
    from rerun.chunk import RrdReader

    said = []
    for file in sorted(path.iterdir()):
        for chunk in RrdReader(file).stream():
            table = chunk.to_record_batch()
            columns = {name: _plain(table.column(name)) for name in table.schema.names if "RowId" not in name}
            said.append(f"{file.name} {chunk.entity_path} {chunk.is_static} {columns}")
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()


def bytes_of(path: Path) -> list[tuple[str, int, str]]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return [(str(f), f.stat().st_size, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files]


def leftovers(out: Path) -> list[Path]:
    return list(out.parent.glob(f".{out.name}.unfinished-*"))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _plain(column: Any) -> list[Any]:
    """Cells as Python values; nanoseconds as they are, since Python's own times hold microseconds alone."""
    import pyarrow as pa

    is_time = pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type)
    return (column.cast(pa.int64()) if is_time else column).to_pylist()


if __name__ == "__main__":
    main()
