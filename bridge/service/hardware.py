"""What this machine has, and what a configuration still needs of it: `rtu-bridge hardware`.

`collect` looks and makes JSON-able data of it, `bridge.service.hardware_text` makes text of that. Pins are
not touched; ports are opened for a moment, to ask their drivers (see `hw.ports.ask_rs485`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.endpoints.port_problems import is_made_by_program
from bridge.service.configuration import boards
from bridge.service.configuration.config import Configuration, LedConfig, LineConfig
from hw.assembly import Assembly, AssemblyError, Use
from hw.board import DEFAULT_BOARD, SYSTEM_LED, Direction, Port, System
from hw.boards import base_of_model
from hw.machine import Machine, machine
from hw.ports import Rs485Mode, SerialPort, ask_rs485, serial_ports

_ROOT = Path("/")


def collect(
    configuration: Configuration | None,
    root: Path = _ROOT,
    ask: Callable[[str], Rs485Mode] = ask_rs485,
) -> dict[str, Any]:
    """Return what there is under `root`; with a configuration also what it needs and what is missing."""
    here = machine(root)
    ports = serial_ports(root, ask)
    assembly, origin, problem = _assembly(configuration, here)
    lines = (
        [_Line(line, assembly, ports, root, here.system) for line in configuration.lines.values()]
        if configuration
        else []
    )
    needed = assembly.config_lines((line.use for line in lines), here.system)
    report: dict[str, Any] = {
        "configuration": configuration.source_name if configuration else None,
        "model": here.model,
        "boards": [_board(board) for board in assembly.boards],
        "boards_from": origin,
        "ports": [
            asdict(port) | {"lines": [line.name for line in lines if line.port is port]} for port in ports
        ],
        "gpio_chips": [asdict(chip) for chip in here.gpio_chips],
        "leds": _leds(configuration, assembly, here),
        "kernel_leds": [asdict(led) for led in here.kernel_leds],
    }
    if configuration is not None:
        report["lines"] = [line.report() for line in lines]
        report["config_txt"] = _config_txt(needed, here)
        report["missing"] = [
            *([problem] if problem else []),
            *(text for line in lines for text in line.missing(here.command_line_file)),
            *_missing_lines(needed, here),
            *(f"LED {led['name']}: {led['problem']}" for led in report["leds"] if led["problem"]),
        ]
    return report


def _assembly(configuration: Configuration | None, here: Machine) -> tuple[Assembly, str, str | None]:
    """Return the boards, whence the computer is known ("named", "model", "default"), and a contradiction."""
    named = boards.assembly(configuration.service.board if configuration else boards.DEFAULT_NAMES)
    base = base_of_model(here.model) if here.model else None
    if base is None:
        return named, "named" if configuration and named.base is not DEFAULT_BOARD else "default", None
    if named.base is DEFAULT_BOARD:
        try:
            return named.on(base), "model", None
        except AssemblyError as error:
            return named, "named", str(error)
    problem = None
    if named.base is not base:
        problem = f"board: the configuration says {named.base.name!r}, and this machine is a {base.name!r}"
    return named, "named", problem


def _board(board: Any) -> dict[str, Any]:
    return {
        "name": board.name,
        "title": board.title,
        "verified": board.verified.value,
        "verified_on": board.verified_on.isoformat() if board.verified_on else None,
        "source": board.source,
        "note": board.note or None,
    }


class _Line:
    """A line of the configuration beside the port that it is on this machine."""

    def __init__(
        self,
        line: LineConfig,
        assembly: Assembly,
        ports: Sequence[SerialPort],
        root: Path,
        system: System,
    ) -> None:
        self.name = line.name
        self._system = system
        self.use = Use(line.device, Direction(line.direction))
        self._board_port = assembly.port_of(line.device)
        self._path = root / line.device.lstrip("/")
        self._is_there = self._path.exists()
        real = "/" + os.path.relpath(self._path.resolve(), root.resolve())
        self.is_pty = real.startswith("/dev/pts/")
        self.port = next((port for port in ports if real == port.device or line.device in port.names), None)

    def report(self) -> dict[str, Any]:
        """Return the line as data."""
        return {
            "name": self.name,
            "device": self.use.device,
            "direction": self.use.direction.value,
            "is_there": self._is_there,
            "port": self.port.device if self.port else None,
            "board_port": self._board_port.title if self._board_port else None,
            "rests_by": self._rests_by() or None,
            "notes": [*self._notes()],
        }

    def missing(self, command_line_file: str) -> Iterator[str]:
        """Yield what keeps the line from working, each a sentence with a remedy."""
        where = f"line {self.name}: {self.use.device}"
        if not self._is_there:
            yield f"{where} is not there; {self._remedy_of_absence()}"
            return
        if not os.access(self._path, os.R_OK | os.W_OK):
            yield f"{where} may not be used by this user; add it to the group dialout"
        port = self.port
        if port is None:
            return
        for word in port.kernel_console:
            if word == "active":
                yield f"{where} is a console of the kernel; remove its console= from {command_line_file}"
            else:
                known_as = (
                    " (it may be written console=serial0,... there)"
                    if "AMA" in word or "ttyS" in word
                    else ""
                )
                yield f"{where} is a console of the kernel; remove {word} from {command_line_file}{known_as}"
        if port.getty is not None:
            yield f"{where} offers a login; run: sudo systemctl disable --now {port.getty}"
        if self.use.direction is Direction.RS485 and port.rs485.is_supported is False:
            yield f"{where}: direction is 'rs485', and the driver has no RS-485 mode"

    def _remedy_of_absence(self) -> str:
        uart = (self._board_port.uart or self._board_port.port) if self._board_port else None
        lines = self._lines_of(uart) if uart else ()
        if lines and self._system is System.IMAGE:
            return f"this box writes {', '.join(lines)} into config.txt by itself: start it again"
        if lines:
            return f"are these lines in config.txt: {', '.join(lines)}? They work after a reboot"
        if is_made_by_program(self.use.device):
            return "does the program that makes it run?"
        return "is the adapter plugged in, or the name another?"

    def _lines_of(self, uart: Port) -> tuple[str, ...]:
        named = uart.lines_for(self.use.direction, self._system)
        return named or uart.lines_for(Direction.AUTOMATIC, self._system) or ()

    def _rests_by(self) -> str:
        if self._board_port is None:
            return ""
        port = self._board_port
        if self._system is System.IMAGE and self.use.direction is Direction.RS485 and port.uart is not None:
            lines = port.uart.lines_for(Direction.RS485, System.IMAGE)
            return lines[-1] if lines else ""
        if port.port.rests_by or self.use.direction is not Direction.RS485 or port.uart is None:
            # What keeps a computer's UART at rest matters only if its RTS is wired to a bus driver.
            is_own = port.port is port.uart and self.use.direction is Direction.AUTOMATIC
            return "" if is_own else port.port.rests_by
        return port.uart.rests_by

    def _notes(self) -> Iterator[str]:
        if self.is_pty:
            yield "a pty: no UART, no RS-485, no baud rate"
        port = self.port
        if port is None:
            return
        if port.best is None:
            yield f"no name of it survives a reboot: {port.why_best}"
        elif self.use.device == port.device != port.best:
            yield f"better write {port.best}: {port.why_best}"
        if port.latency_timer_ms is not None and port.latency_timer_ms > 1:
            yield f"the adapter keeps answers back for up to {port.latency_timer_ms} ms (its latency timer)"
        if self.use.direction is Direction.RS485 and not port.is_rs485_at_boot:
            yield (
                "the device tree does not switch RS-485 on at boot: until the bridge opens the port, the bus "
                "driver may rest in the sending state"
            )
        if self.use.direction is Direction.RTS:
            yield "RTS may rest in the sending state until the bridge opens the port for the first time"


def _leds(configuration: Configuration | None, assembly: Assembly, here: Machine) -> list[dict[str, Any]]:
    """Return the LEDs in use, or those of the boards where there is no configuration."""
    if configuration is None:
        return [_led(LedConfig(name, pin, False), [], None) for name, pin in assembly.led_pins.items()]
    users: dict[str, list[str]] = {SYSTEM_LED: ["the program"]}
    for outstation in configuration.outstations:
        if outstation.led is not None:
            users.setdefault(outstation.led, []).append(outstation.name)
    leds = {name: LedConfig(name, pin, False) for name, pin in configuration.board_leds.items()}
    leds |= configuration.leds
    return [
        _led(leds[name], used_by, _led_problem(leds[name], configuration, here))
        for name, used_by in users.items()
        if name in leds
    ]


def _led(led: LedConfig, used_by: list[str], problem: str | None) -> dict[str, Any]:
    return asdict(led) | {"used_by": used_by, "problem": problem}


def _led_problem(led: LedConfig, configuration: Configuration, here: Machine) -> str | None:
    """Return why an LED cannot shine. What the pins do is not tried: the bridge may be using them."""
    if configuration.service.gpio != "auto":
        return None
    if led.kernel is not None:
        is_there = any(kernel.name == led.kernel for kernel in here.kernel_leds)
        return None if is_there else "this machine has no such LED of the kernel; it stays dark"
    if not here.gpio_chips:
        return "this machine has no GPIO; it stays dark"
    if not any(chip.may_open for chip in here.gpio_chips):
        return "this user may not use the GPIO chips; add it to the group gpio"
    return None


def _config_txt(needed: Iterable[str], here: Machine) -> dict[str, Any]:
    file = here.boot_file
    missing = None if file.lines is None else file.missing(needed)
    return {
        "path": file.path,
        "problem": file.problem,
        "needed": [
            {"line": line, "is_there": None if missing is None else line not in missing} for line in needed
        ],
    }


def _missing_lines(needed: Iterable[str], here: Machine) -> Iterator[str]:
    is_image = here.system is System.IMAGE
    remedy = "see bridge.notes.txt on the card" if is_image else "add it under [all] and reboot"
    if here.boot_file.lines is not None:
        for line in here.boot_file.missing(needed):
            yield f"{here.boot_file.path} does not have the line {line}; {remedy}"
