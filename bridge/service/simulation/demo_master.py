"""The demo's own master: small and honest. It polls, confirms what asks for it, and checks the link.

It reads no values, writes nothing, and does not clear the restart indication: that is for a real master.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from itertools import cycle

from bridge.application.function import ApplicationControl, Function
from bridge.application.header import all_objects_header
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.transport.reassembler import Reassembler
from bridge.transport.segmenter import segments

_READ_OCTETS = 4096
_FRAME_TIMEOUT_S = 0.5
_LONGEST_FRAGMENT = 2048
_ANSWER_TIMEOUT_S = 3.0
_SEQUENCES = 16
_SHORTEST_RESPONSE = 4
_CLASS_DATA = 60
_EVENTS = b"".join(all_objects_header(_CLASS_DATA, variation) for variation in (2, 3, 4))
_INTEGRITY = _EVENTS + all_objects_header(_CLASS_DATA, 1)
_DATA = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=True)
_REQUEST_STATUS = Control.build(LinkFunction.REQUEST_LINK_STATUS, from_master=True)
_ROUND = (_INTEGRITY, None, _EVENTS, _EVENTS, _EVENTS, _EVENTS)
"""What is asked for in turn; None is the status of the link."""


class DemoMaster:
    """Polls some outstations over one connection. `answered` counts the answers by link address."""

    def __init__(self, outstations: Iterable[int], *, address: int = 1) -> None:
        self.answered: Counter[int] = Counter()
        self.unanswered: Counter[int] = Counter()
        self._address = address
        self._reassemblers = {each: Reassembler(_LONGEST_FRAGMENT) for each in outstations}
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=_FRAME_TIMEOUT_S)
        self._sequence = 0

    async def run(self, endpoint: tuple[str, int], local_host: str, *, period_s: float) -> None:
        """Connect from `local_host` and poll, again and again, until cancelled."""
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*endpoint, local_addr=(local_host, 0))
                try:
                    await self._poll(reader, writer, period_s)
                finally:
                    writer.close()
            await asyncio.sleep(period_s)

    async def _poll(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, period_s: float
    ) -> None:
        self._framer.reset()
        for body in cycle(_ROUND):
            for outstation in self._reassemblers:
                self._sequence = (self._sequence + 1) % _SEQUENCES
                writer.write(self._request(outstation, body))
                try:
                    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                        await self._await_answer(reader, writer, outstation, is_link=body is None)
                    self.answered[outstation] += 1
                except TimeoutError:
                    self.unanswered[outstation] += 1
                if reader.at_eof():
                    return
                await asyncio.sleep(period_s)

    def _request(self, outstation: int, body: bytes | None) -> bytes:
        if body is None:
            return Frame.build(_REQUEST_STATUS, outstation, self._address).octets
        return self._fragment(outstation, Function.READ, self._sequence, body)

    def _fragment(
        self, outstation: int, function: Function, sequence: int, body: bytes = b"", *, uns: bool = False
    ) -> bytes:
        control = ApplicationControl(fir=True, fin=True, con=False, uns=uns, sequence=sequence)
        (part,) = segments(bytes((control.octet, function)) + body, 0)
        return Frame.build(_DATA, outstation, self._address, part).octets

    async def _await_answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outstation: int, *, is_link: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        while octets := await reader.read(_READ_OCTETS):
            is_whole = False
            for frame in self._framer.receive(octets, loop.time()):
                ends = self._take(frame, writer, is_link=is_link)
                is_whole |= ends and frame.source == outstation
            if is_whole:
                return

    def _take(self, frame: Frame, writer: asyncio.StreamWriter, *, is_link: bool) -> bool:
        """Confirm what asks for it; return whether this frame ends the answer that is awaited."""
        if frame.control.function is LinkFunction.LINK_STATUS:
            return is_link
        reassembler = self._reassemblers.get(frame.source)
        if reassembler is None or not frame.control.carries_user_data:
            return False
        fragment = reassembler.receive(frame.user_data)
        if fragment is None or len(fragment) < _SHORTEST_RESPONSE:
            return False
        control = ApplicationControl.of(fragment[0])
        if control.con:
            confirm = self._fragment(frame.source, Function.CONFIRM, control.sequence, uns=control.uns)
            writer.write(confirm)
        if control.uns or is_link or control.sequence != self._sequence:
            return False
        if not control.fin:
            # The next fragment of the answer has the next number.
            self._sequence = (self._sequence + 1) % _SEQUENCES
        return control.fin
