"""A line's times: the defaults that follow from other keys, what cannot work, and what is hardly meant.

Everything here takes a line's `Row`. A time that follows from a wrong value stays out of the row, and what
cannot be compared is not reported.
"""

from __future__ import annotations

import math
from typing import Final, TypedDict

from bridge.routing.timing import (
    LONGEST_FRAME,
    bits_s,
    default_babble_s,
    default_control_ttl_s,
    default_exchange_limit_s,
    default_frame_timeout_s,
    default_request_ttl_s,
    default_response_timeout_s,
    default_turnaround_s,
    frame_time_s,
    octet_time_s,
)
from bridge.service.configuration.schema import Delay, DelayUnit, Report, Row, under

PARITY_BITS: Final = {"none": 0, "even": 1, "odd": 1}
TRANSMIT_DELAYS: Final = ("pre_transmit", "post_transmit")
_DELAYS: Final = ("turnaround", *TRANSMIT_DELAYS)
_LONGEST_DELAY_S: Final = 10.0
_LONGEST_KERNEL_DELAY_S: Final = 0.1
"""Linux cuts `delay_rts_before_send` and `delay_rts_after_send` of TIOCSRS485 to 100 ms without an error."""


class LineFormat(TypedDict):
    """The arguments that the functions of `bridge.routing.timing` take."""

    baud: int
    parity_bits: int
    stop_bits: int


def complete(row: Row) -> None:
    """Turn the delays into seconds, and add the times that were left out."""
    for label in _DELAYS:
        _resolve_delay(row, label)
    settings = _line_format(row)
    if settings is not None:
        _add_default(row, "response_timeout", default_response_timeout_s(**settings))
        _add_default(row, "frame_timeout", default_frame_timeout_s(**settings))
        _add_default(row, "babble", default_babble_s(**settings))
        if "turnaround" not in row.written:
            row.values["turnaround_s"] = default_turnaround_s(**settings)
    response_timeout_s = row.get("response_timeout_s")
    if response_timeout_s is None:
        return
    _add_default(row, "request_ttl", default_request_ttl_s(response_timeout_s))
    if settings is not None:
        # The device may use the response timeout up, and what it then says needs time as well.
        exchange_limit_s = max(default_exchange_limit_s(**settings), 2 * response_timeout_s)
        _add_default(row, "exchange_limit", exchange_limit_s)
    request_ttl_s = row.get("request_ttl_s")
    if request_ttl_s is not None:
        _add_default(row, "control_ttl", default_control_ttl_s(response_timeout_s, request_ttl_s))


def check(row: Row, report: Report) -> None:
    """Report times that cannot work."""
    _check_shortest(row, report)
    _check_control_ttl(row, report)
    _check_exchange_limit(row, report)
    for label in _DELAYS:
        _check_delay(row, label, report)
    _check_turnaround(row, report)


def warn(row: Row, report: Report) -> None:
    """Report times that are possible and probably not meant, in a row that `check` found right."""
    _warn_of_ttls(row, report)
    _warn_of_silence(row, report)
    _warn_of_direction(row, report)


def _add_default(row: Row, label: str, default_s: float) -> None:
    if f"{label}_ms" not in row.written:
        row.values[f"{label}_s"] = default_s


def _line_format(row: Row) -> LineFormat | None:
    """Return a line's settings as the arguments of the timing functions, or None when one was wrong."""
    baud, parity, stop_bits = row.get("baud"), row.get("parity"), row.get("stop_bits")
    if baud is None or parity is None or stop_bits is None:
        return None
    return LineFormat(baud=baud, parity_bits=PARITY_BITS[parity], stop_bits=stop_bits)


def _resolve_delay(row: Row, label: str) -> None:
    delay: Delay | None = row.values.pop(label, None)
    baud = row.get("baud")
    if delay is None:
        return
    if delay.unit is DelayUnit.MS:
        row.values[f"{label}_s"] = delay.amount / 1000
    elif baud is not None:
        row.values[f"{label}_s"] = bits_s(delay.amount, baud)


def _check_shortest(row: Row, report: Report) -> None:
    settings = _line_format(row)
    if settings is None:
        return
    frame, frame_s = f"the longest frame of {LONGEST_FRAME} octets", frame_time_s(LONGEST_FRAME, **settings)
    limits = (
        ("response_timeout", frame, frame_s, default_response_timeout_s(**settings)),
        ("frame_timeout", "an octet", octet_time_s(**settings), default_frame_timeout_s(**settings)),
        ("babble", frame, frame_s, default_babble_s(**settings)),
    )
    for label, what, least_s, default_s in limits:
        time_s = row.get(f"{label}_s")
        if time_s is not None and time_s < least_s:
            report.add(
                under(row.path, f"{label}_ms"),
                f"{_ms(time_s)} is shorter than {what}, which takes {_ms(least_s)} "
                f"at {settings['baud']} baud; write at least {_ceil_ms(least_s)}, "
                f"or leave it out for {_ceil_ms(default_s)}",
            )


def _check_control_ttl(row: Row, report: Report) -> None:
    control_ttl_s, request_ttl_s = row.get("control_ttl_s"), row.get("request_ttl_s")
    if control_ttl_s is None or request_ttl_s is None or "request_ttl_ms" not in row.written:
        return
    if control_ttl_s > request_ttl_s:
        report.add(
            under(row.path, "control_ttl_ms"),
            f"{_ms(control_ttl_s)} is longer than the request TTL of {_ms(request_ttl_s)}; "
            f"write at most {_ceil_ms(request_ttl_s)}, or leave it out",
        )


