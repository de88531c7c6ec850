"""What a configuration means, as text for whoever wrote it: `rtu-bridge check FILE` prints this."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from bridge.routing.timing import LONGEST_FRAME, frame_time_s, octet_time_s
from bridge.service.config import Configuration, LineConfig, OutstationConfig

_ROUTE_HEADINGS = ("MASTERS", "SERVER", "OUTSTATION", "ADDRESS", "LINE", "LED")
_TIME_HEADINGS = (
    "LINE",
    "OCTET",
    f"FRAME OF {LONGEST_FRAME}",
    "RESPONSE TIMEOUT",
    "FRAME TIMEOUT",
    "REQUEST TTL",
)
_GAP = "  "


def describe(configuration: Configuration) -> str:
    """Return who reaches what through which port, each line's timings, and the warnings.

    Plain text in aligned columns, without a newline at the end. Each rule of an outstation's masters has a
    row of its own.
    """
    routes = [_route(outstation, configuration) for outstation in configuration.outstations]
    times = [[[cell] for cell in _times(line)] for line in configuration.lines.values()]
    warnings = ["Warnings:", *(f"{_GAP}{warning}" for warning in configuration.warnings)]
    return "\n".join(
        [
            f"{configuration.source_name}: no errors",
            "",
            *_table(_ROUTE_HEADINGS, routes),
            "",
            *_table(_TIME_HEADINGS, times),
            *(["", *warnings] if configuration.warnings else []),
        ]
    )


def _route(outstation: OutstationConfig, configuration: Configuration) -> list[Sequence[str]]:
    server = configuration.servers[outstation.server]
    line = configuration.lines[outstation.line]
    return [
        outstation.masters.texts(),
        [f"{server.name} {server.listen}"],
        [outstation.name if outstation.enabled else f"{outstation.name} (disabled)"],
        [str(outstation.link_address)],
        [f"{line.name} {line.device} {line.baud} {line.framing}"],
        [outstation.led or "-"],
    ]


def _times(line: LineConfig) -> list[str]:
    octet_s = octet_time_s(line.baud, parity_bits=line.parity_bits, stop_bits=line.stop_bits)
    frame_s = frame_time_s(LONGEST_FRAME, line.baud, parity_bits=line.parity_bits, stop_bits=line.stop_bits)
    limits_s = (line.response_timeout_s, line.frame_timeout_s, line.request_ttl_s)
    return [
        line.name,
        f"{octet_s * 1000:.3f} ms",
        *(f"{time_s * 1000:.0f} ms" for time_s in (frame_s, *limits_s)),
    ]


def _table(headings: Sequence[str], rows: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """Align rows of cells; a cell is the lines that stand below one another in it."""
    lines = [tuple(headings)]
    for row in rows:
        lines += zip_longest(*row, fillvalue="")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
