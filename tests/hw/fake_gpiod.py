"""A module like gpiod 2, on chips that a test describes. `test_gpio_gpiod` compares it to the real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from types import ModuleType

Direction = Enum("Direction", "AS_IS INPUT OUTPUT")
Bias = Enum("Bias", "AS_IS DISABLED PULL_UP PULL_DOWN")
Edge = Enum("Edge", "NONE BOTH")
Clock = Enum("Clock", "MONOTONIC")
Value = Enum("Value", "INACTIVE ACTIVE")

KERNEL_BUFFER = 16


@dataclass
class LineSettings:
    direction: Direction = Direction.AS_IS
    edge_detection: Edge = Edge.NONE
    bias: Bias = Bias.AS_IS
    active_low: bool = False
    debounce_period: timedelta = timedelta()
    event_clock: Clock = Clock.MONOTONIC
    output_value: Value = Value.INACTIVE


@dataclass
class EdgeEvent:
    Type = Enum("Type", "RISING_EDGE FALLING_EDGE")
    event_type: Enum
    timestamp_ns: int


@dataclass
class ChipInfo:
    label: str
    num_lines: int = 58


@dataclass
class LineInfo:
    consumer: str
    used: bool = True


@dataclass(eq=False)
class Line:
    """A line of a chip, and what is on its wire."""

    is_high: bool = False
    holder: str | None = None
    request: LineRequest | None = None
    is_broken: bool = False
    levels: list[bool] = field(default_factory=list)


class FakeGpiod(ModuleType):
    """`chips` is path -> label; None: no permission; an error: raised when the chip is opened."""

    LineSettings = LineSettings
    EdgeEvent = EdgeEvent

    def __init__(self, chips: dict[str, str | OSError | None]) -> None:
        super().__init__("gpiod")
        self.chips = chips
        self.open_chips: list[str] = []
        self.lines: dict[int, Line] = {}
        self.line = ModuleType("gpiod.line")
        self.line.__dict__.update(Direction=Direction, Bias=Bias, Edge=Edge, Clock=Clock, Value=Value)
        module = self

        class Chip(_Chip):
            def __init__(self, path: str) -> None:
                super().__init__(module, path)

        self.Chip = Chip

    def wire(self, line: int) -> Line:
        return self.lines.setdefault(line, Line())

    def drive(self, line: int, *, high: bool, at: float) -> None:
        """Put a level on an input's wire, and an edge into the kernel's buffer."""
        wire = self.wire(line)
        if wire.is_high != high:
            wire.is_high = high
            if wire.request is not None:
                wire.request.edge(high=high, at=at)

    @property
    def requested(self) -> set[int]:
        return {number for number, line in self.lines.items() if line.request is not None}


class _Chip:
    def __init__(self, module: FakeGpiod, path: str) -> None:
        label = module.chips[path]
        if label is None:
            raise PermissionError(errno.EACCES, "Permission denied")
        if isinstance(label, OSError):
            raise label
        self._module, self._path, self._label = module, path, label
        module.open_chips.append(path)

    def __enter__(self) -> _Chip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._module.open_chips.remove(self._path)

    def get_info(self) -> ChipInfo:
        return ChipInfo(self._label)

    def get_line_info(self, line: int) -> LineInfo:
        return LineInfo(self._module.wire(line).holder or "")

    def request_lines(self, config: dict[int, LineSettings], consumer: str) -> LineRequest:
        (number,) = config
        wire = self._module.wire(number)
        if wire.holder is not None:
            raise OSError(errno.EBUSY, "Device or resource busy")
        wire.holder = consumer
        wire.request = LineRequest(wire, number)
        wire.request.reconfigure_lines(config)
        return wire.request


class LineRequest:
    def __init__(self, wire: Line, number: int) -> None:
        self.wire, self.number = wire, number
        self.settings = LineSettings()
        self.events: list[EdgeEvent] = []
        # Readable while it holds an octet, as the kernel's descriptor while there are events.
        self.fd, self._write_end = os.pipe()

    def reconfigure_lines(self, config: dict[int, LineSettings]) -> None:
        self.settings = config[self.number]
        if self.settings.direction is Direction.OUTPUT:
            self._put(self.settings.output_value)
        elif self.settings.bias is not Bias.DISABLED:
            self.wire.is_high = self.settings.bias is Bias.PULL_UP

    def set_value(self, line: int, value: Value) -> None:
        assert line == self.number
        if self.wire.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        self._put(value)

    def get_value(self, line: int) -> Value:
        assert line == self.number
        if self.wire.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        return Value.ACTIVE if self.wire.is_high != self.settings.active_low else Value.INACTIVE

    def wait_edge_events(self, timeout: float) -> bool:
        assert timeout == 0, "nothing may wait here"
        return bool(self.events)

    def read_edge_events(self, most: int) -> list[EdgeEvent]:
        assert self.events, "the real one would block"
        taken, self.events = self.events[:most], self.events[most:]
        if not self.events:
            os.read(self.fd, 1)
        return taken

    def release(self) -> None:
        os.close(self.fd)
        os.close(self._write_end)
        self.wire.holder = self.wire.request = None

    def edge(self, *, high: bool, at: float) -> None:
        if self.settings.edge_detection is not Edge.BOTH:
            return
        if not self.events:
            os.write(self._write_end, b"!")
        # Edges are those of the logical level, and a full buffer loses the oldest.
        is_rising = high != self.settings.active_low
        kind = EdgeEvent.Type.RISING_EDGE if is_rising else EdgeEvent.Type.FALLING_EDGE
        self.events = [*self.events, EdgeEvent(kind, round(at * 1e9))][-KERNEL_BUFFER:]

    def _put(self, value: Value) -> None:
        self.wire.is_high = (value is Value.ACTIVE) != self.settings.active_low
        self.wire.levels.append(self.wire.is_high)


def names_used() -> Iterator[tuple[str, str]]:
    """Yield (module, name) of everything of gpiod that the fake has."""
    for kind in (Direction, Bias, Edge, Clock, Value):
        for member in kind:
            yield "gpiod.line", f"{kind.__name__}.{member.name}"
    for setting in LineSettings.__dataclass_fields__:
        yield "gpiod", f"LineSettings.{setting}"
    for name in ("open", "close", "get_info", "get_line_info", "request_lines"):
        yield "gpiod", f"Chip.{name}" if name != "open" else "Chip"
    for name in (
        *("reconfigure_lines", "set_value", "get_value", "wait_edge_events", "read_edge_events"),
        *("release", "fd"),
    ):
        yield "gpiod", f"LineRequest.{name}"
    yield "gpiod", "EdgeEvent.Type.RISING_EDGE"
    yield "gpiod", "EdgeEvent.Type.FALLING_EDGE"
