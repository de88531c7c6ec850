"""The recorder of a bridge in the test's own loop: which faults it writes, and what stands in the files."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.endpoints.capture_socket import capture_path
from bridge.endpoints.status import fetch
from bridge.service.build import Bridge
from bridge.service.recordings import capture, recorder
from bridge.service.recordings.captures import read
from tests.support.eventually import eventually
from tests.support.frames import link_status, link_status_request
from tests.support.masters import Master
from tests.support.program import ROOT, run_to_the_end
from tests.support.ptys import Device, Jack, Pty
from tests.support.raw_peers import RawMaster
from tests.support.sites import configuration_of
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.wire

REQUEST, ANSWER = link_status_request().octets, link_status().octets
DAMAGED = ANSWER[:-1] + bytes((ANSWER[-1] ^ 1,))
AT_ONCE = "after_s = 0\nleast_interval_s = 0"
TEXT = """
[service]
status_socket = "{folder}/s"
gpio = "none"
[recorder]
folder = "{folder}/captures"
{settings}
[server.main]
listen = "127.0.0.1:0"
[line.bay]
device = "{folder}/tty"
baud = 115200
response_timeout_ms = {timeout_ms}
[[outstation]]
name = "pole-12"
server = "main"
masters = ["any"]
line = "bay"
link_address = 12
"""


@dataclass
class Site:
    """A folder for a bridge, its line's device and its recordings."""

    folder: Path
    masters: list[Master] = field(default_factory=list)

    @property
    def captures(self) -> Path:
        return self.folder / "captures"

    @property
    def status_socket(self) -> str:
        return str(self.folder / "s")

    @asynccontextmanager
    async def bridge(self, settings: str = AT_ONCE, *, timeout_ms: int = 100) -> AsyncIterator[Bridge]:
        text = TEXT.format(folder=self.folder, settings=settings, timeout_ms=timeout_ms)
        bridge = Bridge(configuration_of(text))
        await bridge.start()
        await eventually(lambda: bridge.hubs["bay"].line.is_open, "the line is open")
        try:
            yield bridge
        finally:
            for master in self.masters:
                master.close()
            await bridge.close()

    async def master(self, bridge: Bridge) -> Master:
        master = await Master.connect(bridge.servers["main"].endpoint)
        self.masters.append(master)
        return master

    def faults(self) -> list[str]:
        """The reasons in the names of the files that are whole."""
        return sorted(each.stem.split("-")[3] for each in self.captures.glob("*.pcapng"))

    async def told(self, fault: str) -> list[str]:
        """Wait for a file and return its events and comments."""
        await eventually(lambda: fault in self.faults(), f"a file of {fault}")
        (path,) = self.captures.glob(f"*-{fault}.pcapng")
        return [piece.remark for piece in read(str(path)) if piece.remark]


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        yield Site(Path(folder))


@pytest.fixture
def adapter(site: Site) -> Iterator[Pty]:
    with Pty() as adapter, Jack(site.folder / "tty") as jack:
        jack.plug_in(adapter)
        yield adapter


async def test_a_line_that_is_lost(site: Site, adapter: Pty) -> None:
    async with site.bridge() as bridge:
        with Device(adapter, lambda _: ANSWER):
            master = await site.master(bridge)
            await master.send(REQUEST)
            assert await master.receive(len(ANSWER)) == ANSWER
        adapter.unplug()
        told = await site.told("line_down")
        assert any(text.startswith("line down line=bay reason=") for text in told), told
        (path,) = site.captures.iterdir()
        octets = b"".join(piece.octets for piece in read(str(path)))
        assert octets == REQUEST + REQUEST + ANSWER + ANSWER


async def test_a_session_that_is_pre_empted(site: Site, adapter: Pty) -> None:
    async with site.bridge() as bridge:
        first = await site.master(bridge)
        await eventually(lambda: bridge.servers["main"].sessions, "it is connected")
        second = await site.master(bridge)
        told = await site.told("pre_empted")
        assert f"master connected outstation=pole-12 peer={first.name}" in told
        assert f"master disconnected peer={first.name} reason=pre_empted" in told
        assert f"connection accepted peer={second.name}" in told


