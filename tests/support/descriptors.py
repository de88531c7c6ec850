"""Open file descriptors of this process: what leaks, and running out of them."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


def open_descriptors() -> dict[int, str]:
    """Return the open descriptors and what they lead to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        # The directory's own descriptor is gone again.
        with contextlib.suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Make every open(), socket() and accept() of this process fail with EMFILE inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_descriptors()) + 2, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.dup(fillers[0]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
