"""Steps of a build that take long: what they show, how they fail, what of them is kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY

sys.path.insert(0, str(DEPLOY / "package"))
import layers  # a folder of scripts, not a package


def test_a_step_that_succeeds_leaves_nothing_to_read(capfd: pytest.CaptureFixture[str]) -> None:
    layers.run(["sh", "-c", "echo one; echo two >&2"], within_s=60)
    assert capfd.readouterr() == ("", "")


def test_a_step_that_takes_long_says_how_far_it_is(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "_LOG_EVERY_S", 0.0)
    layers.run(["printf", "%s\n", "Setting up \x1b[31mlibc6", "", "x" * 200], within_s=60)
    shown = capfd.readouterr().err.splitlines()
    assert [re.sub(r"\d+:\d\d", "M:SS", line) for line in shown] == [
        "   M:SS Setting up [31mlibc6",
        f"   M:SS {'x' * 72}",
    ]


def test_all_of_a_step_that_failed_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        layers.run(["sh", "-c", "echo why; echo it failed >&2; exit 3"], within_s=60)
    assert failed.value.returncode == 3
    assert capfd.readouterr().err == "why\nit failed\n"


def test_a_step_without_end_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        layers.run(["sleep", "1000"], within_s=0.1)


def test_a_step_has_its_environment_and_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "kept")
    command = 'test "$KEPT $GIVEN" = "kept given" && ! read -r line'
    layers.run(["sh", "-c", command], within_s=60, environment={"GIVEN": "given"})


def test_another_name_or_content_or_text_is_another_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("one")
    hashes = [layers.hash_of([tmp_path / "a"]), layers.hash_of([tmp_path / "b"])]
    hashes.append(layers.hash_of([tmp_path / "a"], "text"))
    (tmp_path / "a").write_text("two")
    hashes.append(layers.hash_of([tmp_path / "a"]))
    assert len(set(hashes)) == 4
    (tmp_path / "a").write_text("one")
    assert layers.hash_of([tmp_path / "a"]) == hashes[0]


def test_what_nobody_asked_for_within_the_hour_goes(tmp_path: Path) -> None:
    for name, age_s in (("guest-used", 9000), ("guest-old", 9000), ("guest-new", 60), ("root-old", 9000)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    layers.forget_old(tmp_path / "guest-used", "guest-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["guest-new", "guest-used", "root-old"]