async def test_timeouts_and_late_answers(site: Site, adapter: Pty) -> None:
    async with site.bridge(f"{AT_ONCE}\ntimeouts = 2") as bridge:
        master = await site.master(bridge)
        outcomes = bridge.outstations["pole-12"].counters.outcomes
        for number in (1, 2):
            await master.send(REQUEST)
            await eventually(lambda n=number: outcomes.total() == n, "it is given up")  # type: ignore[misc]
        told = await site.told("timeouts")
        assert sum(text.startswith("no answer outstation=pole-12 outcome=") for text in told) == 2


async def test_crc_errors(site: Site, adapter: Pty) -> None:
    async with site.bridge(f"{AT_ONCE}\ncrc_errors = 3"):
        adapter.write(DAMAGED * 3)
        assert "discarded: header_crc" in await site.told("crc_errors")


async def test_dropped_frames_have_their_reason(site: Site, adapter: Pty) -> None:
    async with site.bridge() as bridge:
        master = await site.master(bridge)
        await master.send(link_status_request(99).octets)
        adapter.write(link_status(98).octets)
        await eventually(lambda: bridge.hubs["bay"].drops, "it was heard")
        await eventually(lambda: bridge.servers["main"].drops, "it was taken")
        await asyncio.to_thread(capture.write, site.status_socket)
        told = await site.told("on_demand")
        assert "dropped: unknown_destination" in told
        assert "dropped: unknown_source" in told


async def test_what_is_dropped_while_it_waits_is_in_it(site: Site, adapter: Pty) -> None:
    """The session ends while its second request waits for the first one's answer."""
    async with site.bridge(timeout_ms=20_000) as bridge:
        master = await site.master(bridge)
        await master.send(REQUEST, REQUEST)
        await eventually(lambda: bridge.hubs["bay"].waiting_frames, "one waits")
        master.close()
        await eventually(lambda: not bridge.servers["main"].sessions, "it is gone")
        await asyncio.to_thread(capture.write, site.status_socket)
        assert "dropped: session_ended" in await site.told("on_demand")


async def test_what_follows_a_fault_is_in_the_file(site: Site, adapter: Pty) -> None:
    async with site.bridge("after_s = 0.3") as bridge:
        await site.master(bridge)
        await eventually(lambda: bridge.servers["main"].sessions, "it is connected")
        await site.master(bridge)
        await eventually(lambda: bridge.servers["main"].session_ends, "it is pre-empted")
        adapter.write(DAMAGED)
        told = await site.told("pre_empted")
        assert told[-1] == "discarded: header_crc"


async def test_what_was_long_before_is_not(site: Site, adapter: Pty) -> None:
    async with site.bridge(f"{AT_ONCE}\nbefore_s = 0") as bridge:
        adapter.write(DAMAGED)
        await eventually(lambda: bridge.hubs["bay"].counters.discards, "it was heard")
        adapter.unplug()
        told = await site.told("line_down")
        assert told[0].startswith("line down")


async def test_a_line_that_flaps_is_written_once(site: Site, adapter: Pty) -> None:
    async with site.bridge("after_s = 0") as bridge:
        for _ in range(3):
            await site.master(bridge)
            await eventually(
                lambda: bridge.servers["main"].session_ends.total() == len(site.masters) - 1, "it took over"
            )
            if len(site.masters) == 2:
                await site.told("pre_empted")
        await asyncio.to_thread(capture.write, site.status_socket)
        assert site.faults() == ["on_demand", "pre_empted"]


async def test_the_end_of_the_bridge_is_no_fault(site: Site, adapter: Pty) -> None:
    async with site.bridge() as bridge:
        await site.master(bridge)
        await eventually(lambda: bridge.servers["main"].sessions, "it is connected")
    assert site.faults() == []


async def test_what_is_due_at_the_end_is_written(site: Site, adapter: Pty) -> None:
    async with site.bridge("after_s = 3600") as bridge:
        adapter.unplug()
        await eventually(lambda: not bridge.hubs["bay"].line.is_open, "the line is down")
    assert site.faults() == ["line_down"]


