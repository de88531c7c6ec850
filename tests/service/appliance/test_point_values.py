"""From the status document to points: pure, over literal documents."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.application.measurement import Flags, PointKind, Value
from bridge.service.appliance.point_map import Block, blocks_of
from bridge.service.appliance.point_row import Section
from bridge.service.appliance.point_values import readings
from tests.service.appliance.test_point_map import SITE
from tests.support.sites import configuration_of

BLOCKS = {(block.section, block.name): block for block in blocks_of(configuration_of(SITE))}
RTU = BLOCKS[Section.OUTSTATION, "pole-12"]
LINE = BLOCKS[Section.LINE, "bay2"]
APPLIANCE = BLOCKS[Section.APPLIANCE, ""]

ONLINE, RESTART, COMM_LOST, OFF = Flags.ONLINE, Flags.RESTART, Flags.COMM_LOST, Flags(0)
INPUT, OUTPUT = PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT
COUNTER, ANALOG = PointKind.COUNTER, PointKind.ANALOG_INPUT

RTU_DOCUMENT: dict[str, Any] = {
    "name": "pole-12",
    "enabled": True,
    "master": "10.0.0.1:4021",
    "led": {"state": "answering"},
    "is_reachable": True,
    "is_answering": True,
    "sessions_started": 7,
    "pre_emptions": 2,
    "frames_from_master": 100,
    "frames_to_master": 90,
    "drops": {"expired": 3, "late": 4},
    "diagnosis": {
        "requests": 80,
        "answers": 70,
        "timeouts": 6,
        "late_answers": 4,
        "crc_errors": 5,
        "wrong_address_answers": 1,
        "response_times": {"p50_s": 0.0512, "p99_s": 0.4016},
    },
}
LINE_DOCUMENT: dict[str, Any] = {
    "name": "bay2",
    "is_up": True,
    "is_babbling": False,
    "is_resetting": False,
    "direction": {"problem": None},
    "bus_load": 0.1234,
    "frames_sent": 1,
    "frames_heard": 2,
    "octets_sent": 3,
    "octets_heard": 4,
    "octets_discarded": 5,
    "crc_errors": 6,
    "losses": 7,
    "babbles": 8,
    "echoes_spoiled": 9,
    "drops": {"unknown_source": 4, "wrong_direction": 6},
    "waiting_frames": 11,
}
APPLIANCE_DOCUMENT: dict[str, Any] = {
    "uptime_s": 59.6,
    "system_led": {"state": "beating", "overlay": None},
    "machine": {
        "cpu_temperature_c": 48.31,
        "load": 0.155,
        "memory_available_octets": 300 * 1024**2,
        "uptime_s": 1234.5,
    },
    "servers": [
        {"sessions_started": 3, "pre_emptions": 1, "session_ends": {"not_wanted": 4, "peer_closed": 9}},
        {"sessions_started": 4, "pre_emptions": 0, "session_ends": {"line_down": 2}},
    ],
}


def read(block: Block, document: dict[str, Any]) -> dict[tuple[PointKind, int], tuple[Value | None, Flags]]:
    return {reading.point: (reading.value, reading.flags) for reading in readings(block, document)}


def test_an_rtu_that_answers() -> None:
    values = [7, 2]
    assert read(RTU, RTU_DOCUMENT) == {
        (INPUT, 1000): (True, ONLINE),
        (INPUT, 1001): (True, ONLINE),
        (INPUT, 1002): (False, ONLINE),
        **{
            (COUNTER, 1000 + offset): (value, ONLINE)
            for offset, value in enumerate((100, 90, 80, 70, 6, 4, 5, 1, 3, 7, *values))
        },
        (ANALOG, 1000): (51, ONLINE),
        (ANALOG, 1001): (402, ONLINE),
        (OUTPUT, 1000): (False, ONLINE),
    }


def test_a_line() -> None:
    assert read(LINE, LINE_DOCUMENT) == {
        (INPUT, 120): (True, ONLINE),
        (INPUT, 121): (False, ONLINE),
        (INPUT, 122): (False, ONLINE),
        **{(COUNTER, 120 + offset): (offset + 1, ONLINE) for offset in range(10)},
        (ANALOG, 120): (123, ONLINE),
        (ANALOG, 121): (11, ONLINE),
        (OUTPUT, 120): (False, ONLINE),
    }


def test_the_appliance() -> None:
    assert read(APPLIANCE, APPLIANCE_DOCUMENT) == {
        (INPUT, 0): (True, ONLINE),
        (COUNTER, 0): (7, ONLINE),
        (COUNTER, 1): (1, ONLINE),
        (COUNTER, 2): (6, ONLINE),
        (ANALOG, 0): (483, ONLINE),
        (ANALOG, 1): (16, ONLINE),
        (ANALOG, 2): (300, ONLINE),
        (ANALOG, 3): (1234, ONLINE),
        (ANALOG, 4): (60, ONLINE),
        (OUTPUT, 0): (False, ONLINE),
    }


def test_a_line_in_trouble() -> None:
    values = read(
        LINE,
        LINE_DOCUMENT
        | {"is_up": False, "is_babbling": True, "is_resetting": True, "direction": {"problem": "no RS-485"}},
    )
    assert [values[INPUT, 120 + offset] for offset in range(3)] == [
        (False, ONLINE),
        (True, ONLINE),
        (True, ONLINE),
    ]
    assert values[OUTPUT, 120] == (True, ONLINE)


@pytest.mark.parametrize(
    ("state", "degraded"),
    [
        ("answering", (False, ONLINE)),
        ("idle", None),
        ("missing", (True, ONLINE)),
        ("noise", (True, ONLINE)),
        ("silent", (True, ONLINE)),
        ("lost", None),
        ("off", None),
    ],
)
def test_degraded_is_what_the_led_shows_and_stays_while_nobody_polls(
    state: str, degraded: tuple[Value, Flags] | None
) -> None:
    values = read(RTU, RTU_DOCUMENT | {"led": {"state": state}})
    assert values.get((INPUT, 1002)) == degraded


def test_before_the_first_request_nobody_knows_whether_it_answers() -> None:
    diagnosis = RTU_DOCUMENT["diagnosis"] | {"response_times": None}
    values = read(RTU, RTU_DOCUMENT | {"is_answering": None, "master": None, "diagnosis": diagnosis})
    assert values[INPUT, 1000] == (False, ONLINE), "that nobody is connected is known"
    assert values[INPUT, 1001] == (None, RESTART)
    assert values[ANALOG, 1000] == values[ANALOG, 1001] == (None, RESTART)


def test_what_is_behind_a_line_that_is_down_keeps_its_value_and_is_out_of_touch() -> None:
    values = read(RTU, RTU_DOCUMENT | {"is_reachable": False, "led": {"state": "silent"}})
    assert values[INPUT, 1000] == (True, ONLINE)
    assert values[INPUT, 1001] == values[INPUT, 1002] == (None, COMM_LOST)
    assert values[COUNTER, 1004] == (6, ONLINE)


def test_what_is_disabled_is_off_line_altogether() -> None:
    document = {"name": "pole-12", "enabled": False, "master": None, "led": {"state": "off"}}
    values = read(RTU, document)
    assert set(values) == {point.point for point in RTU.points}
    assert set(values.values()) == {(None, OFF)}


def test_what_the_machine_does_not_tell_is_not_invented() -> None:
    machine = dict.fromkeys(APPLIANCE_DOCUMENT["machine"])
    values = read(APPLIANCE, APPLIANCE_DOCUMENT | {"machine": machine})
    assert {values[ANALOG, index] for index in range(4)} == {(None, COMM_LOST)}
    assert values[ANALOG, 4] == (60, ONLINE)


@pytest.mark.parametrize(
    ("section", "name", "key", "point"),
    [(Section.INPUT, "gate", "is_active", (INPUT, 77)), (Section.RELAY, "horn", "is_on", (OUTPUT, 20))],
)
def test_contacts_and_relays(section: Section, name: str, key: str, point: tuple[PointKind, int]) -> None:
    block = BLOCKS[section, name]
    assert read(block, {"name": name, key: True}) == {point: (True, ONLINE)}
    assert read(block, {"name": name, key: False}) == {point: (False, ONLINE)}
    assert read(block, {"name": name, key: None}) == {point: (None, COMM_LOST)}


def test_a_lamp_test_and_a_line_that_is_down_show_on_the_appliance() -> None:
    led = {"state": "line_down", "overlay": "lamp_test"}
    values = read(APPLIANCE, APPLIANCE_DOCUMENT | {"system_led": led})
    assert (values[INPUT, 0], values[OUTPUT, 0]) == ((False, ONLINE), (True, ONLINE))
    locating = APPLIANCE_DOCUMENT | {"system_led": led | {"overlay": "locate"}}
    assert read(APPLIANCE, locating)[OUTPUT, 0] == (False, ONLINE)


def test_counters_roll_over_at_32_bits() -> None:
    values = read(LINE, LINE_DOCUMENT | {"octets_heard": (1 << 32) + 5})
    assert values[COUNTER, 123] == (5, ONLINE)
