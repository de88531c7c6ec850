"""Numbers in /dev/pts are given out again: a link that was left behind, a terminal that somebody works at."""

from __future__ import annotations

import os
import pty
import time
from pathlib import Path

import pytest

from bridge.endpoints.pty_identity import is_left_over, is_pty, why_not_meant
from bridge.endpoints.serial_port import SerialSettings, open_port
from bridge.errors import LineError
from tests.support.ptys import Pty
from tests.support.waiting import until

pytestmark = pytest.mark.wire


def _age(link: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(link, (moment, moment), follow_symlinks=False)


def test_a_link_that_is_older_than_its_pty_was_left_behind(tmp_path: Path) -> None:
    link = tmp_path / "bay1"
    with Pty() as port:
        link.symlink_to(port.device)
        assert is_pty(str(link))
        assert why_not_meant(str(link)) is None
        _age(link, 60)
        assert is_left_over(link)
        with pytest.raises(LineError, match="left over from a program that was killed"):
            open_port(SerialSettings(device=str(link), baud=9600))
        link.unlink()
        link.symlink_to(port.device)
        open_port(SerialSettings(device=str(link), baud=9600)).close()


def test_who_may_use_a_pty_can_be_changed_later(tmp_path: Path) -> None:
    link = tmp_path / "bay1"
    with Pty() as port:
        moment = time.time() - 60
        os.utime(port.device, (moment, moment))  # sets the time of the change to now, as a chmod does
        link.symlink_to(port.device)
        _age(link, 59)
        assert not is_left_over(link)


def test_an_old_link_to_a_fresh_link_is_right(tmp_path: Path) -> None:
    old, fresh = tmp_path / "old", tmp_path / "fresh"
    with Pty() as port:
        old.symlink_to("fresh")
        _age(old, 60)
        fresh.symlink_to(port.device)
        assert why_not_meant(str(old)) is None
        _age(fresh, 60)
        assert why_not_meant(str(old)) is not None


def test_a_link_to_a_pty_that_is_gone_was_left_behind(tmp_path: Path) -> None:
    link = tmp_path / "bay1"
    link.symlink_to("/dev/pts/987654")
    assert is_left_over(link)


@pytest.mark.parametrize("make", ["file", "link", "loop", "nothing"])
def test_what_leads_to_no_pty_is_left_over_from_nobody(tmp_path: Path, make: str) -> None:
    path, file = tmp_path / "bay1", tmp_path / "file"
    file.touch()
    match make:
        case "file":
            path.touch()
        case "link":
            path.symlink_to(file)
            _age(path, 60)
        case "loop":
            path.symlink_to(path)
    assert not is_left_over(path)
    assert why_not_meant(str(path)) is None


def test_the_terminal_of_a_session_is_no_line() -> None:
    child, master = pty.fork()
    if child == 0:
        os.execvp("sleep", ["sleep", "60"])  # never comes back
    try:
        device = until(lambda: _pty_of(child), "the child has its terminal")
        expected = f"it is the terminal of sleep (process {child}); name the device of a line"
        until(lambda: why_not_meant(device) == expected, f"{device} is a terminal")
        with pytest.raises(LineError, match="terminal of sleep"):
            open_port(SerialSettings(device=device, baud=9600))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(master)


def _pty_of(process: int) -> str | None:
    path = os.readlink(f"/proc/{process}/fd/0")
    return path if is_pty(path) else None
