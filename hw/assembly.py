"""A computer and what is plugged on it, as one: its ports, LEDs, reserved pins and lines of config.txt.

A claim is a GPIO that something needs, and the sentence that says so. Rules:

  HAT    claims its reserved pins, and TX and RX of its ports on the header, whether they are used or not.
  base   claims its reserved pins.
  line   on a UART of the base claims TX and RX; and CTS and RTS if RTS switches the direction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hw.board import DEFAULT_BOARD, Board, BoardKind, Direction, Port, System


class AssemblyError(ValueError):
    """Boards that cannot be together; the text says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A GPIO that is not free. `why` is the end of a sentence: "GPIO25 is ..."."""

    pin: int
    why: str
    port: str = ""
    """The port of the base whose pin it is, if it is one's."""


@dataclass(frozen=True, slots=True)
class BoardPort:
    """A port with the board that it belongs to, as far as the computer is known."""

    board: Board
    port: Port
    uart: Port | None
    """The computer's UART that it is, or that it sits on; None for a chip of its own."""

    @property
    def title(self) -> str:
        """What to call it: "RS485 of Waveshare RS485 CAN HAT"."""
        return f"{self.port.name} of {self.board.title}"

    @property
    def devices(self) -> tuple[str, ...]:
        """Its paths, on Raspberry Pi OS first; empty while the computer is not known."""
        uart = self.uart or self.port
        links = (uart.link,) if uart.link else ()
        return tuple(dict.fromkeys((*uart.devices, *uart.debian_devices, *links)))

    @property
    def warning(self) -> str:
        """What is wrong with it on any RS-485 line, if anything is."""
        return self.port.warning or (self.uart.warning if self.uart is not None else "")


@dataclass(frozen=True, slots=True)
class Use:
    """A line of the configuration as far as boards are concerned."""

    device: str
    direction: Direction


class Assembly:
    """The boards of a configuration. Raises `AssemblyError` if they do not go together."""

    def __init__(self, boards: Sequence[Board]) -> None:
        bases = [board for board in boards if board.kind is BoardKind.BASE]
        if len(bases) > 1:
            names = " and ".join(repr(board.name) for board in bases)
            raise AssemblyError(f"{names} are two computers; name one, and what is plugged on it")
        self.base = bases[0] if bases else DEFAULT_BOARD
        self.hats = tuple(board for board in boards if board.kind is BoardKind.HAT)
        self.boards = (self.base, *self.hats)
        self.ports = tuple(self._ports())
        self._refuse_double_pins()

    def on(self, base: Board) -> "Assembly":
        """Return the same HATs on another computer. Raises `AssemblyError` as the constructor does."""
        return Assembly((base, *self.hats))

    @property
    def led_pins(self) -> dict[str, int]:
        """The boards' own LEDs: name to GPIO number; a HAT's before those of the computer."""
        return {name: pin for board in self.boards for name, pin in board.led_pins.items()}

    def port_of(self, device: str) -> BoardPort | None:
        """Return the port with this path; a HAT's before the UART that it sits on. None if not known."""
        return next((port for port in self.ports if device in port.devices), None)

    def claims(self) -> list[Claim]:
        """Return every GPIO that the boards need, whatever the lines use."""
        return [claim for board in self.boards for claim in self._claims_of_board(board)]

    def hat_claims(self) -> list[Claim]:
        """Return every GPIO that what is plugged on the computer needs."""
        return [claim for hat in self.hats for claim in self._claims_of_board(hat)]

    def claims_of(self, use: Use) -> list[Claim]:
        """Return the pins that one line takes by its UART."""
        port = self.port_of(use.device)
        uart = port.uart if port is not None else None
        if uart is None or uart.pins is None:
            return []
        # A HAT that switches by itself has no wire to RTS, whatever the line says.
        handshake = use.direction is not Direction.AUTOMATIC
        pins = uart.pins.named(with_handshake=handshake)
        return [
            Claim(pin, f"{name} of {uart.name}, which {use.device} is", uart.name)
            for pin, name in pins.items()
        ]

    def config_lines(self, uses: Iterable[Use], system: System = System.RASPBERRY_PI_OS) -> list[str]:
        """Return the lines of config.txt that the boards and the used ports need, each once.

        Where no line does what `direction` asks for, those for a port that switches by itself.
        """
        lines = [line for board in self.boards for line in board.config_lines]
        for use in uses:
            port = self.port_of(use.device)
            uart = (port.uart or port.port) if port is not None else None
            if uart is not None:
                lines += (
                    uart.lines_for(use.direction, system) or uart.lines_for(Direction.AUTOMATIC, system) or ()
                )
        return list(dict.fromkeys(lines))

    def _ports(self) -> Iterable[BoardPort]:
        for hat in self.hats:
            for port in hat.ports:
                yield BoardPort(hat, port, self._uart_under(port))
        for port in self.base.ports:
            yield BoardPort(self.base, port, port)

    def _uart_under(self, port: Port) -> Port | None:
        """Return the computer's UART with the pins of a HAT's port: of two the one without a warning."""
        if port.pins is None:
            return None
        pins = (port.pins.tx, port.pins.rx)
        fitting = [
            uart for uart in self.base.ports if uart.pins is not None and (uart.pins.tx, uart.pins.rx) == pins
        ]
        return min(fitting, key=lambda uart: bool(uart.warning), default=None)

    def _claims_of_board(self, board: Board) -> list[Claim]:
        claims = [Claim(pin, f"{why} ({board.title})") for pin, why in board.reserved.items()]
        if board.kind is BoardKind.BASE:
            return claims
        for port in board.ports:
            if port.pins is not None:
                uart = self._uart_under(port)
                claims += [
                    Claim(pin, f"{name} of {port.name} ({board.title})", uart.name if uart else "")
                    for pin, name in port.pins.named(with_handshake=False).items()
                ]
        return claims

    def _refuse_double_pins(self) -> None:
        first: dict[int, tuple[Board, Claim]] = {}
        for hat in self.hats:
            for claim in self._claims_of_board(hat):
                other, before = first.setdefault(claim.pin, (hat, claim))
                if other is not hat:
                    raise AssemblyError(
                        f"{other.name!r} and {hat.name!r} both need GPIO{claim.pin}: "
                        f"{before.why}, and {claim.why}; they do not fit on one header"
                    )
