"""Every value of a line and of a server reaches the endpoint that it is for."""

from __future__ import annotations

from bridge.endpoints.direction import Direction
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_session import SessionLimits
from bridge.routing.timing import Timing
from bridge.service.settings import serial_settings, session_limits, timing
from tests.support import toml
from tests.support.sites import configuration_of

SITE = configuration_of(
    toml.server(half_open_timeout_s=31, send_stall_s=7, frame_timeout_ms=2500)
    + toml.line(
        "bay1",
        "/dev/ttyS7",
        baud=1200,
        parity="odd",
        stop_bits=2,
        direction="rts",
        rts_on_send=False,
        pre_transmit="3 ms",
        post_transmit="4 ms",
        response_timeout_ms=3100,
        frame_timeout_ms=301,
        request_ttl_ms=9001,
        control_ttl_ms=8002,
        exchange_limit_ms=70_003,
        babble_ms=6004,
        turnaround="5 ms",
        broadcast_dead_time_ms=406,
    )
    + toml.outstation("rtu", 10)
)
LINE = SITE.lines["bay1"]


def test_of_a_session() -> None:
    limits = SessionLimits(half_open_timeout_s=31, send_stall_s=7, frame_timeout_s=2.5)
    assert session_limits(SITE.servers["main"]) == limits


def test_of_a_port() -> None:
    assert serial_settings(LINE) == SerialSettings(
        device="/dev/ttyS7",
        baud=1200,
        parity="odd",
        stop_bits=2,
        direction=Direction.RTS,
        pre_transmit_s=0.003,
        post_transmit_s=0.004,
        rts_on_send=False,
    )


def test_of_the_turns() -> None:
    assert timing(LINE) == Timing(
        octet_s=12 / 1200,
        response_timeout_s=3.1,
        quiet_s=0.301,
        request_ttl_s=9.001,
        control_ttl_s=8.002,
        exchange_limit_s=70.003,
        babble_s=6.004,
        turnaround_s=0.005,
        pre_transmit_s=0.003,
        post_transmit_s=0.004,
        broadcast_dead_time_s=0.406,
    )
