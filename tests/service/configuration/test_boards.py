"""`board = ` in [service], and what it means for pins and lines."""

from __future__ import annotations

import pytest

from bridge.errors import ConfigurationError
from bridge.service.configuration.config import Configuration, parse
from bridge.service.front.front_panel import BOARD_LEDS
from hw.boards import BOARDS

LINE = '[line.bay{number}]\ndevice = "{device}"\nbaud = 9600\n{more}\n'


def _text(board: str, *devices: str, more: str = "", led: str = "", tail: str = "") -> str:
    lines = "".join(LINE.format(number=n, device=device, more=more) for n, device in enumerate(devices, 1))
    outstations = "".join(
        f'[[outstation]]\nname = "p{number}"\nserver = "main"\nmasters = ["10.1.1.{number}"]\n'
        f'line = "bay{number}"\nlink_address = {number}\n{led if number == 1 else ""}\n'
        for number in range(1, len(devices) + 1)
    )
    service = f"[service]\nboard = {board}\n" if board else ""
    return f'{service}[server.main]\nlisten = "127.0.0.1:20000"\n{lines}{outstations}{tail}'


def _parse(text: str) -> Configuration:
    return parse(text, "f.toml", BOARD_LEDS)


def _problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        _parse(text)
    return [problem.removeprefix("f.toml: ") for problem in caught.value.problems]


def _warnings(text: str) -> list[str]:
    return [warning.removeprefix("f.toml: ") for warning in _parse(text).warnings]


# The key


@pytest.mark.parametrize(
    ("board", "names"),
    [
        ("", ("generic",)),
        ('"pi-4"', ("pi-4",)),
        ('["pi-4"]', ("pi-4",)),
        ('["pi-4", "waveshare-2ch-rs485-hat"]', ("pi-4", "waveshare-2ch-rs485-hat")),
    ],
)
def test_a_name_or_names(board: str, names: tuple[str, ...]) -> None:
    assert _parse(_text(board, "/dev/serial/by-id/usb-x")).service.board == names


@pytest.mark.parametrize(
    ("board", "problem"),
    [
        ('"pi4"', "service.board: there is no board 'pi4'; did you mean 'pi-4'?"),
        ('["pi-4", "waveshare-rs485-can"]', "did you mean 'waveshare-rs485-can-hat'?"),
        ('"beagle"', "service.board: there is no board 'beagle'; write 'generic', "),
        ("[]", "service.board: is empty; write a name such as 'pi-4', or leave it out"),
        ("4", "service.board: 4 is an integer; write a string or an array of strings, such as board = "),
        ('["pi-4", 4]', "service.board: entry 2 is an integer; write strings only, in quotes"),
        ('["pi-4", "pi-4"]', "service.board: 'pi-4' is there twice; write each board once"),
        ('["pi-4", "pi-5"]', "service.board: 'pi-4' and 'pi-5' are two computers; name one"),
        ('["waveshare-2ch-rs485-hat", "waveshare-rs485-can-hat-b"]', "they do not fit on one header"),
        (f"{['pi-4'] * 9}", "service.board: has 9 entries; write at most 8"),
    ],
)
def test_a_wrong_board_is_one_problem(board: str, problem: str) -> None:
    (found,) = _problems(_text(board, "/dev/serial/by-id/usb-x", led='led = "led1"'))
    assert problem in found
    assert ";" in found


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_can_be_named(name: str) -> None:
    assert _parse(_text(f'"{name}"', "/dev/serial/by-id/usb-x")).service.board == (name,)


# LEDs


def test_the_leds_are_those_of_the_boards() -> None:
    assert dict(_parse(_text("", "/dev/serial/by-id/usb-x")).board_leds) == dict(BOARD_LEDS)
    pi = _parse(_text('["pi-4", "zihatec-rs485-hat"]', "/dev/serial/by-id/usb-x", led='led = "led8"'))
    assert dict(pi.board_leds) == dict(BOARDS["pi-4"].led_pins)
    assert _problems(_text('"revpi-connect"', "/dev/serial/by-id/usb-x", led='led = "led1"')) == [
        "outstation.p1.led: there is no LED 'led1'; add [led.led1]"
    ]


