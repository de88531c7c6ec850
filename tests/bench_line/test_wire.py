"""Bench lines as ptys: what is written at one end is read at the others, as the medium says."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from bridge.bench import Bench, BenchLine, Direction, Duplex, Noise
from bridge.endpoints.serial_port import SerialSettings, open_port
from tests.support import wire_crc
from tests.support.descriptors import open_descriptors
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.wire

FRAME = wire_crc.frame(0xC4, 10, 1, bytes(range(40)))
FAST = 115200


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[int]:
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield port
    finally:
        os.close(port)


def read(port: int, length: int) -> bytes:
    """Return exactly so many octets."""
    octets = b""
    while len(octets) < length:
        assert select.select([port], [], [], PATIENCE_S)[0], f"only {octets!r}"
        octets += os.read(port, length - len(octets))
    return octets


def unread(port: int) -> bytes:
    try:
        return os.read(port, 4096)
    except BlockingIOError:
        return b""


def test_all_hear_what_one_says() -> None:
    with (
        BenchLine(baud=FAST, rtus=2) as line,
        opened(line.device) as bridge,
        opened(line.rtus[0].device) as one,
        opened(line.rtus[1].device) as two,
    ):
        os.write(bridge, b"request")
        assert read(one, 7) == read(two, 7) == b"request"
        os.write(two, b"answer")
        assert read(bridge, 6) == read(one, 6) == b"answer"
        assert line.octets(Direction.TO_RTU) == b"request"
        assert line.octets(Direction.TO_BRIDGE) == b"answer"
        assert unread(bridge) == unread(two) == b""


def test_octets_take_their_time_on_the_line() -> None:
    with BenchLine(baud=9600) as line, opened(line.device) as bridge, opened(line.rtus[0].device) as rtu:
        os.write(bridge, bytes(200))
        read(rtu, 200)
        times = [passage.time_s for passage in line.passages]
        first = len(line.passages[0].octets)
        # The wire's own times: a busy machine makes pieces larger and never times shorter.
        assert times[-1] - times[0] == pytest.approx((200 - first) * 10 / 9600)
        assert len(times) > 1


def test_echo_and_duplex_reach_the_medium() -> None:
    with BenchLine(baud=FAST, echo=True) as line, opened(line.device) as bridge:
        os.write(bridge, b"echo")
        assert read(bridge, 4) == b"echo"
    with (
        BenchLine(baud=FAST, rtus=2, duplex=Duplex.FULL) as line,
        opened(line.device) as bridge,
        opened(line.rtus[0].device) as one,
        opened(line.rtus[1].device) as two,
    ):
        os.write(one, b"answer")
        assert read(bridge, 6) == b"answer"
        os.write(bridge, b"x")
        assert read(two, 1) == b"x"


def test_a_port_that_nobody_has_open_hears_nothing_and_remembers_nothing() -> None:
    with BenchLine(baud=None) as line, opened(line.device) as bridge:
        os.write(bridge, b"before")
        until(lambda: line.unread == 6, "it is lost")
        with opened(line.rtus[0].device) as rtu:
            os.write(bridge, b"while")
            assert read(rtu, 5) == b"while"
            os.write(bridge, b"unread")
            assert select.select([rtu], [], [], PATIENCE_S)[0]
        # Who is faster than the line's thread still finds it.
        until(lambda: not line.port_of(1).users, "the closing is seen")
        with opened(line.rtus[0].device) as rtu:
            os.write(bridge, b"after")
            assert read(rtu, 5) == b"after"


def test_a_reader_that_does_not_read_loses_octets_and_delays_nobody() -> None:
    with (
        BenchLine(baud=None, rtus=2) as line,
        opened(line.device) as bridge,
        opened(line.rtus[0].device),
        opened(line.rtus[1].device) as reader,
    ):
        for number in range(200):
            os.write(bridge, bytes([number]) * 1000)
            assert read(reader, 1000) == bytes([number]) * 1000
        assert line.unread > 100_000


def test_a_writer_waits_for_a_slow_line() -> None:
    with BenchLine(baud=300) as line, opened(line.device) as bridge:
        written = 0

        def is_full() -> bool:
            nonlocal written
            try:
                written += os.write(bridge, bytes(1024))
            except BlockingIOError:
                return True
            return False

        until(is_full, "the line takes no more")
        assert written < 40_000
    with BenchLine(baud=3_000_000) as line, opened(line.device) as bridge, opened(line.rtus[0].device) as rtu:
        sent = bytes(range(256)) * 100
        left, heard = sent, b""

        def is_through() -> bool:
            nonlocal left, heard
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(bridge, left) :] if left else left
            heard += unread(rtu)
            return len(heard) == len(sent)

        until(is_through, "all of it passes", pause_s=0)
        assert heard == sent


def test_unplugging_hangs_up_and_replugging_is_another_device_at_the_same_path() -> None:
    with BenchLine(baud=None) as line, opened(line.rtus[0].device) as rtu:
        with opened(line.device) as old:
            line.unplug()
            line.unplug()
            assert not os.path.lexists(line.device)
            until(lambda: is_hung_up(old), "the port hangs up")
            os.write(rtu, b"said to nobody")
            line.replug()
            line.replug()
            with opened(line.device) as bridge:
                os.write(rtu, b"hello")
                assert read(bridge, 5) == b"hello"
        assert line.octets(Direction.TO_BRIDGE) == b"hello"


def is_hung_up(port: int) -> bool:
    try:
        return os.read(port, 1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_killed_user_leaves_no_lock() -> None:
    """It is root who may always open it, so the lock itself is looked at."""
    with BenchLine(baud=None) as line:
        port = open_port(SerialSettings(device=str(line.device), baud=9600))
        near = line.port_of(0)
        until(lambda: near.users, "the opening is seen")
        assert is_exclusive(near._slave)
        os.close(port.fd)
        port.fd, port.is_open = None, False
        until(lambda: not near.users, "the closing is seen")
        until(lambda: not is_exclusive(near._slave), "the lock is gone")


def is_exclusive(descriptor: int) -> bool:
    get_exclusive = 0x80045440  # TIOCGEXCL
    return bool(struct.unpack("i", fcntl.ioctl(descriptor, get_exclusive, bytes(4)))[0])


def test_faults_of_an_rtu() -> None:
    with (
        BenchLine(baud=FAST, rtus=2) as line,
        opened(line.device) as bridge,
        opened(line.rtus[0].device) as one,
        opened(line.rtus[1].device) as two,
    ):
        line.rtus[0].babble(b"la")
        assert read(bridge, 100) == b"la" * 50
        line.rtus[0].hush()
        line.rtus[0].die()
        os.write(one, b"dead")
        until(lambda: line.counters.unsaid[1] == 4, "its octets are lost")
        while unread(bridge):
            pass
        os.write(bridge, b"anybody?")
        assert read(two, len(line.octets(Direction.TO_BRIDGE)) + 8)[-8:] == b"anybody?"
        assert unread(one) == b""
        line.rtus[0].revive()
        line.rtus[0].delay(0.05)
        os.write(one, b"late")
        assert read(two, 4) == b"late"
        with pytest.raises(ValueError, match="nothing"):
            line.rtus[0].babble(b"")


def test_noise_and_a_floating_line() -> None:
    with BenchLine(baud=FAST) as line, opened(line.device) as bridge, opened(line.rtus[0].device) as rtu:
        maker = line.make_noise(Direction.TO_RTU, Noise(seed=1, inside=1.0))
        os.write(bridge, FRAME)
        until(lambda: maker.hits == 1, "it is damaged")
        line.float_idle()
        read(bridge, 50)
        line.make_clean()
        os.write(bridge, FRAME)
        until(lambda: line.octets(Direction.TO_RTU).endswith(FRAME), "it passes as it is")
        assert line.counters.octets_floated >= 50
        assert select.select([rtu], [], [], PATIENCE_S)[0]


def test_many_lines_in_one_thread() -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Bench())
        lines = [stack.enter_context(BenchLine(baud=FAST, bench=bench)) for _ in range(32)]
        assert threading.active_count() == before + 1
        bridges = [stack.enter_context(opened(line.device)) for line in lines]
        rtus = [stack.enter_context(opened(line.rtus[0].device)) for line in lines]
        for number, bridge in enumerate(bridges):
            os.write(bridge, bytes([number]) * 100)
        for number, rtu in enumerate(rtus):
            assert read(rtu, 100) == bytes([number]) * 100
    assert threading.active_count() == before


def test_nothing_is_left_behind() -> None:
    before = open_descriptors().keys()
    with BenchLine(rtus=3) as line:
        folder = Path(line.device).parent
        assert folder.exists()
    line.close()
    assert not folder.exists()
    assert open_descriptors().keys() == before


def test_the_device_given_is_used_and_never_taken_from_somebody(tmp_path: Path) -> None:
    device = tmp_path / "tty"
    device.symlink_to("/dev/pts/nobody")
    with BenchLine(device=device) as line:
        assert line.device == str(device)
        assert device.exists()
    assert not os.path.lexists(device)
    device.write_text("precious")
    before = open_descriptors().keys()
    with pytest.raises(FileExistsError), BenchLine(device=device):
        pass
    assert device.read_text() == "precious"
    assert open_descriptors().keys() == before


def test_a_line_is_used_between_start_and_close() -> None:
    line = BenchLine()
    for use in (lambda: line.device, lambda: line.rtus[0].device):
        with pytest.raises(RuntimeError):
            use()
    with line, pytest.raises(RuntimeError, match="started before"):
        line.start()
    with pytest.raises(RuntimeError):
        _ = line.rtus[0].device
    bench = Bench()
    bench.close()
    bench.close()
    with pytest.raises(RuntimeError, match="closed"):
        BenchLine(bench=bench).start()


def test_pyserial_opens_its_ends_as_they_are() -> None:
    with (
        BenchLine(baud=None) as line,
        serial.Serial(line.device, timeout=PATIENCE_S) as bridge,
        serial.Serial(line.rtus[0].device, timeout=PATIENCE_S) as rtu,
    ):
        bridge.write(FRAME)
        assert rtu.read(len(FRAME)) == FRAME
