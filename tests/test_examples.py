"""The README's Python examples, each run as the program that it is, and polled."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import bridge
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from tests.support.link_frames import take_frame
from tests.support.program import Program
from tests.support.ptys import Pty
from tests.support.raw_peers import RawMaster
from tests.support.repository import readme
from tests.support.waiting import PATIENCE_S, until

_PYTHON = re.findall(r"^```python\n(.*?)^```", readme(), re.M | re.S)
EXAMPLES = [example for example in _PYTHON if "asyncio.run" in example]
TESTS = [example for example in _PYTHON if example not in EXAMPLES]
CONFIGURATION = """
[server.main]
listen = "127.0.0.1:0"
[line.bay1]
device = "{device}"
baud = 9600
[[outstation]]
name = "rtu"
server = "main"
masters = ["any"]
line = "bay1"
link_address = 10
"""
ENDPOINT, DEVICE = "127.0.0.1:20000", "/dev/ttyUSB0"
ADDRESS = 10

_DATA = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=True)
_INTEGRITY = bytes.fromhex("c0 c001 3c0206 3c0306 3c0406 3c0106")
_CLOSE = bytes.fromhex("c1 c105 0c0117010003016400000064000000 00")
_UNSOLICITED = 0x82


def _request(user_data: bytes) -> bytes:
    return Frame.build(_DATA, ADDRESS, 1, user_data).octets


def _answer_to(user_data: bytes, send: Callable[[bytes], None], read: Callable[[], bytes]) -> bytes:
    """Send a request; return the fragment that answers it."""
    send(_request(user_data))
    while True:
        fragment = _fragment(read())
        if fragment[1] != _UNSOLICITED:
            return fragment
        # The first is the null response of one who may report unasked: until its confirm, reads wait.
        send(_request(bytes((0xC2, 0xC0 | fragment[0] & 0x1F, 0))))


def _fragment(octets: bytes) -> bytes:
    (frame,) = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=1.0).receive(octets, 0.0)
    return frame.user_data[1:]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _connected(port: int) -> RawMaster:
    def connect() -> RawMaster | None:
        with suppress(ConnectionRefusedError):
            return RawMaster("127.0.0.1", port)
        return None

    master = until(connect, "the example listens")
    assert master is not None
    return master


def _reader(adapter: Pty) -> Callable[[], bytes]:
    octets = bytearray()

    def read() -> bytes:
        deadline_s = time.monotonic() + PATIENCE_S
        while (frame := take_frame(octets)) is None:
            assert select.select([adapter.far], [], [], max(0, deadline_s - time.monotonic()))[0], "no answer"
            octets.extend(os.read(adapter.far, 4096))
        return frame

    return read


def test_there_are_examples_and_each_can_be_reached() -> None:
    assert len(EXAMPLES) >= 2
    assert all((ENDPOINT in example) != (DEVICE in example) for example in EXAMPLES)


@pytest.mark.wire
@pytest.mark.parametrize("example", [each for each in EXAMPLES if ENDPOINT in each])
def test_on_tcp(example: str) -> None:
    port = _free_port()
    code = example.replace(ENDPOINT, f"127.0.0.1:{port}")
    with Program(start=("-c", code)) as program, _connected(port) as master:
        answer = _answer_to(_INTEGRITY, master.send, master.read_frame)
        assert answer[1] == 0x81
        for header in ("0102 00 00 00", "1e05 00 00 00", "0a02 00 00 00"):
            assert bytes.fromhex(header) in answer
        if "ControlHandler" in example:
            echo = _answer_to(_CLOSE, master.send, master.read_frame)
            assert echo[1:4] == bytes((0x81, echo[2], 0x00))
            assert bytes.fromhex("0c011701") in echo
        assert "Traceback" not in program.err


@pytest.mark.wire
@pytest.mark.parametrize("example", [each for each in EXAMPLES if DEVICE in each])
def test_on_a_serial_port(example: str) -> None:
    with Pty() as adapter, Program(start=("-c", example.replace(DEVICE, adapter.device))) as program:
        read = _reader(adapter)

        def answers() -> bool:
            # What is sent before the port is open is lost, as on any line.
            adapter.write(_request(_INTEGRITY))
            return bool(select.select([adapter.far], [], [], 0.2)[0])

        until(answers, "the example answers")
        answer = _fragment(read())
        assert answer[1] == 0x81
        assert bytes.fromhex("1401 00 00 00") in answer
        assert bytes.fromhex("1501 00 00 00") in answer
        assert "Traceback" not in program.err


def test_everything_public_is_exported_once_and_documented() -> None:
    assert len(set(bridge.__all__)) == len(bridge.__all__)
    for name in bridge.__all__:
        thing = getattr(bridge, name)
        assert name == "VERSION" or (thing.__doc__ or "").strip(), f"{name} has no docstring"


def test_the_readme_links_to_the_profile() -> None:
    assert "bridge/outstation/DEVICE_PROFILE.md" in readme()


@pytest.mark.wire
def test_the_test_in_the_readme_passes(tmp_path: Path) -> None:
    (example,) = TESTS
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["bridge.bench.plugin"]\n')
    (tmp_path / "test_site.py").write_text(f"CONFIGURATION = {CONFIGURATION!r}\n\n\n{example}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
