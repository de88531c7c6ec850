import pytest

from hw.assembly import Assembly, AssemblyError, Use
from hw.board import DEFAULT_BOARD, HEADER_LEDS, Direction
from hw.boards import BOARDS


def _assembly(*names: str) -> Assembly:
    return Assembly([BOARDS[name] for name in names])


def _pins(assembly: Assembly, device: str, direction: Direction) -> set[int]:
    return {claim.pin for claim in assembly.claims_of(Use(device, direction))}


def test_without_a_computer_it_is_any() -> None:
    assembly = _assembly("waveshare-2ch-rs485-hat")
    assert assembly.base is DEFAULT_BOARD
    assert assembly.led_pins == dict(HEADER_LEDS)


def test_two_computers_do_not_go_together() -> None:
    with pytest.raises(AssemblyError, match="'pi-4' and 'pi-5' are two computers"):
        _assembly("pi-4", "pi-5")


def test_two_hats_that_need_one_pin_do_not_go_together() -> None:
    with pytest.raises(
        AssemblyError, match=r"'waveshare-2ch-rs485-hat' and .*-b' both need GPIO\d+: .*SC16IS752"
    ):
        _assembly("waveshare-2ch-rs485-hat", "waveshare-rs485-can-hat-b")
    with pytest.raises(AssemblyError, match="both need GPIO14"):
        _assembly("pi-4", "waveshare-rs485-can-hat", "zihatec-rs485-hat")


def test_two_hats_that_need_different_pins_go_together() -> None:
    assembly = _assembly("pi-4", "waveshare-2ch-rs485-hat", "waveshare-rs485-can-hat")
    assert [hat.name for hat in assembly.hats] == ["waveshare-2ch-rs485-hat", "waveshare-rs485-can-hat"]


@pytest.mark.parametrize(
    ("computer", "channel", "device"),
    [("pi-4", "CH0", "/dev/ttyAMA3"), ("pi-4", "CH2", "/dev/ttyAMA5"), ("pi-5", "CH0", "/dev/ttyAMA2")],
)
def test_a_port_on_the_header_has_the_paths_of_the_uart_below(
    computer: str, channel: str, device: str
) -> None:
    port = _assembly(computer, "waveshare-ipcbox-cm5-a").port_of(device)
    assert port is not None
    assert port.port.name == channel
    assert port.title.startswith(f"{channel} of Waveshare")


def test_on_pins_of_two_uarts_it_is_the_one_without_a_warning() -> None:
    assembly = _assembly("pi-4", "zihatec-rs485-hat")
    port = assembly.port_of("/dev/serial0")
    assert port is not None
    assert port.port.name == "RS485"
    assert port.uart is not None
    assert port.uart.name == "uart0"
    assert port.warning == ""
    mini = assembly.port_of("/dev/ttyS0")
    assert mini is not None
    assert "mini UART" in mini.warning


def test_a_computer_without_the_uart() -> None:
    assembly = _assembly("pi-3", "waveshare-ipcbox-cm5-a")
    without = [port.port.name for port in assembly.ports if port.uart is None]
    assert without == ["CH0", "CH1", "CH2"]
    assert assembly.port_of("/dev/ttyAMA3") is None


def test_a_line_takes_rts_and_cts_only_if_rts_switches() -> None:
    assembly = _assembly("pi-4")
    assert _pins(assembly, "/dev/ttyAMA3", Direction.AUTOMATIC) == {4, 5}
    assert _pins(assembly, "/dev/ttyAMA3", Direction.RS485) == {4, 5, 6, 7}
    assert _pins(assembly, "/dev/ttyAMA0", Direction.RTS) == {14, 15, 16, 17}
    assert _pins(assembly, "/dev/ttyUSB0", Direction.RTS) == set()


def test_a_hat_takes_its_pins_whether_it_is_used_or_not() -> None:
    assert {claim.pin for claim in _assembly("waveshare-2ch-rs485-hat").claims()} == {
        18,
        19,
        20,
        21,
        22,
        24,
        27,
    }
    can_hat = {claim.pin: claim.why for claim in _assembly("waveshare-rs485-can-hat").claims()}
    assert set(can_hat) == {4, 8, 9, 10, 11, 14, 15, 25}
    assert can_hat[25] == "interrupt of the CAN controller (Waveshare RS485 CAN HAT)"


@pytest.mark.parametrize(
    ("names", "use", "lines"),
    [
        (["pi-4"], Use("/dev/ttyAMA3", Direction.RS485), ["dtoverlay=uart3,rs485"]),
        (["pi-4"], Use("/dev/ttyAMA3", Direction.AUTOMATIC), ["dtoverlay=uart3"]),
        (["pi-5"], Use("/dev/ttyAMA0", Direction.RTS), ["dtoverlay=uart0-pi5,ctsrts"]),
        (["pi-4"], Use("/dev/ttyUSB0", Direction.AUTOMATIC), []),
        # No overlay gives RS-485 to this one: at least the lines that switch it on.
        (["pi-4"], Use("/dev/ttyAMA0", Direction.RS485), ["enable_uart=1", "dtoverlay=disable-bt"]),
        (
            ["pi-4", "waveshare-ipcbox-cm5-a"],
            Use("/dev/ttyAMA5", Direction.AUTOMATIC),
            ["gpio=12=op,dh", "dtoverlay=uart5"],
        ),
        (
            ["waveshare-2ch-rs485-hat"],
            Use("/dev/ttySC0", Direction.AUTOMATIC),
            ["dtoverlay=sc16is752-spi1,int_pin=24"],
        ),
    ],
)
def test_lines_of_config_txt(names: list[str], use: Use, lines: list[str]) -> None:
    assert _assembly(*names).config_lines([use, use]) == lines


def test_the_same_on_another_computer() -> None:
    assembly = _assembly("waveshare-ipcbox-cm5-a")
    assert assembly.port_of("/dev/ttyAMA3") is None
    assert assembly.on(BOARDS["pi-4"]).port_of("/dev/ttyAMA3") is not None
