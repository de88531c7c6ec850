"""What taps hear of sessions: also of those that are refused, and of those that a malformed frame ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.tcp_server import TcpServer
from bridge.link.framer import LinkErrorMode
from bridge.recording.fault import Fault
from bridge.recording.record import Kind
from bridge.recording.tap import Recording, SessionTaps
from tests.endpoints.conftest import Connect
from tests.support.eventually import eventually
from tests.support.frames import link_status_request
from tests.support.outstations import Outstation

pytestmark = pytest.mark.wire

REQUEST = link_status_request(12).octets
DAMAGED = REQUEST[:-1] + bytes((REQUEST[-1] ^ 1,))


class Bench:
    """A server in CLOSE mode for masters at 127.0.0.1, and what is recorded of its sessions."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.recording = Recording(0, clock=lambda: 0, report=lambda fault, *_: self.faults.append(fault))
        taps = SessionTaps(self.recording, 0)
        self.server = TcpServer(LinkErrorMode.CLOSE, "127.0.0.1:0", name="main", taps=taps)
        self.server.add_outstation(Outstation("pole-12", 12), None, AddressFilter.parse(["127.0.0.1"]))

    async def told(self, ends: int = 1) -> list[tuple[Kind, bytes, str]]:
        """Wait until so many sessions are over; return the records."""
        await eventually(lambda: self.server.session_ends.total() == ends, "it is over")
        records = [each for batch in self.recording.ring.view(0).batches() for each in batch]
        return [(Kind(kind), octets, detail) for _, _, kind, octets, detail in records]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.server.bind()
    yield bench
    await bench.server.close(drain_s=0)


def event(text: str) -> tuple[Kind, bytes, str]:
    return Kind.EVENT, b"", text


async def test_who_is_refused_and_why(bench: Bench, connect: Connect) -> None:
    stranger = await connect(bench.server.endpoint, "127.0.0.9")
    assert await bench.told() == [
        event(f"connection accepted peer={stranger.name}"),
        event(f"connection refused peer={stranger.name} reason=not_wanted"),
    ]
    assert bench.faults == []


async def test_a_malformed_frame_that_ends_a_session(bench: Bench, connect: Connect) -> None:
    master = await connect(bench.server.endpoint)
    await master.send(REQUEST, DAMAGED, REQUEST)
    assert await bench.told() == [
        event(f"connection accepted peer={master.name}"),
        event(f"master connected outstation=pole-12 peer={master.name}"),
        (Kind.HEARD, REQUEST, ""),
        (Kind.DISCARDED, DAMAGED + REQUEST, "header_crc"),
        event(f"master disconnected peer={master.name} reason=link_error"),
    ]


async def test_a_frame_that_was_not_whole_at_the_end(bench: Bench, connect: Connect) -> None:
    master = await connect(bench.server.endpoint)
    await master.send(REQUEST[:7])
    await eventually(lambda: bench.server.counters.octets_in == 7, "they came")
    master.close()
    assert (Kind.DISCARDED, REQUEST[:7], "abandoned") in await bench.told()


async def test_nothing_is_left_of_sessions_that_are_over(bench: Bench, connect: Connect) -> None:
    for number in range(1, 4):
        (await connect(bench.server.endpoint)).close()
        await bench.told(number)
    assert len(bench.recording.ring.channels) == 3
    for _ in range(10_000):
        bench.recording.ring.add((0, 99, int(Kind.SENT), b"", ""))
    assert not bench.recording.ring.channels
