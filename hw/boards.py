"""The boards and USB adapters that are known. Data only; the types are in `hw.board`.

Sources, by the name that `source` gives them:

overlays README   arch/arm/boot/dts/overlays/README of github.com/raspberrypi/linux
overlay sources   uart3-overlay.dts and sc16is752-spi1-overlay.dts there; pull requests 6820, 7177 and 7246
UART page         raspberrypi.com/documentation/computers/configuration.html#configure-uarts
project notes     this project's experiments with QEMU and Debian's kernels
memory            nobody looked it up

Names of the kernel drivers and USB ids are from memory throughout. Debian's device paths are those of its
device trees with our overlays (tests/deploy/test_overlays.py); that of the mini UART is from memory.
"""

from collections.abc import Mapping
from typing import Final

from hw.board import (
    DEFAULT_BOARD,
    HEADER_LEDS,
    Board,
    BoardKind,
    Direction,
    Port,
    UartKind,
    UartPins,
    UsbAdapter,
)

_BOOT_PROPERTY: Final = "linux,rs485-enabled-at-boot-time"
_OVERLAY_OF_YOUR_OWN: Final = (
    f"no overlay of Raspberry Pi OS does it; an overlay of your own sets {_BOOT_PROPERTY} on this UART"
)
_EEPROM: Final = {
    0: "the bus of a HAT's EEPROM, read while booting",
    1: "the bus of a HAT's EEPROM, read while booting",
}
_HANDSHAKE_0: Final = UartPins(tx=14, rx=15, cts=16, rts=17)
_SPI0: Final = {9: "SPI0 MISO", 10: "SPI0 MOSI", 11: "SPI0 clock"}


# The UARTs of the computers


def _image_lines(plain: str, rs485: str, *others: str) -> Mapping[Direction, tuple[str, ...]]:
    """Return the lines for our image, by the names of two overlays in deploy/raspberrypi/overlays."""
    return {
        Direction.AUTOMATIC: (*others, f"dtoverlay={plain}"),
        Direction.RS485: (*others, f"dtoverlay={rs485}"),
    }


def _uart0(*devices: str, debian: tuple[str, ...] = ()) -> Port:
    """Return the good UART of the header, where Bluetooth has it unless it is switched off."""
    return Port(
        name="uart0",
        uart=UartKind.PL011,
        driver="uart-pl011",
        devices=devices,
        debian_devices=debian,
        link="/dev/rtu-uart0",
        pins=_HANDSHAKE_0,
        config_lines=("enable_uart=1", "dtoverlay=disable-bt"),
        image_lines=_image_lines("disable-bt", "uart0-rs485", "enable_uart=1"),
        rests_by=_OVERLAY_OF_YOUR_OWN,
    )


_MINI_UART: Final = Port(
    name="uart1",
    uart=UartKind.MINI,
    driver="bcm2835-aux-uart",
    devices=("/dev/ttyS0",),
    debian_devices=("/dev/ttyS1",),
    pins=_HANDSHAKE_0,
    config_lines=("enable_uart=1",),
    warning="this is the mini UART: it has no parity, and its baud rate follows the core clock; "
    "use uart0, which dtoverlay=disable-bt frees",
)


def _pi4_uart(number: int) -> Port:
    first = (number - 2) * 4
    return Port(
        name=f"uart{number}",
        uart=UartKind.PL011,
        driver="uart-pl011",
        # Kernels before 6.6 or so count the UARTs that are switched on instead.
        devices=(f"/dev/ttyAMA{number}",),
        # Our overlays number it by an alias.
        debian_devices=(f"/dev/ttyAMA{number}",),
        link=f"/dev/rtu-uart{number}",
        pins=UartPins(tx=first, rx=first + 1, cts=first + 2, rts=first + 3),
        config_lines=(f"dtoverlay=uart{number}",),
        rs485_lines=(f"dtoverlay=uart{number},rs485",),
        rts_lines=(f"dtoverlay=uart{number},ctsrts",),
        image_lines=_image_lines(f"uart{number}", f"uart{number}-rs485"),
        rests_by=f"dtoverlay=uart{number},rs485 sets {_BOOT_PROPERTY} (pull request 6820, 2025)",
    )


