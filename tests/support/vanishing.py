"""`python -m tests.support.vanishing LOOP WAY`: masters vanish without a word; how long until it is noticed?

Two masters connect, then their host is gone: it neither acknowledges nor refuses anything any more. One
session is idle, to the other one a frame is sent. Prints how each session ended, as JSON. Exit status 77: not
possible on this machine, for the reason on standard error.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionLimits
from bridge.link.framer import LinkErrorMode
from tests.support import netns
from tests.support.eventually import eventually
from tests.support.frames import link_status
from tests.support.masters import Master
from tests.support.outstations import Listener, Outstation

NOT_POSSIBLE = 77
HALF_OPEN_TIMEOUT_S = 4
SLACK = 3
_NOT_PERMITTED = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENOSPC, errno.EUSERS}
)

_SO_ATTACH_FILTER = 26
_BPF_RETURN = 0x06


def deafen(masters: Sequence[Master]) -> None:
    """Let the kernel throw away every segment for these masters, before TCP sees it."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(drop_all))
    for master in masters:
        master.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def unplug(_masters: Sequence[Master]) -> None:
    """Take the interface down that leads to them."""
    netns.set_loopback(is_up=False)


WAYS: dict[str, Callable[[Sequence[Master]], None]] = {"deaf": deafen, "unplugged": unplug}
LOOPS = ("asyncio", "uvloop")


async def observe(vanish: Callable[[Sequence[Master]], None]) -> dict[str, object]:
    """Let two masters vanish and return how their sessions ended."""
    idle, busy, listener = Outstation("idle", 1), Outstation("busy", 2), Listener("idle")
    limits = SessionLimits(half_open_timeout_s=HALF_OPEN_TIMEOUT_S, send_stall_s=600)
    server = TcpServer(LinkErrorMode.DISCARD, "127.0.0.1:0", limits=limits)
    server.add_outstation(idle, listener, AddressFilter.address("127.0.0.1"))
    server.add_outstation(busy, Listener(), AddressFilter.address("127.0.0.2"))
    await server.bind()
    masters = [await Master.connect(server.endpoint, source) for source in ("127.0.0.1", "127.0.0.2")]
    await eventually(lambda: idle.session and busy.session, "both sessions")
    assert busy.session is not None
    vanish(masters)
    begun_s = time.monotonic()
    ended_s: dict[str, float] = {}

    def all_ended() -> bool:
        for outstation in (idle, busy):
            if outstation.session is None:
                ended_s.setdefault(outstation.name, round(time.monotonic() - begun_s, 3))
        return len(ended_s) == 2

    busy.session.send(link_status(2).octets)
    await asyncio.sleep(0)
    open_at_first = len(server.sessions)
    await eventually(
        all_ended, "both sessions are gone", within_s=SLACK * HALF_OPEN_TIMEOUT_S + HALF_OPEN_TIMEOUT_S
    )
    return {
        "open_at_first": open_at_first,
        "ended_s": ended_s,
        "reasons": {reason.value: count for reason, count in server.session_ends.items()},
        "listener": [state.value for state in listener.states],
    }


def main(loop: str, way: str) -> int:
    """Run the observation and print it; return the exit status."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    if loop == "uvloop":
        try:
            from uvloop import new_event_loop as factory
        except ImportError:
            print("there is no uvloop for this machine", file=sys.stderr)
            return NOT_POSSIBLE
    try:
        if way == "unplugged":
            netns.enter()
        with asyncio.Runner(loop_factory=factory) as runner:
            print(json.dumps(runner.run(observe(WAYS[way]))))
    except OSError as error:
        if error.errno not in _NOT_PERMITTED:
            raise
        print(f"masters cannot be made to vanish ({way}): {error}", file=sys.stderr)
        return NOT_POSSIBLE
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
