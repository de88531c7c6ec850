"""An outstation of the program on a session: what is counted, who asks, and which broadcasts reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.tcp_server import TcpServer
from bridge.link.framer import LinkErrorMode
from bridge.outstation.config import OutstationConfig
from bridge.routing.drop import Drop
from bridge.service.appliance.local_outstation import Asker, LocalOutstation
from tests.endpoints.test_hub import Observer
from tests.support.eventually import eventually
from tests.support.frames import link_status, link_status_request, request
from tests.support.masters import Master

ADDRESS, MASTER = 10, 1
BROADCAST = 0xFFFF


class Bench:
    def __init__(self, *, takes_broadcasts: bool = True) -> None:
        self.observer, self.asker = Observer(), Asker()
        self.outstation = LocalOutstation(
            OutstationConfig(link_address=ADDRESS, master_address=None, keep_alive_s=None),
            observer=self.observer,
            asker=self.asker,
            takes_broadcasts=takes_broadcasts,
        )
        self.server = TcpServer(LinkErrorMode.DISCARD, "127.0.0.1:0")
        self.server.add_outstation(self.outstation, None, AddressFilter.any())


@pytest.fixture(params=[True], ids=[""])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(takes_broadcasts=request.param)
    await bench.server.bind()
    yield bench
    await bench.server.close(drain_s=0)


async def test_frames_both_ways_are_counted_and_seen(bench: Bench) -> None:
    with await Master.connect(bench.server.endpoint) as master:
        await master.send(link_status_request(ADDRESS, source=7).octets)
        assert await master.receive(10) == link_status(ADDRESS, 7).octets
        assert (bench.outstation.frames_from_master, bench.outstation.frames_to_master) == (1, 1)
        assert bench.observer.seen == {"sent": 1, "answered": 1}
        assert bench.asker == Asker(master.name, 7, is_broadcast=False)


async def test_a_broadcast_is_known_as_one(bench: Bench) -> None:
    with await Master.connect(bench.server.endpoint) as master:
        await master.send(request(0, to=BROADCAST).octets)
        await eventually(lambda: bench.outstation.frames_from_master == 1, "the broadcast")
        assert bench.asker.is_broadcast
        await master.send(link_status_request(ADDRESS).octets)
        await eventually(lambda: bench.outstation.frames_from_master == 2, "the next frame")
        assert not bench.asker.is_broadcast


@pytest.mark.parametrize("bench", [False], indirect=True)
async def test_broadcasts_can_be_denied(bench: Bench) -> None:
    with await Master.connect(bench.server.endpoint) as master:
        await master.send(request(0, to=BROADCAST).octets, link_status_request(ADDRESS).octets)
        assert await master.receive(10) == link_status(ADDRESS).octets
    assert bench.outstation.drops == {Drop.BROADCAST_DENIED: 1}
    assert bench.outstation.frames_from_master == 1


async def test_the_next_master_takes_over(bench: Bench) -> None:
    with await Master.connect(bench.server.endpoint) as older:
        await older.send(link_status_request(ADDRESS).octets)
        assert await older.receive(10) == link_status(ADDRESS).octets
        with await Master.connect(bench.server.endpoint) as newer:
            assert await older.receive_to_the_end() == b""
            await newer.send(link_status_request(ADDRESS).octets)
            assert await newer.receive(10) == link_status(ADDRESS).octets
            assert bench.asker.peer == newer.name
