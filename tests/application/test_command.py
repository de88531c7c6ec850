from __future__ import annotations

import pytest

from bridge.application.command import (
    AnalogOutputCommand,
    CommandStatus,
    Crob,
    Operation,
    TripClose,
    decode_command,
    echo,
    with_status,
)
from bridge.application.header import ObjectHeader
from bridge.application.objects import VARIATIONS
from bridge.application.qualifier import Qualifier

CROB = bytes.fromhex("41 02 64000000 c8000000 00")


def test_a_control_relay_output_block() -> None:
    crob = Crob.decode(CROB)
    assert crob == Crob(0x41, 2, 100, 200, CommandStatus.SUCCESS)
    assert (crob.operation, crob.trip_close, crob.queue, crob.clear) == (1, TripClose.CLOSE, False, False)
    assert crob.encode() == CROB


def test_every_control_octet_survives() -> None:
    for octet in range(256):
        crob = Crob.decode(bytes((octet,)) + CROB[1:])
        assert crob.encode()[0] == octet
        bits = crob.operation | crob.queue << 4 | crob.clear << 5 | crob.trip_close << 6
        assert bits == octet
        assert isinstance(crob.operation, Operation) == (octet & 0x0F < 5)


def test_every_status_octet_survives() -> None:
    for octet in range(256):
        status = CommandStatus.of(octet)
        assert int(status) == octet
        assert isinstance(status, CommandStatus) == (octet in {*range(19), 126})
        assert Crob.decode(with_status(CROB, octet)).encode() == CROB[:-1] + bytes((octet,))


@pytest.mark.parametrize(
    ("variation", "octets", "value"),
    [(1, "feffffff04", -2), (2, "feff04", -2), (3, "0000c03f04", 1.5), (4, "000000000000f83f04", 1.5)],
)
def test_analog_outputs(variation: int, octets: str, value: float) -> None:
    command = decode_command(VARIATIONS[41, variation], bytes.fromhex(octets))
    assert command == AnalogOutputCommand(value, CommandStatus.NOT_SUPPORTED, variation)
    assert command.encode().hex() == octets


def test_decode_command_knows_the_block() -> None:
    assert isinstance(decode_command(VARIATIONS[12, 1], CROB), Crob)


@pytest.mark.parametrize(("qualifier", "width"), [(Qualifier.PREFIXED_8, 1), (Qualifier.PREFIXED_16, 2)])
def test_an_echo_differs_in_the_status_alone(qualifier: Qualifier, width: int) -> None:
    prefixes = [index.to_bytes(width, "little") for index in (3, 200)]
    received = ObjectHeader(12, 1, qualifier, count=2, objects=b"".join(each + CROB for each in prefixes))
    head = received.octets[: 3 + width]
    expected = head + prefixes[0] + CROB[:-1] + b"\x04" + prefixes[1] + CROB[:-1] + b"\x00"
    assert echo(received, [4, 0]) == expected
