"""What would help where a port does not open, and where an error's code is found."""

from __future__ import annotations

import errno
import termios

import pytest
import serial

from bridge.endpoints.port_problems import errno_of, is_made_by_program, remedy


@pytest.mark.parametrize(
    ("device", "is_made"),
    [("/dev/ttyS0", False), ("/dev/serial/by-id/usb-x", False), ("/dev/pts/3", True), ("/tmp/bay1", True)],
)
def test_who_makes_a_path(device: str, is_made: bool) -> None:
    assert is_made_by_program(device) is is_made
    assert ("overlay" in str(remedy(errno.ENOENT, device))) is not is_made


def test_what_is_not_known_has_no_remedy() -> None:
    assert remedy(None, "/dev/ttyS0") is None
    assert remedy(errno.EIO, "/dev/ttyS0") is None
    assert "group dialout" in str(remedy(errno.EACCES, "/dev/ttyS0"))


def test_the_code_is_found_wherever_it_hides() -> None:
    assert errno_of(OSError(errno.EBUSY, "busy")) == errno.EBUSY
    assert errno_of(termios.error(errno.EIO, "gone")) == errno.EIO
    assert errno_of(serial.SerialException("no code")) is None
    error = serial.SerialException("no code")
    error.__context__ = OSError(errno.EACCES, "denied")
    assert errno_of(error) == errno.EACCES
