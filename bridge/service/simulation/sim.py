"""`rtu-bridge sim`: simulated RTUs of a file on a serial port, a fresh pty or a TCP port."""

from __future__ import annotations

import logging
import re
from importlib import resources
from typing import Protocol

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.local_outstation import Outstation
from bridge.endpoints.serial_outstation import PtyOutstations, SerialOutstations
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_server import TcpServer
from bridge.errors import BindError, EndpointError
from bridge.link.framer import LinkErrorMode
from bridge.service import log_queue, logs, streams
from bridge.service.configuration.keys import LINE_KEYS
from bridge.service.configuration.schema import RefusedError
from bridge.service.run import run_in_loop, stop_signal
from bridge.service.simulation import sim_config
from bridge.service.simulation.sim_config import Rtu
from bridge.service.simulation.simulated import SimulatedRtu

EXAMPLE = "sim_example.toml"
_DEFAULT_BAUD = 9600


class Wire(Protocol):
    """Where the RTUs of one file can be reached."""

    def add(self, outstation: Outstation) -> None:
        """Put an RTU on it."""

    async def open(self) -> str:
        """Begin, and return the line to print. Raises OSError with the reason."""

    async def close(self) -> None:
        """Take it away."""


def sim(path: str | None, *, serial: str | None = None, tcp: str | None = None) -> int:
    """Run the RTUs of a file, or of the example, until a signal; return the exit status.

    Without `serial` ("DEVICE" or "DEVICE:BAUD") and `tcp` ("ADDRESS:PORT") they are on a fresh pty.
    Raises `ConfigurationError` before anything is started.
    """
    rtus = example() if path is None else sim_config.load(path)
    try:
        settings = None if serial is None else _settings(serial)
        endpoint = None if tcp is None else Endpoint.parse(tcp)
    except RefusedError as error:
        streams.complain(f"--serial: {error}")
        return 2
    except EndpointError as error:
        streams.complain(f"--tcp: {error}")
        return 2
    # Until it is open, what goes wrong is one line: ours.
    logs.set_up("error", "text")
    with log_queue.in_background():
        problem = run_in_loop(_serve(rtus, settings, endpoint))
    if problem is not None:
        log_queue.say(problem)
        return 1
    return 0


def example_text() -> str:
    """Return the file that comes with the program."""
    return (resources.files("bridge.service.simulation") / EXAMPLE).read_text(encoding="utf-8")


def example() -> tuple[Rtu, ...]:
    """Return the RTU of the file that comes with the program."""
    return sim_config.parse(example_text(), EXAMPLE)


async def _serve(
    rtus: tuple[Rtu, ...], settings: SerialSettings | None, endpoint: Endpoint | None
) -> str | None:
    """Serve until a signal; return why it could not, or None."""
    stopped = stop_signal()
    wire: Wire
    if settings is not None:
        wire = _SerialWire(settings)
    elif endpoint is not None:
        wire = _TcpWire(endpoint)
    else:
        wire = _PtyWire()
    simulated = [SimulatedRtu(rtu) for rtu in rtus]
    for each in simulated:
        wire.add(each.outstation)
        each.start()
    try:
        where = await wire.open()
        print(
            "\n".join([where, *(f"RTU {rtu.config.name} ADDRESS {rtu.config.link_address}" for rtu in rtus)]),
            flush=True,
        )
        logging.getLogger().setLevel(logging.INFO)
        await stopped.wait()
    except BindError as error:
        return error.strerror or str(error)
    finally:
        for each in simulated:
            each.stop()
        await wire.close()
    return None


def _settings(text: str) -> SerialSettings:
    """Read "DEVICE" or "DEVICE:BAUD". A device's name may have colons; its last part is no baud rate then."""
    match = re.fullmatch(r"(.+?)(?::([0-9]{1,7}))?", text)
    if match is None:
        raise RefusedError("names no device; write /dev/ttyUSB0 or /dev/ttyUSB0:9600")
    baud: int = LINE_KEYS["baud"].convert(int(match[2] or _DEFAULT_BAUD))
    return SerialSettings(device=match[1], baud=baud)


class _SerialWire:
    def __init__(self, settings: SerialSettings) -> None:
        self._served = SerialOutstations(settings)
        self.add = self._served.add

    async def open(self) -> str:
        line = self._served.line
        self._served.start()
        await line.attempted.wait()
        if not line.is_open:
            raise BindError(None, f"{line.settings.device}: {line.reason}")
        return f"DEVICE {line.settings.device}"

    async def close(self) -> None:
        await self._served.close()


class _PtyWire:
    def __init__(self) -> None:
        self._served = PtyOutstations()
        self.add = self._served.add

    async def open(self) -> str:
        self._served.start()
        return f"DEVICE {self._served.device}"

    async def close(self) -> None:
        await self._served.close()


class _TcpWire:
    def __init__(self, endpoint: Endpoint) -> None:
        self._server = TcpServer(LinkErrorMode.DISCARD, str(endpoint), name="sim")

    def add(self, outstation: Outstation) -> None:
        self._server.add_outstation(outstation, None, AddressFilter.any())

    async def open(self) -> str:
        await self._server.bind()
        return f"ENDPOINT {self._server.endpoint}"

    async def close(self) -> None:
        await self._server.close()
