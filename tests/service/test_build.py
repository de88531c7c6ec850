from __future__ import annotations

import asyncio
import logging
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.endpoints import serial_port
from bridge.endpoints.status import fetch
from bridge.endpoints.tcp_session import SessionEnd
from bridge.errors import BindError
from bridge.link.framer import LinkErrorMode
from bridge.routing.drop import Drop
from bridge.service.build import Bridge
from tests.support import toml
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import link_status, link_status_request
from tests.support.masters import Master
from tests.support.ptys import Device, Pty
from tests.support.sites import Pins, configuration_of, running

pytestmark = pytest.mark.wire


@pytest.fixture
def other_adapter() -> Iterator[Pty]:
    with Pty() as adapter:
        yield adapter


async def _ask(master: Master, address: int) -> bytes:
    await master.send(link_status_request(address).octets)
    return await master.receive(10)


async def test_masters_reach_their_outstations_on_every_line(adapter: Pty, other_adapter: Pty) -> None:
    text = (
        toml.service()
        + toml.server()
        + toml.line("bay1", adapter.device)
        + toml.line("bay2", other_adapter.device)
        + toml.outstation("a", 12, master="127.0.0.1")
        + toml.outstation("b", 13, "bay2", master="127.0.0.1")
        + toml.outstation("c", 12, "bay2", master="127.0.0.2")
    )

    def reply(frame: object) -> bytes:
        return link_status(frame.destination).octets  # type: ignore[attr-defined]

    async with running(text) as bridge:
        with Device(adapter, reply) as bay1, Device(other_adapter, reply) as bay2:
            endpoint = bridge.servers["main"].endpoint
            with await Master.connect(endpoint) as one, await Master.connect(endpoint, "127.0.0.2") as other:
                assert await _ask(one, 12) == link_status(12).octets
                assert await _ask(one, 13) == link_status(13).octets
                assert await _ask(other, 12) == link_status(12).octets
        assert [frame.destination for frame in bay1.frames] == [12]
        assert [frame.destination for frame in bay2.frames] == [13, 12]
        assert {name: o.counters.frames_to_master for name, o in bridge.outstations.items()} == {
            "a": 1,
            "b": 1,
            "c": 1,
        }


async def test_lines_are_open_before_a_master_can_connect(
    adapter: Pty, caplog: pytest.LogCaptureFixture
) -> None:
    text = toml.service() + toml.server() + toml.line("bay1", adapter.device) + toml.outstation("a", 12)
    with caplog.at_level(logging.INFO, "bridge"):
        async with running(text) as bridge:
            assert bridge.hubs["bay1"].line.is_open
    events = [record.getMessage() for record in caplog.records]
    assert events.index("line up") < events.index("listening")


async def test_a_missing_device_does_not_keep_the_others_waiting(adapter: Pty) -> None:
    text = (
        toml.service()
        + toml.server()
        + toml.line("bay1", "/dev/nonesuch")
        + toml.line("bay2", adapter.device)
        + toml.outstation("a", 12)
        + toml.outstation("b", 13, "bay2")
    )
    async with running(text) as bridge:
        with (
            Device(adapter, lambda frame: link_status(13).octets),
            await Master.connect(bridge.servers["main"].endpoint) as master,
        ):
            await master.send(link_status_request(12).octets)
            assert await _ask(master, 13) == link_status(13).octets
        assert bridge.outstations["a"].counters.drops == {Drop.LINE_DOWN: 1}


async def test_the_settings_of_a_server_reach_its_sessions(adapter: Pty) -> None:
    text = (
        toml.service()
        + toml.server(link_error_mode="close")
        + toml.server("other", half_open_timeout_s=60)
        + toml.line("bay1", adapter.device)
        + toml.outstation("a", 12)
        + toml.outstation("b", 13, server="other")
    )
    async with running(text) as bridge:
        main, other = bridge.servers["main"], bridge.servers["other"]
        assert (main.link_error_mode, other.link_error_mode) == (LinkErrorMode.CLOSE, LinkErrorMode.DISCARD)
        with await Master.connect(main.endpoint) as one, await Master.connect(other.endpoint) as second:
            await one.send(b"noise")
            await second.send(b"noise")
            assert await one.receive_to_the_end() == b""
            await eventually(lambda: other.sessions and other.sessions[0].counters.octets_discarded, "noise")
            assert main.session_ends == {SessionEnd.LINK_ERROR: 1}
            sock = other.sessions[0]._transport.get_extra_info("socket")  # type: ignore[union-attr]
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20


async def test_a_disabled_outstation_is_not_served(adapter: Pty) -> None:
    text = (
        toml.service()
        + toml.server()
        + toml.line("bay1", adapter.device)
        + toml.outstation("a", 12)
        + toml.outstation("off", 13, enabled=False)
        + toml.outstation("off-too", 14, enabled=False, master="127.0.0.2")
    )
    async with running(text) as bridge:
        server = bridge.servers["main"]
        with await Master.connect(server.endpoint) as master:
            await master.send(link_status_request(13).octets)
            await eventually(lambda: server.drops == {Drop.UNKNOWN_DESTINATION: 1}, "the drop")
        with await Master.connect(server.endpoint, "127.0.0.2") as stranger:
            assert await stranger.receive_to_the_end() == b""
        assert server.session_ends[SessionEnd.NOT_WANTED] == 1
        assert set(bridge.outstations) == {"a"}
        assert set(bridge.front.indicators) == {"a", "off", "off-too"}


