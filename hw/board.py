"""Which pin carries which LED, board by board. Data only; GPIO numbers are BCM numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SYSTEM_LED = "system"


@dataclass(frozen=True, slots=True)
class Board:
    """A board's LEDs: name to GPIO number (BCM)."""

    name: str
    led_pins: Mapping[str, int]
    verified: str
    """How the pins were proved: `unverified`, or `emulated` or `bench` and a date."""


# None of these pins is UART0 (14, 15), I2C and the HAT's EEPROM (0 to 3), SPI0 (7 to 11), SPI1 (18 to 21),
# or an enable or interrupt pin of an RS-485 HAT (4, 18, 22, 24, 27). The best come first. What the last ones
# cost, if wired: 12, 13 the Pi 4's UART5; 17 the RTS of UART0 that switches RS-485; 5, 6 the Pi 4's UART3.
# And 5 and 6 are pulled up from reset until they are opened, which lights an LED behind a transistor.
DEFAULT_BOARD = Board(
    name="generic",
    led_pins=MappingProxyType(
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
    ),
    verified="unverified",
)
