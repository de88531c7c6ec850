"""The RTUs of the soak run: raw devices on bench lines, which answer as their `manner` of the moment says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.bench import Bench, BenchLine, Duplex, RtuEnd
from bridge.link.address import SELF_ADDRESS
from bridge.link.control import LinkFunction
from tests.soak.faults_judge import Judge, Request
from tests.soak.faults_tags import Tag, TagKind, answer_frame, unsolicited_frame
from tests.support import frames as f
from tests.support import link_frames

_READ_OCTETS = 65536
_STALL_S = 0.2
_LINK_SERVICES = frozenset({0, 2, 9})
"""Reset of link states, test of the link, request of its status: what only the link layer answers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole request, as an RTU takes it."""

    request: Request
    number: int
    sequence: int
    master: int


Manner = Callable[["SoakRtu", Asked], Awaitable[None]]


async def normal(rtu: SoakRtu, asked: Asked) -> None:
    """Answer at once; what kind of answer follows from the number."""
    match asked.number % 10:
        case 0:
            await rtu.say_segments(asked, 3)
        case 1:
            await rtu.answer(asked, application=f.A_FIR_FIN | f.A_CON, filling=8)
        case 2:
            rtu.after_confirm = asked
            await rtu.answer(asked, application=f.A_FIR | f.A_CON, filling=150)
        case _:
            await rtu.answer(asked, filling=asked.number * 7 % 200)


class SoakRtu:
    """One device. It judges everything that it hears, and says what its manner says."""

    def __init__(self, line: SoakLine, end: RtuEnd, address: int, judge: Judge) -> None:
        self.line = line
        self.end = end
        self.address = address
        self.master = 0
        """The link address of its master, for what it says of its own accord."""
        self.after_confirm: Asked | None = None
        self.is_dirty = False
        """Whether the wire was disturbed: then it may hear more than whole frames."""
        self._judge = judge
        self._manner: Manner = normal
        self._buffer = bytearray()
        self._heard_s = 0.0
        self._collided = 0
        self._whole: dict[int, int] = {}
        self._asked: asyncio.Queue[Asked] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._speaking = asyncio.Lock()
        self._port = -1

    def open(self) -> None:
        """Open its port and begin to answer."""
        self._port = os.open(self.end.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._port)
        termios.tcflush(self._port, termios.TCIOFLUSH)
        asyncio.get_running_loop().add_reader(self._port, self._read)
        self._start_worker()

    async def close(self) -> None:
        """Stop. Nothing happens if it was never opened."""
        if self._port < 0:
            return
        asyncio.get_running_loop().remove_reader(self._port)
        await self._stop_worker()
        os.close(self._port)

    @asynccontextmanager
    async def behaving(self, manner: Manner) -> AsyncIterator[None]:
        """Answer in another manner for the block. What it still has to say then is dropped."""
        self._manner = manner
        try:
            yield
        finally:
            await self.forget()

    async def forget(self) -> None:
        """Be as after a restart: nothing to say, and the normal manner."""
        await self._stop_worker()
        self._manner = normal
        self.after_confirm = None
        while not self._asked.empty():
            self._asked.get_nowait()
        self._start_worker()

    # Saying

    async def say(self, octets: bytes) -> None:
        """Send octets as they are, as fast as the port takes them."""
        async with self._speaking:
            while octets:
                try:
                    octets = octets[os.write(self._port, octets) :]
                except BlockingIOError:
                    await asyncio.sleep(0.002)

    def answer_octets(
        self,
        asked: Asked,
        *,
        index: int = 0,
        sequence: int | None = None,
        transport: int = f.FIR_FIN,
        application: int = f.A_FIR_FIN,
        filling: int = 0,
        source: int | None = None,
        to: int | None = None,
    ) -> bytes:
        """Return a frame of an answer, and tell the judge that it is said."""
        tag = Tag(TagKind.ANSWER, asked.number, index, self.address, asked.master)
        self._judge.said(asked.number, index)
        return answer_frame(
            tag,
            sequence=asked.sequence if sequence is None else sequence,
            transport=transport,
            application=application,
            filling=filling,
            source=source,
            to=to,
        )

    async def answer(
        self, asked: Asked, *, application: int = f.A_FIR_FIN, filling: int = 0, source: int | None = None
    ) -> None:
        """Answer in one frame."""
        await self.say(self.answer_octets(asked, application=application, filling=filling, source=source))

    async def say_segments(self, asked: Asked, count: int, pause_s: float = 0.0, filling: int = 100) -> None:
        """Answer in `count` segments of one fragment."""
        for index in range(count):
            transport = (f.FIR if index == 0 else 0) | (f.FIN if index == count - 1 else 0) | index & 0x3F
            await self.say(self.answer_octets(asked, index=index, transport=transport, filling=filling))
            if pause_s:
                await asyncio.sleep(pause_s)

    def unsolicited(self, *, to: int | None = None, filling: int = 0) -> bytes:
        """Return an unsolicited response that the judge knows of."""
        number = self._judge.new_number()
        master = self.master if to is None else to
        self._judge.said_unsolicited(number, self.address, master)
        return unsolicited_frame(number, rtu=self.address, master=master, filling=filling)

    # Hearing

    def _read(self) -> None:
        try:
            octets = os.read(self._port, _READ_OCTETS)
        except BlockingIOError:
            return
        now = time.monotonic()
        if self.is_dirty and now - self._heard_s > _STALL_S:
            self._buffer.clear()
        self._heard_s = now
        self._buffer += octets
        while self._buffer:
            before = bytes(self._buffer)
            try:
                frame = link_frames.take_frame(self._buffer)
            except AssertionError as error:
                if not self.is_dirty and not self._has_collided():
                    self._judge.accuse("torn", f"RTU {self.address} on {self.line.name}: {error}")
                self._buffer[:] = before[1:]
                continue
            if frame is None:
                break
            self._take(frame)
            self._collided = self.line.wire.counters.octets_collided
            if not self._buffer and not self.line.is_disturbed:
                # What comes after a whole frame comes from a clean wire.
                self.is_dirty = False

    def _has_collided(self) -> bool:
        """Tell whether RTUs of the line spoke at once: who speaks into another hears garbage himself."""
        self.is_dirty = self.line.wire.counters.octets_collided != self._collided
        return self.is_dirty

    def _take(self, frame: bytes) -> None:
        request = self._judge.heard(self.line.name, self.address, frame)
        to = link_frames.destination(frame)
        is_mine = to == self.address or (to == SELF_ADDRESS and self.line.is_single)
        if not is_mine:
            return
        function = frame[3] & 0x0F
        if request is not None:
            self._take_segment(request, frame)
        elif function in _LINK_SERVICES:
            answer = LinkFunction.LINK_STATUS if function == 9 else LinkFunction.ACK
            reply = f.from_rtu(answer, source=self.address, to=link_frames.source(frame)).octets
            asyncio.get_running_loop().create_task(self.say(reply))
        elif self.after_confirm is not None and len(frame) > link_frames.HEADER_OCTETS:
            asked, self.after_confirm = self.after_confirm, None
            octets = self.answer_octets(
                asked, index=1, sequence=(asked.sequence + 1) % 16, application=f.A_FIN, filling=40
            )
            asyncio.get_running_loop().create_task(self.say(octets))

    def _take_segment(self, request: Request, frame: bytes) -> None:
        segments = self._whole[request.number] = self._whole.get(request.number, 0) + 1
        if segments < len(request.frames):
            return
        self._whole.clear()
        if request.is_answered_to:
            self.after_confirm = None
            asked = Asked(request, request.number, request.sequence, link_frames.source(frame))
            self._asked.put_nowait(asked)

    async def _work(self) -> None:
        while True:
            asked = await self._asked.get()
            await self._manner(self, asked)

    def _start_worker(self) -> None:
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker


class SoakLine:
    """A bench line with its RTUs."""

    def __init__(
        self,
        name: str,
        addresses: tuple[int, ...],
        judge: Judge,
        bench: Bench,
        device: Path,
        baud: int | None,
    ) -> None:
        self.name = name
        self.wire = BenchLine(
            baud=baud, rtus=len(addresses), device=device, duplex=Duplex.FULL, bench=bench, chunk_octets=16
        )
        self.rtus = [
            SoakRtu(self, end, address, judge) for end, address in zip(self.wire.rtus, addresses, strict=True)
        ]
        self.is_disturbed = False

    @property
    def is_single(self) -> bool:
        """Whether the self-address can mean only one RTU."""
        return len(self.rtus) == 1

    @asynccontextmanager
    async def disturbed(self) -> AsyncIterator[None]:
        """Let the RTUs hear damage for the block, and until they hear whole frames again."""
        self.is_disturbed = True
        for rtu in self.rtus:
            rtu.is_dirty = True
        try:
            yield
        finally:
            self.is_disturbed = False
            for rtu in self.rtus:
                rtu.is_dirty = True