async def test_a_taken_port_leaves_nothing_running(adapter: Pty) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        first_port = free.getsockname()[1]
        free.close()
        text = (
            toml.service(status_socket="/nonexistent/s")
            + toml.server("first", listen=f"127.0.0.1:{first_port}")
            + toml.server("second", listen=f"127.0.0.1:{other.getsockname()[1]}")
            + toml.line("bay1", adapter.device)
            + toml.outstation("a", 12, server="first")
        )
        descriptors, tasks = open_descriptors(), asyncio.all_tasks()
        bridge = Bridge(configuration_of(text))
        with pytest.raises(BindError, match="Address already in use"):
            await bridge.start()
        await turns_of_the_loop()
        assert open_descriptors() == descriptors
        assert asyncio.all_tasks() == tasks
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", first_port)) != 0


async def test_close_leaves_nothing_behind(adapter: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = Pins(monkeypatch)
    descriptors, tasks, threads = open_descriptors(), asyncio.all_tasks(), threading.active_count()
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        text = toml.service(status_socket=f"{folder}/s") + toml.server() + toml.line("bay1", adapter.device)
        bridge = Bridge(configuration_of(text + toml.outstation("a", 12, led="led1")))
        await bridge.start()
        with await Master.connect(bridge.servers["main"].endpoint) as master:
            await eventually(lambda: pins.is_high("led1"), "the LED is lit")
            await bridge.close()
            assert await master.receive_to_the_end() == b""
        assert not Path(f"{folder}/s").exists()
    await turns_of_the_loop()
    assert not pins.is_high("led1")
    assert not pins.is_high("system")
    await eventually(lambda: open_descriptors() == descriptors, "no descriptor left behind")
    assert asyncio.all_tasks() == tasks
    await eventually(lambda: threading.active_count() <= threads, "no thread left behind")


async def test_a_driver_that_never_returns_keeps_neither_the_start_nor_the_end_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    def blocked(_settings: object) -> None:
        let_go.wait(60)
        raise OSError("too late")

    monkeypatch.setattr(serial_port, "open_port", blocked)
    tasks = asyncio.all_tasks()
    text = toml.service() + toml.server() + toml.line("bay1", "/dev/ttyBLOCKED") + toml.outstation("a", 12)
    async with asyncio.timeout(10):
        async with running(text) as bridge:
            with await Master.connect(bridge.servers["main"].endpoint) as master:
                await master.send(link_status_request(12).octets)
                await eventually(lambda: bridge.outstations["a"].counters.drops, "the drop")
            assert bridge.outstations["a"].counters.drops == {Drop.LINE_DOWN: 1}
    assert asyncio.all_tasks() == tasks
    let_go.set()
    await turns_of_the_loop()


async def test_a_second_bridge_runs_without_a_status_socket(
    adapter: Pty, other_adapter: Pty, caplog: pytest.LogCaptureFixture
) -> None:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        service = toml.service(status_socket=f"{folder}/s")
        first = service + toml.server() + toml.line("bay1", adapter.device) + toml.outstation("first", 12)
        second = (
            service + toml.server() + toml.line("bay1", other_adapter.device) + toml.outstation("second", 12)
        )
        async with running(first):
            with caplog.at_level(logging.WARNING, "bridge"):
                async with running(second) as bridge:
                    with await Master.connect(bridge.servers["main"].endpoint):
                        server = bridge.servers["main"]
                        await eventually(lambda: server.sessions, "the second serves its master")
            refused = {
                record.fields["socket"]: record.fields["reason"]  # type: ignore[attr-defined]
                for record in caplog.records
                if record.getMessage() == "no socket"
            }
            assert set(refused) == {"capture", "control", "status"}
            assert "another bridge answers" in refused["status"]
            status = await asyncio.to_thread(fetch, f"{folder}/s")
            assert [outstation["name"] for outstation in status["outstations"]] == ["first"]


async def test_the_pins_that_are_used_are_opened_and_no_others(
    adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = Pins(monkeypatch)
    text = (
        toml.service()
        + toml.server()
        + toml.line("bay1", adapter.device)
        + toml.outstation("a", 12, led="led3")
        + toml.outstation("b", 13, led="mine")
        + toml.outstation("c", 14)
        + "[led.mine]\npin = 20\nactive_low = true\n"
    )
    async with running(text):
        assert pins.names == {"system", "led3", "mine"}
        assert (pins.is_high("led3"), pins.is_high("mine")) == (False, True), "both dark; one is active low"
    async with running(text.replace('gpio = "mock"', 'gpio = "none"')):
        assert pins.names == {"system", "led3", "mine"}


async def test_a_disabled_outstation_still_hears_the_self_address(adapter: Pty) -> None:
    text = toml.service() + toml.server() + toml.line("bay1", adapter.device) + toml.outstation("a", 12)
    other = toml.outstation("b", 13, enabled=False)
    async with running(text + other) as bridge:
        with await Master.connect(bridge.servers["main"].endpoint) as master:
            await master.send(link_status_request(0xFFFC).octets)
            drops = bridge.servers["main"].drops
            await eventually(lambda: drops == {Drop.SELF_ADDRESS_SHARED: 1}, "the drop")
    async with running(text) as bridge:
        assert bridge.outstations["a"].is_alone_on_bus


async def test_its_events_tell_of_its_life(adapter: Pty, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "bridge"):
        text = toml.service() + toml.server() + toml.line("bay1", adapter.device) + toml.outstation("a", 12)
        async with running(text) as bridge:
            with await Master.connect(bridge.servers["main"].endpoint):
                await eventually(lambda: bridge.servers["main"].sessions, "the master")
    events = [record.getMessage() for record in caplog.records if record.name == "bridge"]
    assert events == [
        "GPIO",
        "line up",
        "listening",
        "started",
        "master connected",
        "master disconnected",
        "stopped",
    ]