async def test_a_folder_that_takes_nothing_is_one_warning(
    site: Site, adapter: Pty, caplog: pytest.LogCaptureFixture
) -> None:
    site.captures.touch()
    caplog.set_level(logging.INFO)
    async with site.bridge() as bridge:
        for _ in range(4):
            await site.master(bridge)
            await eventually(lambda: bridge.servers["main"].sessions, "it is connected")
        status = await asyncio.to_thread(capture.write, site.status_socket)
        assert status == capture.FAILED
        warnings = [record for record in caplog.records if record.message == "no recording"]
        assert len(warnings) == 1
        assert warnings[0].fields["reason"] == "Not a directory"  # type: ignore[attr-defined]
        told = bridge.snapshot()["recorder"]
        assert told["problem"] in ("File exists", "Not a directory")
        assert told["files_failed"] > told["files_written"] == 0
    assert site.captures.read_bytes() == b""


async def test_a_folder_that_takes_files_again_is_seen_before_the_next_fault(
    site: Site, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_LOOK_S", 0.01)
    site.captures.touch()
    async with site.bridge() as bridge:
        told = bridge.recorder.status
        await eventually(lambda: (told() or {})["problem"] == "Not a directory", "it takes nothing")
        site.captures.unlink()
        await eventually(lambda: (told() or {})["problem"] is None, "it would take files")


TINY = 1024 * 1024
ON_A_TINY_DISK = """
mount -t tmpfs -o size=1m none "$1" || exit 77
exec "$2" -m bridge run -c "$3"
"""


def _answers(site: Site) -> bool:
    try:
        return bool(fetch(site.status_socket))
    except (FileNotFoundError, ConnectionRefusedError):
        return False


@contextmanager
def _on_a_tiny_disk(site: Site) -> Iterator[Path]:
    """Run the program with a folder of 1 MiB for its captures, which only it sees; give its way there."""
    file, site_captures = site.folder / "c.toml", site.captures
    site_captures.mkdir()
    file.write_text(TEXT.format(folder=site.folder, settings=AT_ONCE, timeout_ms=100), encoding="utf-8")
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        ON_A_TINY_DISK,
        "sh",
        str(site_captures),
        sys.executable,
        str(file),
    ]
    with open(site.folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or _answers(site), "it answers")
        if process.poll() is not None:
            pytest.skip((site.folder / "log").read_text(encoding="utf-8"))
        yield Path(f"/proc/{process.pid}/root{site_captures}")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_disk_that_is_full_is_one_line_until_there_is_room(site: Site, adapter: Pty) -> None:
    def recorder() -> dict[str, Any]:
        return fetch(site.status_socket)["recorder"]  # type: ignore[no-any-return]

    with _on_a_tiny_disk(site) as captures:
        port = int(fetch(site.status_socket)["servers"][0]["listen"].rpartition(":")[2])
        filler = captures / "filler"
        filler.write_bytes(bytes(TINY - 4096))
        with RawMaster("127.0.0.1", port) as one:
            one.send(REQUEST * 200)
            until(lambda: fetch(site.status_socket)["servers"][0]["frames_received"] == 200, "much was said")
            with RawMaster("127.0.0.1", port):
                until(lambda: recorder()["files_failed"] == 1, "there is no room")
        with RawMaster("127.0.0.1", port), RawMaster("127.0.0.1", port):
            until(lambda: recorder()["files_failed"] == 2, "there still is none")
        assert recorder()["problem"] == "No space left on device"
        assert os.listdir(captures) == ["filler"], "what found no room is removed"
        ended, out, _ = run_to_the_end("status", "--socket", site.status_socket)
        assert ended == 0
        assert f"no recording: {site.captures}: No space left on device" in out
        filler.unlink()
        with RawMaster("127.0.0.1", port), RawMaster("127.0.0.1", port):
            until(lambda: recorder()["files_written"] == 1, "there is room")
        assert recorder()["problem"] is None
        assert recorder()["disk_octets"] > 4096
        (path,) = captures.iterdir()
        assert any(piece.remark for piece in read(str(path)))
    log = (site.folder / "log").read_text(encoding="utf-8")
    assert log.count("no recording") == 1
    assert log.count("recording written") == 1
    assert "Traceback" not in log


