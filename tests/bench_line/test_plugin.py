"""The plugin in a project of its own: the example in its docstring, and ends that must not go unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bridge.bench import plugin
from tests.support.repository import ROOT

pytestmark = pytest.mark.wire

_TIMEOUT_S = 100


def run_tests(folder: Path, tests: str) -> tuple[int, str]:
    (folder / "conftest.py").write_text('pytest_plugins = ["bridge.bench.plugin"]\n', encoding="utf-8")
    (folder / "test_site.py").write_text(tests, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return result.returncode, result.stdout


def example() -> str:
    """Return the test in the plugin's docstring."""
    assert plugin.__doc__ is not None
    return textwrap.dedent(plugin.__doc__[plugin.__doc__.index("    import os") :])


def test_the_example_passes(tmp_path: Path) -> None:
    status, out = run_tests(tmp_path, example())
    assert (status, "1 passed" in out) == (0, True), out


def test_the_example_can_fail(tmp_path: Path) -> None:
    tests = example().replace("assert heard == REQUEST", "assert heard != REQUEST")
    status, out = run_tests(tmp_path, tests)
    assert (status, "1 failed" in out) == (1, True), out
    assert "Captured stdout teardown" in out


def test_a_bridge_that_dies_fails_the_test(tmp_path: Path) -> None:
    tests = example().partition("def test_")[0] + textwrap.dedent(
        """
        import signal

        def test_it(bench_line, rtu_bridge):
            bridge = rtu_bridge(CONFIGURATION.format(device=bench_line().device))
            bridge._process.send_signal(signal.SIGKILL)
            bridge._process.wait()

        def test_lines_are_closed(bench_line):
            line = bench_line(rtus=2, baud=None)
            assert [os.path.exists(each.device) for each in line.rtus] == [True, True]
            assert bench_line().device != line.device
        """
    )
    status, out = run_tests(tmp_path, tests)
    assert (status, "2 passed, 1 error" in out) == (1, True), out
    assert "exit status -9" in out
