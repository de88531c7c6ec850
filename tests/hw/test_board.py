from hw.board import DEFAULT_BOARD, SYSTEM_LED

TAKEN = {
    "UART": {14, 15},
    "I2C and HAT EEPROM": {0, 1, 2, 3},
    "SPI0": {7, 8, 9, 10, 11},
    "SPI1, of the two-port RS-485 HAT": {18, 19, 20, 21},
    "enable and interrupt pins of RS-485 HATs": {4, 18, 22, 24, 27},
}


def test_default_board_names_a_system_led_and_eight_more() -> None:
    assert set(DEFAULT_BOARD.led_pins) == {SYSTEM_LED, *(f"led{number}" for number in range(1, 9))}


def test_default_board_uses_free_header_pins_once() -> None:
    pins = list(DEFAULT_BOARD.led_pins.values())
    assert len(set(pins)) == len(pins)
    assert set(pins) <= set(range(2, 28))
    assert {use: taken & set(pins) for use, taken in TAKEN.items() if taken & set(pins)} == {}


def test_nobody_has_proved_it_yet() -> None:
    assert DEFAULT_BOARD.verified == "unverified"
