"""Random and mutated octets through link, transport and application.

    python -m tests.outstation.fuzz --octets 10000000 --seed 7

Whatever comes: no exception leaves the layers, memory stays bounded, every octet that goes out belongs to a
whole frame, and the next valid request is answered.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.command import CommandStatus
from bridge.application.function import Iin
from bridge.application.measurement import Measurement, PointKind
from bridge.link.control import Control
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.outstation.attributes import AttributeEntry, AttributeStore
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes
from bridge.outstation.handlers import (
    ControlHandler,
    OutstationApplication,
    OutstationInformation,
    RestartDelay,
)
from bridge.outstation.points import (
    CONFIGS,
    EventClass,
)
from bridge.outstation.stack import Await, LinkDead, Octets, OutstationStack, Step
from bridge.transport.reassembler import Reassembler
from bridge.transport.segmenter import segments
from tests.outstation.harness import Later
from tests.vectors import LINK_FRAMES, load

OUTSTATION, MASTER = 1024, 1
EVENTS_PER_TYPE = 20
LONGEST_REQUEST = 1000
PROBE_EVERY = 20_000
"""Octets between two valid requests that must be answered."""
FRAME_TIMEOUT_S = 0.5
_REQUESTS = [each for each in load("requests.txt").values() if len(each) > 1]
_CAPTURED = list(LINK_FRAMES.values())
_MOST_USED = (0xC0, 0xC0, 0xC0, 0xC0, 0xC0, 0xC0, 0xE0, 0xD0, 0x80, 0x40)
_DESTINATIONS = (OUTSTATION,) * 20 + (0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 7)
_CONTROLS = (0xC4,) * 30 + (0xC0, 0xD3, 0xF3, 0xF3, 0xD3, 0xC9, 0xF2, 0x44, 0x8B)
_CLASSES = (EventClass.CLASS_1, EventClass.CLASS_2, EventClass.CLASS_3)
_VALUES: dict[PointKind, Any] = {
    PointKind.BINARY_INPUT: lambda chance: chance.random() < 0.5,
    PointKind.BINARY_OUTPUT: lambda chance: chance.random() < 0.5,
    PointKind.DOUBLE_BIT_INPUT: lambda chance: chance.randrange(4),
    PointKind.COUNTER: lambda chance: chance.randrange(1 << 32),
    PointKind.FROZEN_COUNTER: lambda chance: chance.randrange(1 << 32),
    PointKind.OCTET_STRING: lambda chance: chance.randbytes(chance.randint(1, 255)),
}


class Moody(OutstationApplication, ControlHandler, OutstationInformation):
    """The user's code at its worst: refuses, raises, answers nonsense, or takes its time."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        for name in (
            "write_time",
            "freeze",
            "write_deadband",
            "write_octet_string",
            "write_schedule",
            "write_attribute",
        ):
            setattr(self, name, self._mood(True, False))
        for name in ("cold_restart", "warm_restart"):
            setattr(self, name, self._mood(RestartDelay(5), RestartDelay(-5), None))
        for name in ("select", "operate"):
            setattr(self, name, self._mood(*[CommandStatus.SUCCESS] * 8, *CommandStatus, 77, None))
        for name in ("indications", "class_assigned", "command_class_assigned"):
            setattr(self, name, self._mood(Iin(0), Iin.NEED_TIME, None))
        for name in vars(OutstationInformation):
            if not name.startswith("_"):
                setattr(self, name, self._mood(None))

    def _mood(self, *outcomes: object) -> Any:
        def method(*arguments: object, **named: object) -> object:
            mood = self._chance.random()
            if mood < 0.02:
                raise ValueError("the application's own fault")
            return Later() if mood < 0.1 else self._chance.choice(outcomes)

        return method


@dataclass
class Report:
    """What went in, and what came of it."""

    seed: int
    octets: int = 0
    frames_in: int = 0
    frames_out: int = 0
    responses: int = 0
    unsolicited: int = 0
    functions: set[int] = field(default_factory=set)
    probes: int = 0
    resets: int = 0
    drops: int = 0
    grown_kib: int = 0
    seconds: float = 0.0


