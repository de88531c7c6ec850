"""An outstation without a wire and without a clock: octets in, octets out, at literal times.

A talk is lines of octets, read from top to bottom:

    > c0 01 3c 02 06          the master (address 1) sends this fragment
    < c0 81 80 00             the outstation must send this fragment, now and to the master
    > c0 02 ...
                              nothing after a `>`: the outstation must stay silent
    +5                        five seconds pass, in steps from deadline to deadline
    ? 12.5                    something is due at 12.5 s, and nothing before; `? -`: nothing is
    7>                        ... from master 7;   7<  ... to master 7
    >ffff                     ... to this address, in hex

`..` in an answer stands for any octet. What follows `#` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob
from bridge.application.function import Function, Iin
from bridge.application.measurement import Measurement, PointKind
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.outstation import session as session_module
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes, EventMode
from bridge.outstation.handlers import (
    ControlHandler,
    FreezeType,
    OutstationApplication,
    OutstationInformation,
    RestartDelay,
)
from bridge.outstation.points import CommandKind, PointConfig
from bridge.outstation.stack import Await, LinkDead, Octets, OutstationStack, Step
from bridge.outstation.states import State
from bridge.outstation.stimulus import Stimulus
from bridge.transport.reassembler import Reassembler
from bridge.transport.segmenter import segments

OUTSTATION, MASTER = 1024, 1
EPOCH_MS = 1_700_000_000_000
"""UTC at time 0; little-endian 0068e5cf8b01."""
SILENT = UnsolicitedConfig(is_supported=False)

_FROM_MASTER = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=True)
_LINE = re.compile(r"(?P<master>\d*)(?P<verb>[<>])(?P<address>[0-9a-f]{4})?\s*(?P<octets>[0-9a-f. ]*)$")


class Recorder(OutstationInformation, OutstationApplication, ControlHandler):
    """All of the user's interfaces in one: writes down what is called, answers what it is told to.

    `answers` maps a method's name to what it returns: a value, an exception to raise, or an awaitable.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.notes: list[str] = []
        self.answers: dict[str, Any] = {
            "select": CommandStatus.SUCCESS,
            "operate": CommandStatus.SUCCESS,
            "freeze": True,
            "write_time": True,
            "write_deadband": True,
            "write_octet_string": True,
            "write_schedule": True,
            "write_attribute": True,
            "cold_restart": None,
            "warm_restart": None,
            "indications": Iin(0),
        }

    def _answer(self, name: str, *arguments: object) -> Any:
        self.calls.append(" ".join(map(_text, (name, *arguments))))
        return self._given(name)

    def _given(self, name: str) -> Any:
        answer = self.answers.get(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _note(self, name: str, *arguments: object) -> None:
        self.notes.append(" ".join(map(_text, (name, *arguments))))
        self._given(name)

    # OutstationApplication

    def indications(self) -> Iin:
        return self._given("indications")

    def write_time(self, utc_ms: int) -> bool:
        return self._answer("write_time", utc_ms)

    def cold_restart(self) -> RestartDelay | None:
        return self._answer("cold_restart")

    def warm_restart(self) -> RestartDelay | None:
        return self._answer("warm_restart")

    def freeze(self, kind: PointKind, start: int | None, stop: int | None, freeze_type: FreezeType) -> bool:
        return self._answer("freeze", kind, start, stop, freeze_type.name)

    def write_deadband(self, index: int, deadband: float) -> bool:
        return self._answer("write_deadband", index, deadband)

    def write_octet_string(self, index: int, octets: bytes) -> bool:
        return self._answer("write_octet_string", index, octets)

    def write_schedule(self, index: int, utc_ms: int, interval: int, units: int) -> bool:
        return self._answer("write_schedule", index, utc_ms, interval, units)

    def write_attribute(self, attribute_set: int, variation: int, value: object) -> bool:
        return self._answer("write_attribute", attribute_set, variation, value)

    def class_assigned(self, kind: PointKind, start: int, stop: int, event_class: int) -> None:
        self._answer("class_assigned", kind, start, stop, event_class)

    def command_class_assigned(self, kind: PointKind, start: int, stop: int, event_class: int) -> None:
        self._answer("command_class_assigned", kind, start, stop, event_class)

    # ControlHandler

    def select(self, command: Crob | AnalogOutputCommand, index: int) -> CommandStatus:
        return self._answer("select", *_command(command), index)

    def operate(self, command: Crob | AnalogOutputCommand, index: int, function: Function) -> CommandStatus:
        return self._answer("operate", *_command(command), index, function.name)

    # OutstationInformation

    def confirm_received(self, *, is_unsolicited: bool, events: int) -> None:
        self._note("confirmed", "unsolicited" if is_unsolicited else "solicited", events)

    def confirm_timed_out(self, *, is_unsolicited: bool) -> None:
        self._note("timed_out", "unsolicited" if is_unsolicited else "solicited")

    def confirm_unexpected(self, *, is_unsolicited: bool, sequence: int) -> None:
        self._note("unexpected", "unsolicited" if is_unsolicited else "solicited", sequence)

    def broadcast_received(self, function: Function | int, *, was_processed: bool) -> None:
        self._note("broadcast", function, was_processed)

    def restart_cleared(self) -> None:
        self._note("restart_cleared")

    def unsolicited_enabled(self, classes: frozenset[int]) -> None:
        self._note("unsolicited_enabled", *sorted(classes))

    def handler_failed(self, error: Exception) -> None:
        self._note("handler_failed", error)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return getattr(value, "name", str(value)) if isinstance(value, Function) else str(value)


def _command(command: Crob | AnalogOutputCommand) -> tuple[object, ...]:
    if isinstance(command, Crob):
        return (
            "crob",
            f"{command.code:02x}",
            f"{command.count}x",
            f"{command.on_time_ms}/{command.off_time_ms}",
        )
    return f"g41v{command.variation}", command.value


class Harness:
    """One outstation whose master is the test. By default it is linked at 0.0 s and restarted no more."""

    def __init__(
        self,
        *,
        config: OutstationConfig | None = None,
        unsolicited: UnsolicitedConfig = SILENT,
        attributes: AttributeStore | None = None,
        sizes: EventBufferSizes | None = None,
        modes: dict[PointKind | CommandKind, EventMode] | None = None,
        is_restarted: bool = False,
        is_linked: bool = True,
        **settings: Any,
    ) -> None:
        self.now = 0.0
        settings = {"keep_alive_s": None, "unsolicited": unsolicited, **settings}
        self.config = config or OutstationConfig(**settings)
        self.user = Recorder()
        self.database = Database(EventBuffer(sizes, modes))
        self.attributes = attributes or AttributeStore()
        self.stack = OutstationStack(
            self.config, self.database, self.attributes, self.user, self.user, self.user, self.utc_ms
        )
        self.session = self.stack._session
        self.session._functions.writes.is_restarted = is_restarted
        self.heard: list[tuple[int, bytes]] = []
        """Fragments that no line of a talk expected yet, with their destination."""
        self.link_heard: list[Frame] = []
        """Frames without user data."""
        self.awaiting: list[object] = []
        self.deaths = 0
        self._changed = False
        self.database.add_listener(self._note_change)
        self._sequence = 0
        self._framer = LinkFramer(LinkErrorMode.CLOSE, frame_timeout_s=1.0)
        self._reassembler = Reassembler(65535)
        if is_linked:
            self.link()

    def utc_ms(self) -> int:
        return EPOCH_MS + round(self.now * 1000)

    # Points

    def add(
        self,
        index: int,
        config: PointConfig,
        value: object = 0,
        *,
        flags: int = 0x01,
        time_ms: int | None = None,
    ) -> None:
        initial = Measurement(_typed(config.kind, value), flags, time_ms)
        self.database.add(index, config, initial)

    def update(
        self, kind: PointKind, index: int, value: object, *, flags: int = 0x01, time_ms: int | None = EPOCH_MS
    ) -> None:
        """Change a point; the outstation hears of it at once."""
        self.database.update(kind, index, Measurement(_typed(kind, value), flags, time_ms))
        self.settle()

    def settle(self) -> None:
        if self._changed:
            self._changed = False
            self.take(self.stack.database_changed(self.now))

    def _note_change(self) -> None:
        self._changed = True

    # Talking

    def talk(self, script: str) -> None:
        """Hold a conversation; see the module's docstring. Answers that nobody expects fail it."""
        for number, raw in enumerate(script.strip().splitlines(), 1):
            line = raw.partition("#")[0].strip()
            if line:
                self._line(f"line {number}: {raw.strip()}", line)
        self._expect_silence("at the end")

    def _line(self, where: str, line: str) -> None:
        if line.startswith("+"):
            self._expect_silence(f"before {where}")
            self.wait(float(line[1:]))
            return
        if line.startswith("?"):
            due = line[1:].strip()
            assert self.stack.next_deadline() == (None if due == "-" else float(due)), where
            return
        match = _LINE.match(line)
        assert match, where
        master = int(match["master"] or MASTER)
        if match["verb"] == ">":
            self._expect_silence(f"before {where}")
            destination = int(match["address"], 16) if match["address"] else OUTSTATION
            self.send(bytes.fromhex(match["octets"]), source=master, destination=destination)
            return
        assert self.heard, f"{where}: nothing came"
        destination, octets = self.heard.pop(0)
        expected = match["octets"].replace(" ", "")
        assert destination == master, f"{where}: it went to {destination}"
        pattern = expected if "." in expected else re.escape(expected)
        assert re.fullmatch(pattern, octets.hex()), f"{where}: came {octets.hex(' ')}"

    def _expect_silence(self, when: str) -> None:
        assert not self.heard, f"unexpected {when}: {[octets.hex(' ') for _, octets in self.heard]}"

    def send(self, fragment: bytes, *, source: int = MASTER, destination: int = OUTSTATION) -> None:
        parts = segments(fragment, self._sequence) or [bytes((0xC0 | self._sequence,))]
        self._sequence = (self._sequence + len(parts)) % 64
        for part in parts:
            self.frame(Frame.build(_FROM_MASTER, destination, source, part))

    def ask(self, request: str) -> str:
        """Send a request in hex and return the one answer in hex."""
        self.send(bytes.fromhex(request))
        ((_, octets),) = self.heard
        self.heard.clear()
        return octets.hex()

    def frame(self, frame: Frame) -> None:
        self.take(self.stack.receive(frame, self.now))
        self.settle()

    def resume(self, outcome: object = None, *, error: Exception | None = None) -> None:
        """End the wait for a handler."""
        self.awaiting.pop(0)
        self.take(self.stack.resume(self.now, outcome, error))
        self.settle()

    def link(self) -> None:
        self.take(self.stack.link_began(self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass; what is due is done when it is due."""
        end = self.now + seconds
        for _ in range(10_000):
            due = self.stack.next_deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(due, self.now)
            if due == self.now:
                # Early calls do nothing: a shell's timer may be a little fast.
                assert self.stack.on_deadline(due - 0.001) == []
            self.take(self.stack.on_deadline(self.now))
            self.settle()
        raise AssertionError(f"the deadline {due} never passes")

    def take(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Await(awaitable):
                    self.awaiting.append(awaitable)
                case LinkDead():
                    self.deaths += 1
                case Octets(octets):
                    self._take_octets(octets)

    def _take_octets(self, octets: bytes) -> None:
        frames = self._framer.receive(octets, self.now)
        assert self._framer.failure is None
        assert self._framer.next_deadline() is None
        assert sum(len(frame.octets) for frame in frames) == len(octets), "frames must be whole"
        for frame in frames:
            assert not frame.control.from_master
            assert frame.source == OUTSTATION
            if not frame.control.carries_user_data:
                self.link_heard.append(frame)
                continue
            fragment = self._reassembler.receive(frame.user_data)
            assert not self._reassembler.counters.discards
            if fragment is not None:
                assert len(fragment) <= self.config.longest_response
                self.heard.append((frame.destination, fragment))


def _typed(kind: PointKind, value: object) -> Any:
    binary = (PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT)
    if kind in binary:
        return bool(value)
    return b"\0" if kind is PointKind.OCTET_STRING and not isinstance(value, bytes) else value


class Cells(dict[Any, Any]):
    """The session's table, writing down which cells are used."""

    def __init__(self) -> None:
        super().__init__(session_module.TABLE)
        self.used: list[tuple[State, Stimulus]] = []

    def __getitem__(self, cell: tuple[State, Stimulus]) -> Any:
        self.used.append(cell)
        return super().__getitem__(cell)


@contextmanager
def watched_cells() -> Iterator[Cells]:
    """Write down the cells that every session uses inside of this."""
    original, cells = session_module.TABLE, Cells()
    session_module.TABLE = cells
    try:
        yield cells
    finally:
        session_module.TABLE = original


class Later:
    """What an `async` handler returns: to be awaited by the shell, here by `Harness.resume`."""

    def __await__(self) -> Iterator[Any]:
        raise NotImplementedError("the harness resumes by hand")
