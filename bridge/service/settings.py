"""What the endpoints are told of a configuration."""

from __future__ import annotations

from bridge.endpoints.direction import Direction
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_session import SessionLimits
from bridge.routing.timing import Timing, octet_time_s
from bridge.service.configuration.config import LineConfig, ServerConfig


def session_limits(config: ServerConfig) -> SessionLimits:
    """Return how long a session of a server may be silent, stalled or in the middle of a frame."""
    return SessionLimits(
        half_open_timeout_s=config.half_open_timeout_s,
        send_stall_s=config.send_stall_s,
        frame_timeout_s=config.frame_timeout_s,
    )


def serial_settings(config: LineConfig) -> SerialSettings:
    """Return how a line's port is opened and who switches its direction."""
    return SerialSettings(
        device=config.device,
        baud=config.baud,
        parity=config.parity,
        stop_bits=config.stop_bits,
        direction=Direction(config.direction),
        pre_transmit_s=config.pre_transmit_s,
        post_transmit_s=config.post_transmit_s,
        rts_on_send=config.rts_on_send,
    )


def timing(config: LineConfig) -> Timing:
    """Return the times of the turns on a line."""
    return Timing(
        octet_s=octet_time_s(config.baud, parity_bits=config.parity_bits, stop_bits=config.stop_bits),
        response_timeout_s=config.response_timeout_s,
        quiet_s=config.frame_timeout_s,
        request_ttl_s=config.request_ttl_s,
        control_ttl_s=config.control_ttl_s,
        exchange_limit_s=config.exchange_limit_s,
        babble_s=config.babble_s,
        turnaround_s=config.turnaround_s,
        pre_transmit_s=config.pre_transmit_s,
        post_transmit_s=config.post_transmit_s,
        broadcast_dead_time_s=config.broadcast_dead_time_s,
    )