def _pi5_uart(number: int, *, tx: int) -> Port:
    overlay = f"uart{number}-pi5"
    handshake = (16, 17) if number == 0 else (tx + 2, tx + 3)
    return Port(
        name=f"uart{number}",
        uart=UartKind.PL011,
        driver="uart-pl011",
        devices=(f"/dev/ttyAMA{number}",),
        link=f"/dev/rtu-uart{number}",
        pins=UartPins(tx=tx, rx=tx + 1, cts=handshake[0], rts=handshake[1]),
        config_lines=(f"dtoverlay={overlay}",),
        rs485_lines=(f"dtoverlay={overlay},rs485",),
        rts_lines=(f"dtoverlay={overlay},ctsrts",),
        rests_by=f"dtoverlay={overlay},rs485 sets {_BOOT_PROPERTY} (pull request 7246, 2026)",
    )


_PI5_DEBUG: Final = Port(
    name="uart10",
    uart=UartKind.PL011,
    driver="uart-pl011",
    devices=("/dev/ttyAMA10", "/dev/serial0"),
    warning="this is the debug connector beside the HDMI sockets, and the console is on it; "
    "the header's UART is /dev/ttyAMA0",
)

_TWO_UARTS: Final = (_uart0("/dev/ttyAMA0", "/dev/serial0", debian=("/dev/ttyAMA0",)), _MINI_UART)
_DEBIAN_NOTE: Final = (
    "Debian's kernel has no overlays of its own: without one, ttyAMA0 is Bluetooth and the header is the "
    "mini UART ttyS1."
)
_PI4_UARTS: Final = (*_TWO_UARTS, *(_pi4_uart(number) for number in (2, 3, 4, 5)))
_PI5_UARTS: Final = (
    _pi5_uart(0, tx=14),
    _pi5_uart(1, tx=0),
    _pi5_uart(2, tx=4),
    _pi5_uart(3, tx=8),
    _pi5_uart(4, tx=12),
    _PI5_DEBUG,
)
_COMPUTERS: Final = (
    Board(
        name="pi-3",
        title="Raspberry Pi 3, CM3",
        models=("Raspberry Pi 3", "Raspberry Pi Compute Module 3"),
        ports=_TWO_UARTS,
        reserved=_EEPROM,
        led_pins=HEADER_LEDS,
        note=_DEBIAN_NOTE,
        source="overlays README, UART page; CTS and RTS pins and Debian: memory",
    ),
    Board(
        name="pi-zero-2-w",
        title="Raspberry Pi Zero 2 W",
        models=("Raspberry Pi Zero 2",),
        ports=_TWO_UARTS,
        reserved=_EEPROM,
        led_pins=HEADER_LEDS,
        note=_DEBIAN_NOTE,
        source="overlays README, UART page; CTS and RTS pins and Debian: memory",
    ),
    Board(
        name="pi-4",
        title="Raspberry Pi 4, 400, CM4",
        models=("Raspberry Pi 4", "Raspberry Pi 400", "Raspberry Pi Compute Module 4"),
        ports=_PI4_UARTS,
        reserved=_EEPROM,
        led_pins=HEADER_LEDS,
        note=f"{_DEBIAN_NOTE} Older kernels number ttyAMA1 to ttyAMA4 by what is switched on; "
        "rs485 parameters of uart2 to uart5 work since pull request 7177 of December 2025.",
        source="overlays README, overlay sources; driver's RS-485 mode: project notes; Debian: memory",
    ),
    Board(
        name="pi-5",
        title="Raspberry Pi 5, CM5",
        models=("Raspberry Pi 5", "Raspberry Pi 500", "Raspberry Pi Compute Module 5"),
        ports=_PI5_UARTS,
        reserved=_EEPROM,
        led_pins=HEADER_LEDS,
        note="Debian's device tree (7.3.4) has no UARTs on this header.",
        source="overlays README, overlay sources; Debian: project notes",
    ),
    Board(
        name="revpi-connect",
        title="Revolution Pi Connect",
        models=("RevPi Connect", "Revolution Pi Connect"),
        ports=(
            Port(
                name="RS485",
                uart=UartKind.PL011,
                driver="uart-pl011",
                devices=("/dev/ttyRS485",),
                direction=Direction.RS485,
                rests_by="the maker's device tree",
            ),
        ),
        note="The 120 ohm termination is off after booting and is switched by a flag of the RS-485 settings, "
        "which the bridge keeps. The LEDs are not on GPIO.",
        source="revolutionpi.com tutorials on serial devices (for the RevPi Compact); project notes",
    ),
)