def test_a_led_of_the_board_on_a_pin_that_a_hat_needs() -> None:
    board = '["pi-4", "waveshare-rs485-can-hat"]'
    (problem,) = _problems(_text(board, "/dev/ttyAMA0", led='led = "led3"'))
    assert problem.startswith(
        "outstation.p1.led: pin 25 of the board's LED 'led3' is taken: interrupt of the CAN controller "
        "(Waveshare RS485 CAN HAT); use another LED, or write [led.led3] with another pin "
        "(free: 16, 23, 12, 13, ...)"
    )
    assert _parse(_text(board, "/dev/ttyAMA0", led='led = "led1"')).warnings == ()
    assert (
        _parse(_text(board, "/dev/ttyAMA0", led='led = "led3"', tail="[led.led3]\npin = 16")).warnings == ()
    )


def test_a_led_of_the_file_on_a_pin_that_a_hat_needs() -> None:
    tail = "[led.mine]\npin = 24\n[led.other]\npin = 16"
    assert _problems(_text('"waveshare-2ch-rs485-hat"', "/dev/ttySC0", tail=tail)) == [
        "led.mine.pin: pin 24 is taken: interrupt of the SC16IS752 (Waveshare 2-CH RS485 HAT); write another "
        "pin (free: 23, 25, 12, 13, ...)"
    ]
    assert _parse(_text("", "/dev/ttySC0", tail=tail))


@pytest.mark.parametrize(
    ("direction", "pin", "is_free"),
    [
        ("automatic", 4, False),
        ("automatic", 7, True),
        ("rs485", 7, False),
        ("rs485", 6, False),
        ("rts", 7, False),
    ],
)
def test_a_led_on_a_pin_of_a_uart_in_use(direction: str, pin: int, is_free: bool) -> None:
    text = _text('"pi-4"', "/dev/ttyAMA3", more=f'direction = "{direction}"', tail=f"[led.mine]\npin = {pin}")
    if is_free:
        assert _parse(text)
        return
    (problem,) = _problems(text)
    assert problem.startswith(f"led.mine.pin: pin {pin} is ")
    assert "uart3, which /dev/ttyAMA3 is" in problem


def test_a_led_on_a_pin_of_a_uart_that_is_not_in_use() -> None:
    assert _parse(_text('"pi-4"', "/dev/ttyAMA5", tail="[led.mine]\npin = 4"))


def test_the_system_led_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _text('"waveshare-2ch-rs485-hat"', "/dev/ttySC0", tail="[led.system]\npin = 27")
    (problem,) = _problems(text)
    assert problem.startswith("led.system.pin: pin 27 is taken: driver enable of channel 1")


@pytest.mark.parametrize(
    ("tail", "path"),
    [
        ("[led.two]\nred = 24\ngreen = 6", "led.two.red"),
        ("[button]\npin = 24", "button.pin"),
        ("[input.door]\npin = 24", "input.door.pin"),
        ("[relay.horn]\npin = 24", "relay.horn.pin"),
    ],
)
def test_every_pin_in_use_is_checked(tail: str, path: str) -> None:
    (problem,) = _problems(_text('"waveshare-2ch-rs485-hat"', "/dev/ttySC0", tail=tail))
    assert problem.startswith(f"{path}: pin 24 is taken: interrupt of the SC16IS752")


# Lines


def test_a_uart_on_pins_of_a_hat() -> None:
    (problem,) = _problems(_text('["pi-4", "waveshare-rs485-can-hat"]', "/dev/ttyAMA4"))
    assert problem == (
        "line.bay1.device: '/dev/ttyAMA4' needs GPIO8, which is taken: chip select of the CAN controller "
        "(Waveshare RS485 CAN HAT); use another port, or another board"
    )


def test_the_port_of_a_hat_is_no_clash_with_the_uart_it_sits_on() -> None:
    assert _parse(_text('["pi-4", "waveshare-rs485-can-hat"]', "/dev/ttyAMA0", "/dev/ttyAMA5")).warnings == ()


