"""Stand-ins for hardware: a device on a pty that answers link services, and a master that asks for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import Iterable

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.link.secondary import SecondaryStation

_FRAME_TIMEOUT_S = 0.5
_READ_OCTETS = 4096
_ANSWER_AFTER_S = 0.02
"""About what a small RTU takes; also long enough to be seen on the panel."""


class SimulatedDevice:
    """Outstations on the far end of a pty pair; `device` is the path that a line opens."""

    def __init__(self, addresses: Iterable[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stations = {address: SecondaryStation(address) for address in addresses}
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=_FRAME_TIMEOUT_S)
        self._far, self._near = pty.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self.device = os.ttyname(self._near)
        self._loop.add_reader(self._far, self._read)

    def close(self) -> None:
        """Take the device off its line, as if unplugged."""
        self._loop.remove_reader(self._far)
        os.close(self._far)
        os.close(self._near)
        self._far = -1

    def _read(self) -> None:
        for frame in self._framer.receive(os.read(self._far, _READ_OCTETS), self._loop.time()):
            station = self._stations.get(frame.destination)
            _, reply = station.receive(frame) if station is not None else (False, None)
            if reply is not None:
                self._loop.call_later(_ANSWER_AFTER_S, self._write, reply.octets)

    def _write(self, octets: bytes) -> None:
        if self._far >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._far, octets)


async def poll_link_status(
    endpoint: tuple[str, int], local_host: str, addresses: Iterable[int], *, period_s: float, master: int = 1
) -> None:
    """Be a master at `local_host` that asks each outstation for its link status, in turn, until cancelled."""
    requests = [
        Frame.build(Control.build(LinkFunction.REQUEST_LINK_STATUS, from_master=True), address, master).octets
        for address in addresses
    ]
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*endpoint, local_addr=(local_host, 0))
            try:
                while not reader.at_eof():
                    for request in requests:
                        writer.write(request)
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(reader.read(_READ_OCTETS), period_s)
                        await asyncio.sleep(period_s)
            finally:
                writer.close()
        await asyncio.sleep(period_s)
