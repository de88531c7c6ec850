"""The flight recorder of a running bridge: taps for its parts, files of its faults, streams for who asks.

Times in a file are those of the system clock when the file was begun, counted back on the monotonic clock: a
clock that is set while it records (a Raspberry Pi has none of its own) tears no gap. The step is an event.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Any

from bridge.endpoints.capture_socket import CaptureServer, capture_path
from bridge.endpoints.events import note, warn
from bridge.endpoints.threads import in_thread
from bridge.endpoints.timer import Timer
from bridge.errors import BindError
from bridge.recording.fault import Fault, FaultLimits, FaultWatch
from bridge.recording.packets import Encoder
from bridge.recording.record import Channel, Interface
from bridge.recording.ring import View
from bridge.recording.tap import Recording, SessionTaps, Tap
from bridge.service.configuration.config import Configuration
from bridge.service.recordings.capture_files import CaptureFolder, FolderState
from bridge.version import VERSION

_MIB = 1024 * 1024
_LOOK_S = 10.0
_CLOCK_STEP_NS = 500_000_000
_LAST_WRITING_S = 1.0
_LEAST_WAIT_S = 0.001


class Recorder:
    """Everything of the flight recorder. Where it is not enabled all taps are None, and nothing is done."""

    def __init__(self, configuration: Configuration) -> None:
        """Prepare the recorder; to be made in a running event loop."""
        config = configuration.recorder
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._numbers, self._interfaces = _interfaces_of(configuration)
        self._recording: Recording | None = None
        self._server: CaptureServer | None = None
        self._folder = None if config.folder is None else CaptureFolder(config.folder, config.disk_mib * _MIB)
        self._watch = FaultWatch(
            FaultLimits(
                timeouts=config.timeouts,
                crc_errors=config.crc_errors,
                burst_s=config.burst_s,
                after_s=config.after_s,
                least_interval_s=config.least_interval_s,
            )
        )
        self._due_timer = Timer(self._loop, self._on_due)
        self._look_timer = Timer(self._loop, self._look_around)
        self._offset_ns = _wall_offset_ns()
        self._writings: set[asyncio.Task[dict[str, Any]]] = set()
        self._is_folder_free = asyncio.Lock()
        self._problem: str | None = None
        """Why the last file could not be written, or the next one will not be."""
        self._files_written = 0
        self._files_failed = 0
        self._folder_state: FolderState | None = None
        self._own: Tap | None = None
        """For what concerns all: that of the first line."""
        self._is_closed = False
        if config.enabled:
            self._recording = Recording(
                config.memory_mib * _MIB, clock=time.monotonic_ns, report=self._fault_happened
            )
            path = capture_path(configuration.service.status_socket)
            self._server = CaptureServer(path, self._recording.ring, self._opening, self._write_on_demand)

    def line(self, name: str) -> Tap | None:
        """Return the tap of a line."""
        if self._recording is None:
            return None
        tap = self._recording.open(Channel(self._numbers["line", name]), "recording begins", line=name)
        self._own = self._own or tap
        return tap

    def server(self, name: str) -> SessionTaps | None:
        """Return what makes the taps of a server's sessions."""
        if self._recording is None:
            return None
        return SessionTaps(self._recording, self._numbers["server", name])

    async def start(self) -> None:
        """Offer the recording to who asks. The bridge does its work without it."""
        if self._server is None:
            return
        self._look_around()
        if self._folder is not None:
            self._look_at(self._folder)
        try:
            await self._server.bind()
        except BindError as error:
            warn("no socket", socket="capture", reason=error.strerror)

    async def close(self) -> None:
        """Take no more faults; write what is due or was begun, for a second."""
        self._is_closed = True
        self._due_timer.cancel()
        self._look_timer.cancel()
        if self._server is not None:
            self._server.close()
        self._write_due(math.inf)
        if self._writings:
            await asyncio.wait(self._writings, timeout=_LAST_WRITING_S)

    def status(self) -> dict[str, Any] | None:
        """Return what the status says of it; None where it is not enabled.

        How the folder is, it was at the start, after the last file, or within 10 s while there is a problem.
        """
        if self._recording is None:
            return None
        ring, state = self._recording.ring, self._folder_state
        return {
            "records": ring.next,
            "records_forgotten": ring.first,
            "octets_kept": ring.most_octets,
            "memory_octets": self._config.memory_mib * _MIB,
            "readers": 0 if self._server is None else self._server.readers,
            "folder": None if self._folder is None else str(self._folder.path),
            "problem": self._problem,
            "files_written": self._files_written,
            "files_failed": self._files_failed,
            "disk_octets": None if state is None else state.octets,
            "disk_limit_octets": None if self._folder is None else self._config.disk_mib * _MIB,
            "disk_free_octets": None if state is None else state.free_octets,
        }

    # Faults

    def _fault_happened(self, fault: Fault, interface: int, time_ns: int) -> None:
        if self._folder is not None and not self._is_closed:
            self._watch.happened(fault, interface, time_ns / 1e9)
            self._settle()

    def _on_due(self) -> None:
        self._write_due(time.monotonic())
        self._settle()

    def _settle(self) -> None:
        deadline = self._watch.next_deadline()
        # The loop's clock may have its own zero and its own steps.
        in_s = None if deadline is None else max(_LEAST_WAIT_S, deadline - time.monotonic())
        self._due_timer.set(None if in_s is None else self._loop.time() + in_s)

    def _write_due(self, now: float) -> None:
        due = self._watch.on_deadline(now)
        if due is None:
            return
        told = "" if due.in_vain == 0 else f", and {due.in_vain} faults since the last file"
        since_ns = int((due.at_s - self._config.before_s) * 1e9)
        self._start_writing(due.fault, f"{due.fault.value}{told}", since_ns)

    async def _write_on_demand(self) -> dict[str, Any]:
        if self._folder is None:
            return {"error": "recorder.folder is not in the configuration: there is nowhere to write to"}
        return await self._start_writing(Fault.ON_DEMAND, "somebody asked for it", since_ns=0)

    # Files

    def _start_writing(self, fault: Fault, comment: str, since_ns: int) -> asyncio.Task[dict[str, Any]]:
        writing = self._loop.create_task(self._write(fault, comment, since_ns))
        self._writings.add(writing)
        writing.add_done_callback(self._writings.discard)
        return writing

    async def _write(self, fault: Fault, comment: str, since_ns: int) -> dict[str, Any]:
        folder, recording = self._folder, self._recording
        assert folder is not None
        assert recording is not None
        try:
            async with self._is_folder_free:
                # Not before it is free: what waits would keep alive what the ring has forgotten.
                opening, encoder = self._opening(comment)
                parts = _parts(opening, encoder, recording.ring.view(since_ns))
                path = await in_thread(
                    self._loop, lambda: folder.write(fault.value, time.time(), parts), "recording"
                )
                self._folder_state = await in_thread(self._loop, folder.look, "recording")
        except OSError as error:
            reason = error.strerror or str(error)
            self._files_failed += 1
            self._has_problem(folder, reason, fault.value)
            return {"error": f"{folder.path}: {reason}"}
        self._problem = None
        self._files_written += 1
        note("recording written", fault=fault.value, file=str(path))
        return {"done": str(path)}

    def _look_at(self, folder: CaptureFolder) -> None:
        """Look whether files can be written, before the first fault or after one that could not."""
        looking = in_thread(self._loop, folder.look, "recording")
        looking.add_done_callback(lambda looked: self._take_look(folder, looked))

    def _take_look(self, folder: CaptureFolder, looked: asyncio.Future[FolderState]) -> None:
        if looked.exception() is not None:
            return
        state = self._folder_state = looked.result()
        if state.problem is not None:
            self._has_problem(folder, state.problem, "")
        elif state.free_octets is None or state.free_octets >= self._config.memory_mib * _MIB:
            # The largest file has room.
            self._problem = None

    def _has_problem(self, folder: CaptureFolder, reason: str, fault: str) -> None:
        if self._problem is None:
            warn("no recording", fault=fault, folder=str(folder.path), reason=reason)
        self._problem = reason

    def _opening(self, comment: str = "live") -> tuple[bytes, Encoder]:
        encoder = Encoder(self._interfaces, offset_ns=_wall_offset_ns())
        return encoder.opening(f"RTU Bridge {VERSION}", comment), encoder

    # What is looked at from time to time: the clock, and a folder that took nothing

    def _look_around(self) -> None:
        offset_ns = _wall_offset_ns()
        step_ns = offset_ns - self._offset_ns
        if abs(step_ns) > _CLOCK_STEP_NS and self._own is not None:
            self._own.event("system clock set", by_s=f"{step_ns / 1e9:+.3f}")
        # What is less than a step is drift, and is not to add up.
        self._offset_ns = offset_ns
        if self._problem is not None and self._folder is not None:
            self._look_at(self._folder)
        self._look_timer.set(self._loop.time() + _LOOK_S)


def _interfaces_of(configuration: Configuration) -> tuple[dict[tuple[str, str], int], list[Interface]]:
    """Return all interfaces, lines first, and the number of each by its kind and name."""
    interfaces = [
        Interface(line.name, f"line: {line.device}, {line.baud} {line.framing}", line.baud)
        for line in configuration.lines.values()
    ]
    interfaces += [
        Interface(server.name, f"server: {server.listen}") for server in configuration.servers.values()
    ]
    kinds = ["line"] * len(configuration.lines) + ["server"] * len(configuration.servers)
    names = [each.name for each in interfaces]
    numbers = {key: number for number, key in enumerate(zip(kinds, names, strict=True))}
    return numbers, interfaces


def _parts(opening: bytes, encoder: Encoder, view: View) -> Iterator[bytes]:
    yield opening
    for records in view.batches():
        yield encoder.encode(records, view.channels)


def _wall_offset_ns() -> int:
    return time.time_ns() - time.monotonic_ns()
