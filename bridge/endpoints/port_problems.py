"""What is wrong with a serial port that cannot be opened, and what would help."""

from __future__ import annotations

import errno

_MISSING = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})
_REMEDIES = {
    errno.EACCES: "permission denied; add the user that runs the bridge to the group dialout",
    errno.EPERM: "permission denied; add the user that runs the bridge to the group dialout",
    errno.EBUSY: "in use by another program; stop it (a getty or a modem manager, often)",
    errno.EAGAIN: "in use by another program; stop it (a getty or a modem manager, often)",
    errno.ENOTTY: "not a serial port",
    errno.EISDIR: "not a serial port",
}


def is_made_by_program(device: str) -> bool:
    """Whether no driver makes this path: a pty, or a link to one, as those of a simulator or of socat."""
    return device.startswith("/dev/pts/") or not device.startswith("/dev/")


def remedy(code: int | None, device: str) -> str | None:
    """Return what is wrong with a port that does not open and what would help; None if unknown."""
    if code not in _MISSING:
        return _REMEDIES.get(code or 0)
    if is_made_by_program(device):
        return "no such device; does the program that makes it run?"
    return "no such device; is the adapter plugged in, is the overlay loaded?"


def errno_of(error: Exception) -> int | None:
    """Find the code of an error: pyserial hides it in its text or in the error that it handled."""
    seen: BaseException | None = error
    while seen is not None:
        for code in (getattr(seen, "errno", None), *seen.args[:1]):
            if isinstance(code, int):
                return code
        seen = seen.__cause__ or seen.__context__
    return None
