"""The masters of the soak run: raw TCP connections that poll without end, and have all they get judged."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from bridge.link.address import SELF_ADDRESS
from tests.soak.faults_judge import Judge, Request
from tests.soak.faults_rtus import SoakRtu
from tests.soak.faults_tags import TagKind, confirm_frame, request_frames
from tests.support import frames as f
from tests.support import link_frames

HOST = "127.0.0.1"
_POLL_PATIENCE_S = 0.4
_PAUSE_S = 0.015
_RETRY_S = 0.03
_CONNECT_S = 5.0
_CON_IN_RESPONSE = 0x20


class Connection(asyncio.Protocol):
    """One TCP connection of a master, from its beginning to its end. Satisfies `Speaker`."""

    def __init__(self, master: SoakMaster, judge: Judge) -> None:
        self.owner = master.name
        self.link_address = master.link_address
        self.outstations = master.outstations
        self.name = ""
        self.ended_s: float | None = None
        self.ended = asyncio.Event()
        self.octets = 0
        self.is_confirming = True
        self._judge = judge
        self._buffer = bytearray()
        self._answers: dict[int, asyncio.Event] = {}
        self._transport: asyncio.Transport | None = None
        self._is_half_closed = False

    @property
    def is_open(self) -> bool:
        """Whether it lasts, as far as this side knows."""
        return self.ended_s is None

    @property
    def transport(self) -> asyncio.Transport:
        """For what one does to a socket."""
        assert self._transport is not None
        return self._transport

    @property
    def socket(self) -> socket.socket:
        """The socket, for its options."""
        return cast(socket.socket, self.transport.get_extra_info("socket"))

    def send(self, octets: bytes) -> None:
        """Send octets as they are, if anybody is there."""
        if self.is_open and not self._is_half_closed:
            self.transport.write(octets)

    def half_close(self) -> None:
        """Say with FIN that nothing more will be asked, and go on reading."""
        self._is_half_closed = True
        self.transport.write_eof()

    def reset(self) -> None:
        """Be gone with RST."""
        if self.is_open:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def close(self) -> None:
        """Hang up; nothing is read any more."""
        self.transport.abort()

    async def answered(self, request: Request, within_s: float) -> bool:
        """Wait for the first frame of an answer; tell whether it came."""
        event = self._answers.setdefault(request.number, asyncio.Event())
        if request.is_answered:
            return True
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.ended.wait())]
        try:
            await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self._answers.pop(request.number, None)
        return request.is_answered

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        host, port = transport.get_extra_info("sockname")
        self.name = f"{host}:{port}"

    def data_received(self, data: bytes) -> None:
        self.octets += len(data)
        self._buffer += data
        while self._buffer:
            try:
                frame = link_frames.take_frame(self._buffer)
            except AssertionError as error:
                self._judge.accuse("torn", f"{self.name} got {error}")
                self._buffer.clear()
                return
            if frame is None:
                return
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended_s = time.monotonic()
        self.ended.set()

    def _take(self, frame: bytes) -> None:
        tag = self._judge.delivered(self, frame)
        if tag is None or tag.kind is not TagKind.ANSWER:
            return
        event = self._answers.get(tag.number)
        if event is not None:
            event.set()
        user_data = link_frames.user_data(frame)
        if self.is_confirming and user_data[0] & f.FIR and user_data[1] & _CON_IN_RESPONSE:
            self.send(confirm_frame(user_data[1] & 0x0F, to=tag.rtu, source=self.link_address))


class SoakMaster:
    """One master: an IP address, a link address, and the RTUs that its session reaches."""

    def __init__(
        self,
        name: str,
        ip: str,
        link_address: int,
        rtus: Sequence[SoakRtu],
        judge: Judge,
        server: str = "main",
    ) -> None:
        self.name = name
        self.ip = ip
        self.link_address = link_address
        self.rtus = list(rtus)
        self.server = server
        self.port = 0
        self.outstations = {rtu.address: rtu.line.name for rtu in rtus}
        self.connection: Connection | None = None
        self.fresh_s: dict[int, float] = {}
        """By RTU: when the newest request that was answered was sent."""
        self.is_away = False
        """Its session is being made to vanish: nobody waits for it."""
        self._judge = judge
        self._sequences = dict.fromkeys(self.outstations, 0)
        self._pausing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        for rtu in rtus:
            rtu.master = link_address

    def start(self) -> None:
        """Begin to poll."""
        self._task = asyncio.get_running_loop().create_task(self._poll_for_ever())

    async def stop(self) -> None:
        """Poll no more, and hang up."""
        await self._stop_polling()
        if self.connection is not None:
            self.connection.close()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[Connection]:
        """Poll nothing for the block, which gets the connection; a new one if there was none."""
        async with self._pausing:
            await self._stop_polling()
            try:
                yield await self.connected()
            finally:
                self.start()

    async def connected(self) -> Connection:
        """Return the connection, a new one if there is none."""
        if self.connection is None or not self.connection.is_open:
            self.connection = await self.connect()
        return self.connection

    async def take_over(self) -> Connection:
        """Connect anew; the older connection is the bridge's to end."""
        self.connection = await self.connect()
        return self.connection

    async def connect(self, *, receive_octets: int | None = None) -> Connection:
        """Open a connection; with `receive_octets`, one that takes hardly anything unread."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receive_octets is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
                # Small segments keep the sender's buffer small, too.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((self.ip, 0))
            # Not wait_for: in Python 3.11 that can lose a cancellation.
            async with asyncio.timeout(_CONNECT_S):
                await loop.sock_connect(sock, (HOST, self.port))
            _, connection = await loop.create_connection(lambda: Connection(self, self._judge), sock=sock)
        except BaseException:
            sock.close()
            raise
        return connection

    # Asking

    def request(
        self,
        connection: Connection,
        to: int,
        *,
        function: int = f.READ,
        segments: int = 1,
        filling: int = 0,
        sequence: int | None = None,
        source: int | None = None,
        is_forwarded: bool = True,
    ) -> Request:
        """Make a request that the judge knows of; the caller sends its frames."""
        if sequence is None:
            sequence = self._sequences.get(to, 0)
            self._sequences[to] = (sequence + 1) % 16
        number = self._judge.new_number()
        request = Request(
            number=number,
            connection=connection,
            to=to,
            sequence=sequence,
            frames=request_frames(
                number,
                sequence=sequence,
                to=to,
                source=self.link_address if source is None else source,
                function=function,
                segments=segments,
                filling=filling,
            ),
            is_forwarded=is_forwarded,
            is_answered_to=is_forwarded and to <= SELF_ADDRESS and function != f.DIRECT_OPERATE_NR,
            sent_s=time.monotonic(),
        )
        self._judge.sent(request)
        return request

    def ask(
        self, connection: Connection, to: int, *, segments: int = 1, sequence: int | None = None
    ) -> Request:
        """Send a request."""
        request = self.request(connection, to, segments=segments, sequence=sequence)
        connection.send(b"".join(request.frames))
        return request

    async def _poll_for_ever(self) -> None:
        while True:
            for rtu in self.rtus:
                try:
                    connection = await self.connected()
                except (OSError, TimeoutError):
                    await asyncio.sleep(_RETRY_S)
                    continue
                await self._poll(connection, rtu.address)
                await asyncio.sleep(_PAUSE_S)

    async def _poll(self, connection: Connection, to: int) -> None:
        number_of_polls = self._sequences[to]
        if number_of_polls == 5:
            connection.send(f.link_status_request(to, self.link_address).octets)
            await asyncio.sleep(_PAUSE_S)
        request = self.ask(connection, to, segments=2 if number_of_polls == 9 else 1)
        if await connection.answered(request, _POLL_PATIENCE_S):
            self.fresh_s[to] = max(self.fresh_s.get(to, 0.0), request.sent_s)

    async def _stop_polling(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
