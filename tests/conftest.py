"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from robokata.media.scheduling import put_back, real_time_threads
from robokata.sim.gl import backend

# Before any test module imports MuJoCo: without a display, an unset MUJOCO_GL chooses a renderer that cannot start.
backend()

# `nohup` and a shell's background jobs start us with Ctrl-C ignored, and every process that a test starts would ignore
# it too: tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every machine, and a busy machine is no defect.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Tests that encode AV1 by PyAV itself, run by root, would leave a real-time process that starves all others."""
    before = real_time_threads()
    try:
        return (yield)
    finally:
        put_back(before)


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Derived indexes of one test are never seen by another, nor by the user."""
    monkeypatch.setenv("ROBOKATA_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings; tests that need them skip where they are absent."""
    chosen = os.environ.get("ROBOKATA_DATA")
    folder = Path(chosen) if chosen else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MANIFEST.sha256").exists():
        pytest.skip("the shared recordings are not here: set ROBOKATA_DATA")
    return folder


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where `ROBOKATA_NO_SKIPS` is set, a skipped test is a failure: a missing part would pass unnoticed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("ROBOKATA_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        for report in reporter.stats["skipped"]:
            reporter.write_line(f"SKIPPED, and nothing may be: {report.nodeid}: {report.longrepr}")
        session.exitstatus = 1