# What is plugged on the header


def _header_port(name: str, *, tx: int, rx: int, rests_by: str = "") -> Port:
    """Return a port on a UART of the header, with a transceiver that switches by itself."""
    return Port(
        name=name,
        uart=UartKind.PL011,
        driver="uart-pl011",
        # On every Raspberry Pi, once Bluetooth is off it. The others depend on which one it is.
        devices=("/dev/ttyAMA0",) if tx == 14 else (),
        direction=Direction.AUTOMATIC,
        pins=UartPins(tx=tx, rx=rx),
        rests_by=rests_by,
    )


def _idle_high(pin: int) -> str:
    return f"gpio={pin}=op,dh"


def _held_high(pin: int) -> str:
    return f"{_idle_high(pin)}: TX is pulled low from reset, and the transceiver takes that for sending"


def _spi_ports(title: str) -> tuple[Port, ...]:
    return tuple(
        Port(
            name=f"{title} {channel}",
            uart=UartKind.SC16IS752,
            driver="sc16is7xx",
            devices=(f"/dev/ttySC{channel - 1}",),
            direction=Direction.AUTOMATIC,
        )
        for channel in (1, 2)
    )


_SPI_UART: Final = {
    18: "chip select of the SC16IS752",
    19: "SPI1 MISO",
    20: "SPI1 MOSI",
    21: "SPI1 clock",
    24: "interrupt of the SC16IS752",
    27: "driver enable of channel 1 in the board's manual mode",
    22: "driver enable of channel 2 in the board's manual mode",
}
_CAN: Final = {8: "chip select of the CAN controller", **_SPI0, 25: "interrupt of the CAN controller"}
_SPI_NOTE: Final = (
    "Newer kernels call the overlay sc16is75x-spi1. Debian's kernel has no driver for the chip. "
    "In the manual mode, which the bridge does not serve, a low enable pin sends."
)
_HATS: Final = (
    Board(
        name="waveshare-rs485-can-hat",
        title="Waveshare RS485 CAN HAT",
        kind=BoardKind.HAT,
        ports=(_header_port("RS485", tx=14, rx=15, rests_by=_held_high(14)),),
        reserved={4: "driver enable RSE, if that resistor is fitted", **_CAN},
        note="Automatic as delivered; switching by GPIO4 takes soldering, and the bridge does not serve it.",
        source="docs.particle.io/hardware/muon-hats/rs485-can-hat, ws-rs485.warehack.ing/reference/pinout; "
        "that TX low sends while booting: inferred from waveshare-ipcbox-cm5-a",
    ),
    Board(
        name="waveshare-2ch-rs485-hat",
        title="Waveshare 2-CH RS485 HAT",
        kind=BoardKind.HAT,
        ports=_spi_ports("channel"),
        reserved=_SPI_UART,
        config_lines=("dtoverlay=sc16is752-spi1,int_pin=24",),
        note=_SPI_NOTE,
        source="github.com/waveshare/2-CH-RS485-HAT and its example code, overlay sources",
    ),
    Board(
        name="waveshare-rs485-can-hat-b",
        title="Waveshare RS485 CAN HAT (B)",
        kind=BoardKind.HAT,
        ports=_spi_ports("RS485"),
        reserved={**_SPI_UART, **_CAN},
        config_lines=("dtoverlay=sc16is752-spi1,int_pin=24",),
        note=f"{_SPI_NOTE} That its enable pins are those of the 2-CH RS485 HAT is from memory.",
        source="waveshare.com/wiki/RS485_CAN_HAT_(B), overlay sources; enable pins: memory",
    ),
    Board(
        name="waveshare-ipcbox-cm5-a",
        title="Waveshare IPCBOX-CM5-A",
        kind=BoardKind.HAT,
        ports=(
            _header_port("CH0", tx=4, rx=5),
            _header_port("CH1", tx=8, rx=9),
            _header_port("CH2", tx=12, rx=13, rests_by=_held_high(12)),
            _header_port("CH3", tx=14, rx=15, rests_by=_held_high(14)),
        ),
        config_lines=(_idle_high(12),),
        note="A carrier with four RS-485 ports for a CM4 or CM5: name that too, pi-4 or pi-5. "
        "The console is on CH3 as delivered. Its other pins are not known here.",
        source="a user's measurements in a public repository (fastnet2n2k, on a CM4), which found the jam "
        "while booting and gpio=12=op,dh against it; GPIO14 is inferred",
    ),
    Board(
        name="zihatec-rs485-hat",
        title="Zihatec RS485 HAT",
        kind=BoardKind.HAT,
        ports=(_header_port("RS485", tx=14, rx=15),),
        reserved={18: "driver enable, if DIP switch S1 says so"},
        note="Set DIP switch S1 to automatic DE/RE control: GPIO18 is no RTS of a UART.",
        source="az-delivery.de, EIA-485 and DMX-512 part 3 (the maker's DIP switch table)",
    ),
)

