"""Unix sockets of a running bridge: made where a dead one was, never where a living one is."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from bridge.endpoints.accepting import Acceptor
from bridge.endpoints.listening import BACKLOG
from bridge.errors import BindError


def listen(
    path: Path, protocol: Callable[[], asyncio.Protocol], what: str, *, for_everybody: bool = False
) -> Acceptor:
    """Listen at `path` for this user and group, or for everybody; `what` is offered there.

    Raises `BindError` when another program answers there, or the path cannot be used.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        sock = _listening_socket(path, 0o666 if for_everybody else 0o660)
    except OSError as error:
        if isinstance(error, BindError):
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BindError(error.errno, f"cannot offer {what} at {path}: {reason}") from None
    return Acceptor(sock, lambda _: protocol(), what.removeprefix("the "))


def _listening_socket(path: Path, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        # Until it listens, nobody who may not can connect.
        os.chmod(path, mode)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Take away the socket of a bridge that was killed; never anything else, never a living one's."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(errno.EEXIST, f"{path} is there and is no socket; set service.status_socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except (BlockingIOError, TimeoutError):
            # Somebody listens who has no time now.
            pass
    raise BindError(
        errno.EADDRINUSE,
        f"another bridge answers at {path}; stop it, or set another service.status_socket",
    )