class Fuzz:
    """One outstation and its hostile line."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.report = Report(seed)
        self.now = 0.0
        self.awaiting = 0
        self.database = Database(EventBuffer(EventBufferSizes.all(EVENTS_PER_TYPE)))
        self.config = OutstationConfig(
            link_address=OUTSTATION,
            master_address=self.chance.choice((MASTER, None)),
            longest_request=LONGEST_REQUEST,
            longest_response=self.chance.choice((249, 500, 2048)),
            unsolicited=UnsolicitedConfig(retries=1, confirm_timeout_s=1.0, retry_delay_s=1.0),
            confirm_timeout_s=1.0,
            keep_alive_s=self.chance.choice((None, 10.0)),
        )
        self.stack = self._make_stack()
        self.framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=FRAME_TIMEOUT_S)
        self._master_framer = LinkFramer(LinkErrorMode.CLOSE, frame_timeout_s=1.0)
        self._master_reassembler = Reassembler(65535)
        self._sequence = 0
        self._answers: list[bytes] = []
        self.take(self.stack.link_began(self.now))

    def _make_stack(self) -> OutstationStack:
        for make in CONFIGS.values():
            for index in (0, 1, 2, 7, 300):
                self.database.add(index, make(_CLASSES[index % 3]))
        attributes = AttributeStore(
            {
                (0, 247): AttributeEntry(Attribute(AttributeType.VSTR, "name"), is_writable=True),
                (0, 252): AttributeEntry(Attribute(AttributeType.VSTR, "maker")),
                (5, 1): AttributeEntry(Attribute(AttributeType.INT, -1), is_writable=True),
            }
        )
        user = Moody(self.chance)
        return OutstationStack(
            self.config,
            self.database,
            attributes,
            user,
            user,
            user,
            lambda: 1_700_000_000_000 + round(self.now * 1000),
        )

    # What comes out

    def take(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Await():
                    self.awaiting += 1
                case Octets(octets):
                    self._take_octets(octets)
                case LinkDead():
                    pass

    def _take_octets(self, octets: bytes) -> None:
        frames = self._master_framer.receive(octets, self.now)
        assert self._master_framer.failure is None
        assert sum(len(frame.octets) for frame in frames) == len(octets), "an incomplete frame went out"
        self.report.frames_out += len(frames)
        for frame in frames:
            assert not frame.control.from_master
            assert frame.source == OUTSTATION
            assert frame.destination <= 0xFFEF
            if not frame.control.carries_user_data:
                continue
            fragment = self._master_reassembler.receive(frame.user_data)
            assert not self._master_reassembler.counters.discards
            if fragment is not None:
                assert 4 <= len(fragment) <= self.config.longest_response
                self.report.unsolicited += fragment[1] == 130
                self.report.responses += fragment[1] == 129
                self._answers.append(fragment)

    # What goes in

    def run(self, octets: int) -> Report:
        """Send about so many octets."""
        started = time.perf_counter()
        grown_from = 0
        next_probe = PROBE_EVERY
        while self.report.octets < octets:
            self.step()
            if self.report.octets >= next_probe:
                next_probe += PROBE_EVERY
                self.probe()
                self.check_bounds()
                # Caches and pools fill first.
                if not grown_from and self.report.octets > octets // 4:
                    grown_from = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.probe()
        self.report.grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown_from
        self.report.drops = self.stack.drops.total() + self.stack.segments.counters.discards.total()
        self.report.seconds = time.perf_counter() - started
        return self.report

    def step(self) -> None:
        """Send something, and let something happen."""
        chance = self.chance
        octets = self.octets()
        while octets:
            cut = len(octets) if chance.random() < 0.8 else chance.randint(1, len(octets))
            self.feed(octets[:cut])
            octets = octets[cut:]
        self._answers.clear()
        match chance.randrange(12):
            case 0:
                self.pass_time(chance.choice((0.001, 0.1, 2.0)))
            case 1:
                self.change()
            case 2 | 3 | 4 | 5 if self.awaiting:
                self.resume()
            case 6 if chance.random() < 0.05:
                self.report.resets += 1
                self.stack.link_ended()
                self.awaiting = 0
                self.take(self.stack.link_began(self.now))

    def octets(self) -> bytes:
        """Return something to send: noise, a right or wrong frame, or a damaged one."""
        chance = self.chance
        kind = chance.random()
        if kind < 0.03:
            return chance.randbytes(chance.randint(1, 300))
        if kind < 0.06:
            return b"\x05\x64" * chance.randint(1, 40)
        octets = chance.choice(_CAPTURED) if kind < 0.1 else self.frames()
        if chance.random() < 0.2:
            damaged = bytearray(octets)
            for _ in range(chance.randint(1, 3)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            octets = bytes(damaged)
        return octets[: chance.randrange(len(octets))] if chance.random() < 0.05 else octets

    def frames(self) -> bytes:
        chance = self.chance
        fragment = self.fragment()
        control = Control.of(chance.choice(_CONTROLS))
        destination = chance.choice(_DESTINATIONS)
        source = MASTER if chance.random() < 0.97 else chance.choice((2, 0xFFFD, 0xFFF0))
        parts = segments(fragment, self._sequence) if fragment else [b""]
        self._sequence = (self._sequence + len(parts)) % 64
        if chance.random() < 0.05:
            chance.shuffle(parts)
        if chance.random() < 0.05:
            parts.append(chance.choice(parts))
        return b"".join(Frame.build(control, destination, source, part).octets for part in parts)

    def fragment(self) -> bytes:
        """Return a request: right, with other numbers, of other parts, or nonsense."""
        chance = self.chance
        kind = chance.random()
        if kind < 0.02:
            return chance.randbytes(chance.choice((0, 1, 2, 3, 20, 300, 1001)))
        if kind < 0.2:
            return self.confirm()
        octets = bytearray(chance.choice(_REQUESTS))
        octets[0] = chance.choice(_MOST_USED) | chance.randrange(16)
        if chance.random() < 0.5:
            return bytes(octets)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(1, len(octets) + 1)
            match chance.randrange(5):
                case 0:
                    del octets[max(at, 2) :]
                case 1:
                    octets[at:at] = chance.randbytes(chance.randint(1, 3))
                case 2:
                    octets += chance.choice(_REQUESTS)[2:]
                case 3:
                    octets += octets[2:] * (100 if chance.random() < 0.03 else chance.randint(1, 3))
                    del octets[LONGEST_REQUEST:]
                case _ if at < len(octets):
                    octets[at] = chance.choice((0, 1, 6, 7, 0x17, 0x28, 0xFF, chance.randrange(256)))
        return bytes(octets)

    def confirm(self) -> bytes:
        """Return a confirm, mostly the one that is waited for."""
        session = self.stack._session
        if session._confirm is not None and self.chance.random() < 0.8:
            return bytes((0xC0 | session._confirm.sequence, 0))
        if session._unsolicited is not None and self.chance.random() < 0.8:
            return bytes((0xD0 | session._schedule.sequence, 0))
        return bytes((0xC0 | self.chance.randrange(32), 0))

    def feed(self, octets: bytes) -> None:
        self.report.octets += len(octets)
        for frame in self.framer.receive(octets, self.now):
            self.receive(frame)

    def receive(self, frame: Frame) -> None:
        self.report.frames_in += 1
        if frame.control.carries_user_data and len(frame.octets) > 13:
            self.report.functions.add(frame.octets[12])
        self.take(self.stack.receive(frame, self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for frame in self.framer.on_deadline(self.now):
            self.receive(frame)
        self.take(self.stack.on_deadline(self.now))
        due = self.stack.next_deadline()
        assert due is None or due > self.now, "a deadline that passed was not served"

    def change(self) -> None:
        kind = self.chance.choice(list(CONFIGS))
        value_of = _VALUES.get(kind, lambda chance: chance.choice((1, 2.5, -1e300, float("nan"))))
        index = self.chance.choice((0, 1, 2, 7, 300))
        measurement = Measurement(
            value_of(self.chance), 1, 1_700_000_000_000 + self.chance.randrange(100_000)
        )
        self.database.update(kind, index, measurement)
        self.take(self.stack.database_changed(self.now))

    def resume(self) -> None:
        self.awaiting -= 1
        if self.chance.random() < 0.1:
            self.take(self.stack.resume(self.now, error=OSError("late")))
        else:
            self.take(
                self.stack.resume(self.now, self.chance.choice((True, False, None, 0, RestartDelay(1))))
            )

    # What must hold

    def probe(self) -> None:
        """Whatever came before: a valid request is answered."""
        self.pass_time(FRAME_TIMEOUT_S)
        while self.awaiting:
            self.resume()
        session = self.stack._session
        sequence = (session._last.control.sequence + 1) % 16 if session._last is not None else 0
        self._answers.clear()
        # FIR begins a fragment, whatever was held of another.
        request = Frame.build(Control.of(0xC4), OUTSTATION, MASTER, bytes((0xC0, 0xC0 | sequence, 0x17)))
        self.feed(request.octets)
        answers = [each for each in self._answers if each[1] == 129]
        assert len(answers) == 1, self._answers
        assert answers[0][0] & 0xDF == 0xC0 | sequence
        assert answers[0][4:] == bytes.fromhex("340207010000")
        self.report.probes += 1

    def check_bounds(self) -> None:
        """Nothing that a peer sends is piled up."""
        session = self.stack._session
        assert len(self.framer._held) <= 291
        assert len(self.stack.segments._fragment) <= LONGEST_REQUEST
        assert len(session._reader._kept) <= 16
        assert all(sum(len(p.objects) for p in parts) <= 65536 for _, parts in session._reader._kept.values())
        assert len(session._functions.writes._schedules) <= 256
        assert len(session._functions.freezes._schedule._orders) <= 32
        assert len(session._functions.writes._attributes._entries) == 3
        counts = self.database.events.counts()
        assert all(count <= EVENTS_PER_TYPE for count in counts.by_kind.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--octets", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1815)
    parser.add_argument("--lives", type=int, default=1, help="outstations, with the seeds that follow")
    arguments = parser.parse_args()
    for seed in range(arguments.seed, arguments.seed + arguments.lives):
        report = Fuzz(seed).run(arguments.octets // arguments.lives)
        print(replace(report, functions=len(report.functions)), flush=True)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
