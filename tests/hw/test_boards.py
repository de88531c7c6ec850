"""Every profile is consistent in itself."""

import re

import pytest

from hw.assembly import Assembly
from hw.board import (
    DEFAULT_BOARD,
    LAST_GPIO,
    SYSTEM_LED,
    Board,
    BoardKind,
    Direction,
    Port,
    UartKind,
    UsbAdapter,
    Verified,
)
from hw.boards import BOARDS, USB_ADAPTERS, base_of_model, usb_adapter

PORTS = [(board, port) for board in BOARDS.values() for port in board.ports]
CONFIG_LINE = re.compile(r"(enable_uart=1|dtparam=\w+=on|gpio=\d+=[a-z,]+|dtoverlay=[\w-]+(,\w+(=\d+)?)*)")

every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
every_adapter = pytest.mark.parametrize("adapter", USB_ADAPTERS, ids=lambda adapter: adapter.name)
every_port = pytest.mark.parametrize(("board", "port"), PORTS, ids=lambda item: getattr(item, "name", None))


def _lines(port: Port) -> tuple[str, ...]:
    return (*port.config_lines, *(port.rs485_lines or ()), *(port.rts_lines or ()))


def test_the_boards_that_were_asked_for_are_there() -> None:
    assert {
        *("generic", "pi-3", "pi-4", "pi-5", "pi-zero-2-w", "revpi-connect"),
        *("waveshare-rs485-can-hat", "waveshare-2ch-rs485-hat", "waveshare-rs485-can-hat-b"),
        "zihatec-rs485-hat",
    } <= set(BOARDS)
    assert {adapter.driver for adapter in USB_ADAPTERS} == {"ftdi_sio", "ch341", "cp210x"}
    assert any(len(board.ports) >= 4 and board.kind is BoardKind.HAT for board in BOARDS.values())


@every_board
def test_names_fit_into_a_configuration_and_a_table(board: Board) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", board.name)
    assert BOARDS[board.name] is board
    assert "|" not in board.title


@every_board
def test_pins_exist(board: Board) -> None:
    pins = [*board.reserved, *board.led_pins.values()]
    for port in board.ports:
        pins += list(port.pins.named(with_handshake=True)) if port.pins is not None else []
    assert set(pins) <= set(range(LAST_GPIO + 1))


@every_board
def test_no_reserved_pin_is_one_of_its_leds_or_ports(board: Board) -> None:
    leds = set(board.led_pins.values())
    assert len(leds) == len(board.led_pins)
    assert not leds & set(board.reserved)
    if board.kind is BoardKind.HAT:
        for port in board.ports:
            if port.pins is not None:
                assert not set(port.pins.named(with_handshake=False)) & set(board.reserved)
    assert all(board.reserved.values())


@every_board
def test_whence_it_is_known_is_written(board: Board) -> None:
    assert board.source
    assert (board.verified is Verified.UNVERIFIED) is (board.verified_on is None)


@every_board
def test_a_computer_with_a_header_has_a_system_led(board: Board) -> None:
    if board.kind is BoardKind.BASE and board.name != "revpi-connect":
        assert SYSTEM_LED in board.led_pins
    if board.kind is BoardKind.HAT:
        assert not board.led_pins
        assert not board.models


@every_port
def test_a_port_has_a_way_to_be_found(board: Board, port: Port) -> None:
    assert port.name
    assert port.driver
    assert port.devices or port.pins is not None
    assert all(re.fullmatch(r"/dev/\w+", device) for device in (*port.devices, *port.debian_devices))


@every_port
def test_overlays_are_written_as_config_txt_has_them(board: Board, port: Port) -> None:
    lines = (*_lines(port), *board.config_lines)
    assert [line for line in lines if not CONFIG_LINE.fullmatch(line)] == []


@every_port
def test_a_uart_of_a_pi_names_what_switches_it_on(board: Board, port: Port) -> None:
    if board.kind is BoardKind.BASE and port.pins is not None:
        assert port.direction is None
        assert port.lines_for(Direction.AUTOMATIC)
    if port.uart is UartKind.SC16IS752:
        assert board.config_lines


@every_port
def test_where_the_kernel_switches_the_bus_rests_in_receive(board: Board, port: Port) -> None:
    if port.rs485_lines is not None:
        assert "linux,rs485-enabled-at-boot-time" in port.rests_by
        assert port.pins is not None
        assert port.pins.rts is not None
    if port.direction is Direction.RS485:
        assert port.rests_by


@every_port
def test_a_mini_uart_warns(board: Board, port: Port) -> None:
    assert (port.uart is UartKind.MINI) <= ("no parity" in port.warning)


@pytest.mark.parametrize("name", [board.name for board in BOARDS.values() if board.kind is BoardKind.HAT])
def test_every_hat_finds_its_ports_on_a_computer(name: str) -> None:
    ports = Assembly([BOARDS["pi-4"], BOARDS[name]]).ports
    assert all(port.devices for port in ports)
    ours = [device for port in ports if port.board is BOARDS[name] for device in port.devices[:1]]
    assert len(set(ours)) == len(BOARDS[name].ports)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "pi-4"),
        ("Raspberry Pi 400 Rev 1.0", "pi-4"),
        ("Raspberry Pi Compute Module 4 Rev 1.1", "pi-4"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "pi-3"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "pi-zero-2-w"),
        ("Raspberry Pi 5 Model B Rev 1.0", "pi-5"),
        ("Raspberry Pi 500 Rev 1.0", "pi-5"),
    ],
)
def test_a_computer_is_known_by_its_model(model: str, name: str) -> None:
    base = base_of_model(model)
    assert base is not None
    assert base.name == name


@pytest.mark.parametrize("model", ["", "Raspberry Pi 2 Model B Rev 1.1", "linux,dummy-virt"])
def test_a_computer_that_is_not_known(model: str) -> None:
    assert base_of_model(model) is None


@every_adapter
def test_usb_adapters_are_found_by_their_ids(adapter: UsbAdapter) -> None:
    assert adapter.ids
    for vendor, product in adapter.ids:
        assert re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", f"{vendor}:{product}")
        assert usb_adapter(vendor, product) is adapter
    assert adapter.source
    assert adapter.serial_number
    assert (adapter.verified is Verified.UNVERIFIED) is (adapter.verified_on is None)
    assert adapter.direction is Direction.AUTOMATIC


def test_an_adapter_that_is_not_known() -> None:
    assert usb_adapter("dead", "beef") is None


def test_nothing_is_claimed_of_any_computer() -> None:
    assert DEFAULT_BOARD.ports == ()
    assert Assembly([]).claims() == []
