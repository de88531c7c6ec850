'''Fixtures for the tests of a site: serial lines without hardware, and the real bridge between them.

Name the plugin in your `conftest.py`:

    pytest_plugins = ["bridge.bench.plugin"]

and prove at your desk that the master gets what the RTU says, over 1200 baud and an adapter that echoes:

    import os
    import select
    import socket

    CONFIGURATION = """
    [server.main]
    listen = "127.0.0.1:0"

    [line.bay]
    device = "{device}"
    baud = 1200

    [[outstation]]
    name = "pole-12"
    server = "main"
    masters = ["any"]
    line = "bay"
    link_address = 1024
    """
    REQUEST = bytes.fromhex("0564 05c9 0004 0100 9881")  # link status

    def test_the_rtu_hears_the_master(bench_line, rtu_bridge):
        line = bench_line(baud=1200, echo=True)
        rtu = os.open(line.rtus[0].device, os.O_RDWR | os.O_NOCTTY)
        bridge = rtu_bridge(CONFIGURATION.format(device=line.device))
        with socket.create_connection(("127.0.0.1", bridge.port("main"))) as master:
            master.sendall(REQUEST)
            heard = b""
            while len(heard) < len(REQUEST):
                assert select.select([rtu], [], [], 10)[0], "the RTU hears nothing"
                heard += os.read(rtu, 4096)
        os.close(rtu)
        assert heard == REQUEST
'''

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.bench.loop import Bench
from bridge.bench.process import BridgeProcess
from bridge.bench.wire import BenchLine


@pytest.fixture
def bench_line() -> Iterator[Callable[..., BenchLine]]:
    """Make bench lines: call it with the arguments of `BenchLine`. They are closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Bench())

        def make(**settings: object) -> BenchLine:
            return stack.enter_context(BenchLine(bench=bench, **settings))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def rtu_bridge() -> Iterator[Callable[[str | Path], BridgeProcess]]:
    """Start bridges: call it with a configuration's text, or a `Path`; it returns when they listen.

    `listen = "127.0.0.1:0"` takes a free port, which `.port(server)` tells. The status socket is private.
    At the end of the test each must still run and end in peace; its log is in the captured output.
    """
    with contextlib.ExitStack() as stack:

        def start(configuration: str | Path) -> BridgeProcess:
            bridge = BridgeProcess(configuration)
            try:
                bridge.start()
            except BaseException:
                bridge.kill()
                raise
            stack.callback(_end, bridge)
            return bridge

        yield start


def _end(bridge: BridgeProcess) -> None:
    try:
        bridge.stop()
    finally:
        print(bridge.log)