def test_two_uarts_that_share_pins() -> None:
    more = 'direction = "rts"'
    (problem,) = _problems(_text('"pi-4"', "/dev/ttyAMA5", "/dev/ttyAMA0", more=more))
    assert problem.startswith("line.bay2.device: '/dev/ttyAMA0' needs GPIO14, which is taken: CTS of uart5")
    (problem,) = _problems(_text('"pi-4"', "/dev/ttyAMA0", "/dev/ttyS0"))
    assert problem.startswith("line.bay2.device: '/dev/ttyS0' needs GPIO14, which is taken: TX of uart0")


def test_one_uart_by_two_names() -> None:
    assert _problems(_text('"pi-4"', "/dev/ttyAMA0", "/dev/serial0")) == [
        "line.bay2.device: '/dev/serial0' and '/dev/ttyAMA0' of line 'bay1' are the same UART, uart0; "
        "give each line its own"
    ]
    (problem,) = _problems(_text('"pi-4"', "/dev/ttyAMA0", "/dev/ttyAMA0"))
    assert "is the device of lines 'bay1' and 'bay2'" in problem


@pytest.mark.parametrize("board", ['"waveshare-rs485-can-hat"', '["pi-4", "waveshare-rs485-can-hat"]'])
def test_a_direction_that_contradicts_the_board(board: str) -> None:
    # Where RTS is known to be a pin of the header, it is none of the transceiver's.
    (warning,) = _warnings(_text(board, "/dev/ttyAMA0", more='direction = "rts"'))
    assert warning == (
        "line.bay1.direction: 'rts', but RS485 of Waveshare RS485 CAN HAT switches its direction by itself; "
        "write 'automatic'"
    )
    assert _warnings(_text(board, "/dev/ttyAMA0")) == []
    assert _warnings(_text(board, "/dev/serial/by-id/usb-x", more='direction = "rts"')) == []


def test_a_port_that_the_kernel_switches() -> None:
    device = "/dev/ttyRS485"
    (warning,) = _warnings(_text('"revpi-connect"', device))
    assert warning.endswith("RS485 of Revolution Pi Connect is switched by the kernel; write 'rs485'")
    assert _warnings(_text('"revpi-connect"', device, more='direction = "rs485"')) == []
    more = 'direction = "rs485"\nrts_on_send = false'
    assert _warnings(_text('"revpi-connect"', device, more=more)) == [
        "line.bay1.rts_on_send: RS485 of Revolution Pi Connect is wired the other way; write true"
    ]


def test_rts_of_a_uart_that_no_overlay_puts_on_the_header() -> None:
    (warning,) = _warnings(_text('"pi-4"', "/dev/ttyAMA0", more='direction = "rs485"'))
    assert "line.bay1.direction: 'rs485' needs RTS of uart0" in warning
    assert _warnings(_text('"pi-5"', "/dev/ttyAMA0", more='direction = "rs485"')) == []


def test_the_mini_uart() -> None:
    (warning,) = _warnings(_text('"pi-3"', "/dev/ttyS0"))
    assert warning.startswith("line.bay1.device: this is the mini UART: it has no parity")
    warnings = _warnings(_text('"pi-3"', "/dev/ttyS0", more='parity = "even"'))
    assert warnings[1] == "line.bay1.parity: a mini UART has no parity; use another port, or write 'none'"


def test_the_debug_port_of_a_pi_5() -> None:
    (warning,) = _warnings(_text('"pi-5"', "/dev/serial0"))
    assert "the header's UART is /dev/ttyAMA0" in warning


def test_a_hat_whose_uarts_depend_on_the_computer() -> None:
    assert _warnings(_text('"waveshare-ipcbox-cm5-a"', "/dev/ttyAMA3")) == [
        "service.board: where 'CH0', 'CH1' and 'CH2' of Waveshare IPCBOX-CM5-A are found depends on the "
        "computer; name that too, such as board = ['pi-4', ...]"
    ]
    assert _warnings(_text('["pi-4", "waveshare-ipcbox-cm5-a"]', "/dev/ttyAMA3")) == []
    assert _warnings(_text('["pi-3", "waveshare-ipcbox-cm5-a"]', "/dev/serial/by-id/usb-x")) == [
        "service.board: Raspberry Pi 3, CM3 has no UART for 'CH0', 'CH1' and 'CH2' of Waveshare "
        "IPCBOX-CM5-A; is it another computer?"
    ]