BOARDS: Final[Mapping[str, Board]] = {board.name: board for board in (DEFAULT_BOARD, *_COMPUTERS, *_HATS)}
"""All boards by name."""

USB_ADAPTERS: Final = (
    UsbAdapter(
        name="ftdi",
        title="FTDI FT232R, FT2232, FT4232, FT232H, FT-X",
        ids=(("0403", "6001"), ("0403", "6010"), ("0403", "6011"), ("0403", "6014"), ("0403", "6015")),
        driver="ftdi_sio",
        has_serial_number=True,
        serial_number="yes, each its own",
        note="Answers wait for the latency timer, 16 ms unless it is set to 1. "
        "The driver ran in an emulated Pi 4, with octets compared both ways.",
        source="project notes; ids: memory",
    ),
    UsbAdapter(
        name="ch34x",
        title="WCH CH340, CH341",
        ids=(("1a86", "7523"), ("1a86", "7522"), ("1a86", "5523")),
        driver="ch341",
        has_serial_number=False,
        serial_number="no: two of them share one name in by-id",
        source="arduino.stackexchange.com/questions/6617; newer ids: memory",
    ),
    UsbAdapter(
        name="cp210x",
        title="Silicon Labs CP2102, CP2104, CP2105, CP2108",
        ids=(("10c4", "ea60"), ("10c4", "ea70"), ("10c4", "ea71")),
        driver="cp210x",
        has_serial_number=True,
        serial_number="mostly; cheap ones all have 0001",
        shared_serials=("0001",),
        source="memory",
    ),
)


def base_of_model(model: str) -> Board | None:
    """Return the computer that calls itself `model` in its device tree, None if it is not known."""
    fitting = [
        (len(start), board) for board in BOARDS.values() for start in board.models if model.startswith(start)
    ]
    # "Raspberry Pi 400" is not a "Raspberry Pi 4" by luck only: the longest beginning decides.
    return max(fitting, key=lambda item: item[0])[1] if fitting else None


def usb_adapter(vendor: str, product: str) -> UsbAdapter | None:
    """Return the family of a USB adapter by its ids, None if it is not known."""
    return next((adapter for adapter in USB_ADAPTERS if (vendor, product) in adapter.ids), None)
