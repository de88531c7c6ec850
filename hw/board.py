"""What a board is: the types of the profiles in `hw.boards`, and the board that is meant where none is named.

GPIO numbers are BCM numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType

SYSTEM_LED = "system"
LAST_GPIO = 27
"""The last GPIO of the 40-pin header."""


class Verified(StrEnum):
    """How the facts of a profile were proved."""

    BENCH = "bench"
    """On the hardware itself."""
    EMULATED = "emulated"
    """With the real driver in an emulated machine."""
    UNVERIFIED = "unverified"
    """Read or remembered, not tried."""


class Direction(StrEnum):
    """Who switches a port between receiving and sending; the values of a line's key `direction`."""

    AUTOMATIC = "automatic"
    RS485 = "rs485"
    RTS = "rts"


class System(StrEnum):
    """Whose kernel and device-tree overlays run: what config.txt must say depends on it."""

    RASPBERRY_PI_OS = "Raspberry Pi OS"
    IMAGE = "this project's image"
    """Debian's kernel, and the overlays in deploy/raspberrypi/overlays."""


class UartKind(StrEnum):
    """What makes the octets."""

    PL011 = "PL011"
    MINI = "mini UART"
    SC16IS752 = "SC16IS752 on SPI"
    USB = "USB"


class BoardKind(StrEnum):
    """A computer, or what is plugged on its header."""

    BASE = "base"
    HAT = "HAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class UartPins:
    """The GPIO numbers of a UART on the header."""

    tx: int
    rx: int
    cts: int | None = None
    rts: int | None = None

    def named(self, *, with_handshake: bool) -> Mapping[int, str]:
        """Return what each pin is: GPIO number to "TX". CTS and RTS are pins of it only if they are used."""
        pins = {self.tx: "TX", self.rx: "RX"}
        if with_handshake:
            pins |= {pin: name for pin, name in ((self.cts, "CTS"), (self.rts, "RTS")) if pin is not None}
        return pins


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One serial port of a board.

    A HAT on a UART of the header gives the `pins` of that UART; its other facts are those of the computer's
    port with the same pins. `rs485_lines` and `rts_lines` replace `config_lines` where the kernel or the
    bridge switches the direction; None says that Raspberry Pi OS has nothing to write for that. `image_lines`
    are those of our image, by the way of switching; a way that is not there is not possible.
    """

    name: str
    uart: UartKind
    driver: str
    devices: tuple[str, ...] = ()
    """Its paths on Raspberry Pi OS, the best first. Empty: as the computer has it."""
    debian_devices: tuple[str, ...] = ()
    """Its paths on Debian with Debian's kernel. Empty: none, or not known."""
    link: str = ""
    """The name that our udev rules give it, whatever the kernel calls it."""
    direction: Direction | None = None
    """Who switches the direction. None: whatever transceiver is wired to it decides."""
    rts_on_send: bool = True
    """Whether RTS is raised while sending, where RTS switches."""
    pins: UartPins | None = None
    config_lines: tuple[str, ...] = ()
    rs485_lines: tuple[str, ...] | None = None
    rts_lines: tuple[str, ...] | None = None
    image_lines: Mapping[Direction, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    rests_by: str = ""
    """What keeps the bus driver in receive while no program has the port open. Empty: nothing is needed."""
    warning: str = ""
    """What is wrong with this port on an RS-485 line, whatever is configured."""

    def lines_for(
        self, direction: Direction, system: System = System.RASPBERRY_PI_OS
    ) -> tuple[str, ...] | None:
        """Return the lines of config.txt for a way of switching; None where there are none that do it."""
        if system is System.IMAGE:
            return self.image_lines.get(direction)
        match direction:
            case Direction.AUTOMATIC:
                return self.config_lines
            case Direction.RS485:
                return self.rs485_lines
            case Direction.RTS:
                return self.rts_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A computer or a HAT: its ports, the pins it needs for itself, its LEDs. Data only."""

    name: str
    """What `board = ` in the configuration calls it."""
    title: str
    kind: BoardKind = BoardKind.BASE
    models: tuple[str, ...] = ()
    """How the device tree's `model` of such a computer begins."""
    ports: tuple[Port, ...] = ()
    reserved: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """GPIO number to what needs it; without the pins of its ports."""
    config_lines: tuple[str, ...] = ()
    """Lines of config.txt that the board needs whichever of its ports are used."""
    led_pins: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """The LEDs that a configuration may use without defining them: name to GPIO number."""
    note: str = ""
    source: str = ""
    """Where the facts come from: a document or a page, or "memory"."""
    verified: Verified = Verified.UNVERIFIED
    verified_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbAdapter:
    """A family of USB adapters that one kernel driver serves."""

    name: str
    title: str
    ids: tuple[tuple[str, str], ...]
    """Vendor and product in lower-case hexadecimal, as the kernel writes them."""
    driver: str
    direction: Direction = Direction.AUTOMATIC
    serial_number: str
    """Whether adapters have a serial number of their own, as a sentence."""
    has_serial_number: bool
    """Whether a serial number is to be expected, and with it a name in by-id that is the adapter's own."""
    shared_serials: tuple[str, ...] = ()
    """Serial numbers that many adapters have."""
    note: str = ""
    source: str = ""
    verified: Verified = Verified.UNVERIFIED
    verified_on: date | None = None


# None of these pins is UART0 (14, 15), I2C and the HAT's EEPROM (0 to 3), SPI0 (7 to 11), SPI1 (18 to 21),
# or an enable or interrupt pin of an RS-485 HAT (4, 18, 22, 24, 27). The best come first. What the last ones
# cost, if wired: 12, 13 the Pi 4's UART5; 17 the RTS of UART0 that switches RS-485; 5, 6 the Pi 4's UART3.
# And 5 and 6 are pulled up from reset until they are opened, which lights an LED behind a transistor.
HEADER_LEDS: Mapping[str, int] = MappingProxyType(
    {
        SYSTEM_LED: 26,
        "led1": 16,
        "led2": 23,
        "led3": 25,
        "led4": 12,
        "led5": 13,
        "led6": 17,
        "led7": 6,
        "led8": 5,
    }
)
"""Where LEDs are wired to the 40-pin header of a computer that has none of its own."""

DEFAULT_BOARD = Board(
    name="generic",
    title="any computer; nothing is known of its ports",
    led_pins=HEADER_LEDS,
    source="chosen: pins that serial ports and RS-485 HATs need least",
)
"""What is meant where the configuration names no computer."""
