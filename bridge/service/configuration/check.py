"""What a configuration means, as text for whoever wrote it: `rtu-bridge check FILE` prints this."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from bridge.routing.timing import LONGEST_FRAME, frame_time_s, octet_time_s
from bridge.service.configuration.config import Configuration, LineConfig, OutstationConfig
from bridge.service.configuration.recorder_keys import RecorderConfig
from bridge.service.configuration.schema import in_words
from bridge.service.recordings.capture_files import CaptureFolder

_ROUTE_HEADINGS = ("MASTERS", "SERVER", "OUTSTATION", "ADDRESS", "LINE", "LED")
_TIME_HEADINGS = (
    "LINE",
    "OCTET",
    f"FRAME OF {LONGEST_FRAME}",
    "RESPONSE TIMEOUT",
    "FRAME TIMEOUT",
    "REQUEST TTL",
    "CONTROL TTL",
    "TURNAROUND",
)
_GAP = "  "


def describe(configuration: Configuration) -> str:
    """Return who reaches what through which port, each line's timings and special ways, and the warnings.

    Plain text in aligned columns, without a newline at the end. Each rule of an outstation's masters has a
    row of its own. A line's ways and the metrics stand there where they are not the default. Of the
    recorder's folder it is told how it is on this machine.
    """
    routes = [_route(outstation, configuration) for outstation in configuration.outstations]
    times = [[[cell] for cell in _times(line)] for line in configuration.lines.values()]
    ways = [way for line in configuration.lines.values() for way in _ways(line, configuration)]
    metrics = configuration.metrics
    warnings = ["Warnings:", *(f"{_GAP}{warning}" for warning in configuration.warnings)]
    return "\n".join(
        [
            f"{configuration.source_name}: no errors",
            "",
            *_table(_ROUTE_HEADINGS, routes),
            "",
            *_table(_TIME_HEADINGS, times),
            *(["", *ways] if ways else []),
            "",
            _recorder(configuration.recorder),
            *([f"metrics at http://{metrics.listen}/metrics"] if metrics is not None else []),
            *(["", *warnings] if configuration.warnings else []),
        ]
    )


def _route(outstation: OutstationConfig, configuration: Configuration) -> list[Sequence[str]]:
    server = configuration.servers[outstation.server]
    return [
        outstation.masters.texts(),
        [f"{server.name} {server.listen}"],
        [outstation.name if outstation.enabled else f"{outstation.name} (disabled)"],
        [str(outstation.link_address)],
        [_place(outstation, configuration)],
        [outstation.led or "-"],
    ]


def _place(outstation: OutstationConfig, configuration: Configuration) -> str:
    if outstation.line is None:
        return f"none: {outstation.local}"
    line = configuration.lines[outstation.line]
    return f"{line.name} {line.device} {line.baud} {line.framing}"


def _times(line: LineConfig) -> list[str]:
    octet_s = octet_time_s(line.baud, parity_bits=line.parity_bits, stop_bits=line.stop_bits)
    frame_s = frame_time_s(LONGEST_FRAME, line.baud, parity_bits=line.parity_bits, stop_bits=line.stop_bits)
    limits_s = (line.response_timeout_s, line.frame_timeout_s, line.request_ttl_s, line.control_ttl_s)
    return [
        line.name,
        f"{octet_s * 1000:.3f} ms",
        *(f"{time_s * 1000:.0f} ms" for time_s in (frame_s, *limits_s)),
        f"{line.turnaround_s * 1000:.3f} ms",
    ]


_WHEN_DOWN: Final = {
    "close": "sessions close with their last line",
    "refuse": "sessions close with their last line, and new ones are refused",
}


def _ways(line: LineConfig, configuration: Configuration) -> list[str]:
    """Return what a line does otherwise than by default: at most one line of text."""
    denying = [
        outstation.name
        for outstation in configuration.outstations
        if outstation.line == line.name and outstation.broadcast == "deny"
    ]
    ways = [
        *([_direction(line)] if line.direction != "automatic" else []),
        *([_WHEN_DOWN[line.when_down]] if line.when_down in _WHEN_DOWN else []),
        *([f"no broadcasts, denied by {in_words(denying, 'and')}"] if denying else []),
    ]
    return [f"{line.name}: {'; '.join(ways)}"] if ways else []


def _direction(line: LineConfig) -> str:
    delays = ((line.pre_transmit_s, "before"), (line.post_transmit_s, "after"))
    return ", ".join(
        [
            f"direction {line.direction}",
            *([] if line.rts_on_send else ["RTS off while sending"]),
            *(f"{round(delay_s * 1000, 3):.10g} ms {when}" for delay_s, when in delays if delay_s > 0),
        ]
    )


def _recorder(config: RecorderConfig) -> str:
    if not config.enabled:
        return "flight recorder: off"
    memory = f"flight recorder: {config.memory_mib} MiB of memory"
    if config.folder is None:
        return f"{memory}; no files, for recorder.folder is not set"
    files = f"{memory}; files around faults in {config.folder}, {config.disk_mib} MiB at most"
    folder = CaptureFolder(config.folder, config.disk_mib).look()
    if folder.problem is not None:
        return f"{files}; this user cannot write there: {folder.problem}"
    return files if folder.is_there else f"{files}; it is not there yet, and will be made"


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