async def test_switched_off(site: Site, adapter: Pty) -> None:
    async with site.bridge("enabled = false") as bridge:
        assert bridge.hubs["bay"]._tap is None
        await site.master(bridge)
        await eventually(lambda: bridge.servers["main"].sessions, "it is connected")
        assert bridge.servers["main"].sessions[0].tap is None
        adapter.unplug()
        await eventually(lambda: not bridge.hubs["bay"].line.is_open, "the line is down")
        assert not os.path.exists(capture_path(site.status_socket))
    assert site.faults() == []


async def test_a_clock_that_is_set_is_an_event_and_tears_no_gap(
    site: Site, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_LOOK_S", 0.01)
    really = time.time_ns
    async with site.bridge():
        monkeypatch.setattr(recorder.time, "time_ns", lambda: really() + 3600 * 10**9)
        output = site.folder / "out.pcapng"

        def is_told() -> bool:
            return any("system clock set by_s=+3600." in piece.remark for piece in read(str(output)))

        async with asyncio.timeout(10):
            while True:
                await asyncio.to_thread(
                    capture.capture, site.status_socket, output=str(output), is_following=False
                )
                if is_told():
                    break
        times = [piece.time_s for piece in read(str(output)) if piece.time_s is not None]
        assert times == sorted(times)
        assert times[-1] - times[0] < 60
        assert abs(times[-1] - really() / 1e9 - 3600) < 60


class TestCommand:
    async def test_a_file_of_what_is_kept(self, site: Site, adapter: Pty) -> None:
        async with site.bridge() as bridge:
            adapter.write(DAMAGED)
            await eventually(lambda: bridge.hubs["bay"].counters.discards, "it was heard")
            output = site.folder / "out.pcapng"
            status = await asyncio.to_thread(
                capture.capture, site.status_socket, output=str(output), is_following=False
            )
            assert status == capture.DONE
            assert "discarded: header_crc" in [piece.remark for piece in read(str(output))]

    async def test_the_bridge_ends_while_it_follows(self, site: Site, adapter: Pty) -> None:
        output = site.folder / "out.pcapng"
        async with site.bridge():
            following = asyncio.create_task(
                asyncio.to_thread(capture.capture, site.status_socket, output=str(output), is_following=True)
            )
            await eventually(lambda: output.exists() and output.stat().st_size > 100, "it follows")
        assert await following == capture.DONE
        assert next(read(str(output))).remark == "recording begins line=bay"

    async def test_an_output_that_cannot_be_made(
        self, site: Site, adapter: Pty, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with site.bridge():
            output = str(site.folder / "nowhere" / "out")
            status = await asyncio.to_thread(
                capture.capture, site.status_socket, output=output, is_following=False
            )
            assert status == capture.FAILED
            assert capsys.readouterr().err == f"rtu-bridge capture: {output}: No such file or directory\n"

    def test_no_bridge(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        assert capture.capture(site.status_socket, output=None, is_following=True) == capture.FAILED
        assert capture.write(site.status_socket) == capture.FAILED
        line = (
            f"rtu-bridge capture: {site.status_socket}.cap: No such file or directory; "
            "is the bridge running, and its recorder enabled?\n"
        )
        assert capsys.readouterr().err == line * 2

    async def test_nowhere_to_write_to(
        self, site: Site, adapter: Pty, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = TEXT.replace('folder = "{folder}/captures"', "").format(
            folder=site.folder, settings="", timeout_ms=100
        )
        bridge = Bridge(configuration_of(text))
        await bridge.start()
        assert await asyncio.to_thread(capture.write, site.status_socket) == capture.FAILED
        assert "recorder.folder is not in the configuration" in capsys.readouterr().err
        await bridge.close()

    @pytest.mark.parametrize(
        ("octets", "end"),
        [(b"", 0), (bytes(11), 0), (b"\x06\0\0\0\x0c\0\0\0\x0c\0\0\0", 12), (b"\x06\0\0\0\0\0\0\0" * 4, 0)],
    )
    def test_whole_blocks_only(self, octets: bytes, end: int) -> None:
        assert capture._end_of_blocks(octets) == end
        assert capture._end_of_blocks(octets + octets[:5]) == end
