"""The status for people: tables of lines and outstations with their LEDs, once or live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from bridge.service.views import line_tables, outstation_tables, recorder_lines
from bridge.service.views.tables import Cell, Column, build, counts, duration, name, number, unless_empty

Snapshot = Mapping[str, Any]

_COLUMNS_OF_A_PIPE = 1 << 16
"""More than any row has: what is read by a program must not be wrapped."""
_SERVERS = (
    name("server"),
    Column("listens on"),
    Column("mode"),
    Column("masters"),
    unless_empty(Column("sessions ended")),
    unless_empty(number("dropped octets")),
    unless_empty(Column("dropped frames")),
)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Rich would end the program with status 1; that the reader has seen enough is no failure.
        raise


def print_status(snapshot: Snapshot) -> None:
    """Print the status once; where the output is no terminal, without colours and line breaks for it."""
    plain_console().print(render(snapshot))


def plain_console() -> Console:
    """Return a console to which names and addresses in brackets are text, not rich's markup."""
    console = _Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _COLUMNS_OF_A_PIPE
    return console


def readable(snapshot: Snapshot) -> Snapshot:
    """Return the status if `render` can show it. Raises ValueError for anything else that was JSON."""
    try:
        render(snapshot)
    except Exception as error:
        # Any: whoever answered may have put every type and depth of JSON everywhere.
        raise ValueError("what it answers is no status of this program") from error
    return snapshot


def render(snapshot: Snapshot) -> Group:
    """Return the status as something that rich prints: what a technician needs first comes first."""
    head = Text(f"rtu-bridge {snapshot['version']}, up {duration(snapshot['uptime_s'])}", style="bold")
    if "system_led" in snapshot:
        head.append("; system LED ").append_text(outstation_tables.led(snapshot["system_led"]))
    return Group(head, *(each for section in sections(snapshot) for each in ("", *section)))


def sections(snapshot: Snapshot) -> Iterator[Sequence[RenderableType]]:
    """Return what there is in a status, part by part."""
    outstations, lines, servers = snapshot["outstations"], snapshot["lines"], snapshot["servers"]
    # A bridge that was started before an update does not say it.
    problems = [Text(str(each), style="red") for each in snapshot.get("configuration_problems", ())]
    no_metrics = (snapshot.get("metrics") or {}).get("problem")
    recorder = snapshot.get("recorder")
    no_recording = recorder_lines.problem(recorder) if recorder else None
    title = Text("the configuration from before is in force, for the newer one is wrong:", style="red")
    parts: tuple[Sequence[RenderableType], ...] = (
        [title, *problems] if problems else [],
        [Text(f"no metrics: {no_metrics}", style="red")] if no_metrics else [],
        [Text(no_recording, style="red")] if no_recording else [],
        [outstation_tables.overview(outstations)] if outstations else [],
        outstation_tables.misses(outstations),
        line_tables.overview(lines),
        outstation_tables.answers(outstations),
        outstation_tables.times(outstations),
        [build(_SERVERS, map(_server_row, servers))] if servers else [],
        outstation_tables.traffic(outstations),
        line_tables.details(lines),
        [Text(recorder_lines.summary(recorder))] if recorder else [],
    )
    return (part for part in parts if part)


def plain_lines(snapshot: Snapshot) -> list[str]:
    """Return the status in a line for each line and outstation, for logs and pipes."""
    lines = [
        f"line {line['name']}: {'up' if line['is_up'] else 'DOWN, ' + line['reason']}; "
        f"{line['frames_heard']} frames heard, {line['crc_errors']} CRC errors"
        for line in snapshot["lines"]
    ]
    return lines + [
        f"outstation {outstation['name']}: LED {outstation['led']['state']}, "
        f"master {outstation['master'] or 'none'}; {outstation.get('frames_from_master', 0)} frames to it, "
        f"{outstation.get('frames_to_master', 0)} back"
        for outstation in snapshot["outstations"]
    ]


def _server_row(server: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        server["name"],
        server["listen"],
        server["link_error_mode"],
        "\n".join(session["peer"] for session in server["sessions"]) or "none",
        counts(server["session_ends"]),
        str(server.get("octets_discarded", 0)),
        counts(server["drops"]),
    )