def _check_exchange_limit(row: Row, report: Report) -> None:
    limit_s, response_timeout_s = row.get("exchange_limit_s"), row.get("response_timeout_s")
    if limit_s is not None and response_timeout_s is not None and limit_s < response_timeout_s:
        report.add(
            under(row.path, "exchange_limit_ms"),
            f"{_ms(limit_s)} is shorter than the response timeout of {_ms(response_timeout_s)}; "
            f"write at least {_ceil_ms(response_timeout_s)}, or leave it out",
        )


def _check_delay(row: Row, label: str, report: Report) -> None:
    delay_s = row.get(f"{label}_s")
    if delay_s is None:
        return
    if delay_s > _LONGEST_DELAY_S:
        problem = f"{_delay_ms(delay_s)} is too long; write {_at_most(_LONGEST_DELAY_S, row)}"
    elif label in TRANSMIT_DELAYS and row.get("direction") == "rs485" and delay_s > _LONGEST_KERNEL_DELAY_S:
        problem = (
            f"{_delay_ms(delay_s)} is more than the {_ms(_LONGEST_KERNEL_DELAY_S)} that the kernel takes "
            f"with direction 'rs485'; write {_at_most(_LONGEST_KERNEL_DELAY_S, row)}, or direction = 'rts'"
        )
    else:
        return
    report.add(under(row.path, label), problem)


def _check_turnaround(row: Row, report: Report) -> None:
    turnaround_s, response_timeout_s = row.get("turnaround_s"), row.get("response_timeout_s")
    if turnaround_s is None or response_timeout_s is None or turnaround_s > _LONGEST_DELAY_S:
        return
    if turnaround_s >= response_timeout_s:
        report.add(
            under(row.path, "turnaround"),
            f"{_delay_ms(turnaround_s)} is not shorter than the response timeout "
            f"of {_ms(response_timeout_s)}; write less, such as '20 bits', or leave it out",
        )


def _at_most(longest_s: float, row: Row) -> str:
    baud = row.get("baud")
    in_bits = "" if baud is None else f" or '{math.floor(longest_s * baud)} bits'"
    return f"at most '{_ms(longest_s)}'{in_bits}"


def _warn_of_ttls(row: Row, report: Report) -> None:
    response_timeout_s = row.get("response_timeout_s")
    request_ttl_s, control_ttl_s = row.get("request_ttl_s"), row.get("control_ttl_s")
    behind = {"request_ttl": "requests", "control_ttl": "controls"}
    for label, what in behind.items():
        ttl_s = row.get(f"{label}_s")
        # Of a control's time that was left out, the request's is the reason.
        if f"{label}_ms" in row.written and ttl_s < response_timeout_s:
            report.add(
                under(row.path, f"{label}_ms"),
                f"{_ms(ttl_s)} is shorter than the response timeout of {_ms(response_timeout_s)}: "
                f"one silent RTU makes the {what} behind it expire; "
                f"write {_ceil_ms(response_timeout_s)} or more",
            )
    if control_ttl_s > request_ttl_s:
        report.add(
            under(row.path, "control_ttl_ms"),
            f"{_ms(control_ttl_s)} is longer than the request TTL of {_ms(request_ttl_s)}: "
            "a control is sent later than any other request; "
            f"write at most {_ceil_ms(request_ttl_s)}, or request_ttl_ms = {_ceil_ms(control_ttl_s)}",
        )


def _warn_of_silence(row: Row, report: Report) -> None:
    """Warn of silence so long that a control which has to wait for its end expires."""
    control_ttl_s = row.get("control_ttl_s")
    for label, key in (("turnaround", "turnaround"), ("broadcast_dead_time", "broadcast_dead_time_ms")):
        silence_s = row.get(f"{label}_s")
        if silence_s >= control_ttl_s:
            report.add(
                under(row.path, key),
                f"{_delay_ms(silence_s)} is not shorter than the control TTL of {_ms(control_ttl_s)}: "
                "controls expire while they wait for it to end; write less, or a longer control_ttl_ms",
            )


def _warn_of_direction(row: Row, report: Report) -> None:
    direction = row.get("direction")
    idle = [label for label in TRANSMIT_DELAYS if row.get(f"{label}_s") > 0]
    if not row.get("rts_on_send"):
        idle.append("rts_on_send")
    if direction == "automatic":
        for label in idle:
            report.add(
                under(row.path, label),
                "has no effect with direction 'automatic', which leaves RTS alone; "
                "write direction = 'rs485' or 'rts', or delete it",
            )
    elif direction == "rs485":
        for label in TRANSMIT_DELAYS:
            _warn_of_rounding(row, label, report)


def _warn_of_rounding(row: Row, label: str, report: Report) -> None:
    delay_s = row.get(f"{label}_s")
    whole_ms = _ceil_ms(delay_s)
    if whole_ms != round(delay_s * 1000, 6):
        report.add(
            under(row.path, label),
            f"{_delay_ms(delay_s)} becomes {whole_ms} ms: the kernel takes whole milliseconds "
            f"with direction 'rs485'; write '{whole_ms} ms'",
        )


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000, 1):.10g} ms"


def _delay_ms(seconds: float) -> str:
    return f"{round(seconds * 1000, 3):.12g} ms"


def _ceil_ms(seconds: float) -> int:
    return math.ceil(round(seconds * 1000, 6))
