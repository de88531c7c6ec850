"""The status for people: tables of lines and outstations with their LEDs, once or live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

Snapshot = Mapping[str, Any]

_LED_STYLES = {True: ("●", "bold green"), False: ("○", "dim")}
_SHOWN_COUNTS = 4
_COLUMNS_OF_A_PIPE = 240
_NEVER_WRAPPED = frozenset({"server", "line", "LED", "outstation"})


def print_status(snapshot: Snapshot) -> None:
    """Print the status once; where the output is no terminal, without colours and line breaks for it."""
    console = plain_console()
    if not console.is_terminal:
        console.width = max(console.width, _COLUMNS_OF_A_PIPE)
    console.print(render(snapshot))


def plain_console() -> Console:
    """Return a console to which names and addresses in brackets are text, not rich's markup."""
    return Console(markup=False, emoji=False)


def readable(snapshot: Snapshot) -> Snapshot:
    """Return the status if `render` can show it. Raises ValueError for anything else that was JSON."""
    try:
        render(snapshot)
    except Exception as error:
        # Any: whoever answered may have put every type and depth of JSON everywhere.
        raise ValueError("what it answers is no status of this program") from error
    return snapshot


def render(snapshot: Snapshot) -> Group:
    """Return the status as something that rich prints."""
    head = Text(f"rtu-bridge {snapshot['version']}, up {_duration(snapshot['uptime_s'])}", style="bold")
    return Group(head, _servers(snapshot), _lines(snapshot), _outstations(snapshot))


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


def _servers(snapshot: Snapshot) -> Table:
    table = _table("server", "listens on", "mode", "masters", "sessions ended", "dropped frames")
    for server in snapshot["servers"]:
        table.add_row(
            server["name"],
            server["listen"],
            server["link_error_mode"],
            "\n".join(session["peer"] for session in server["sessions"]) or "none",
            _counts(server["session_ends"]),
            _counts(server["drops"]),
        )
    return table


def _lines(snapshot: Snapshot) -> Group:
    table = _table("line", "device", "settings", "state", "frames", "CRC errors", "waiting", "dropped octets")
    for line in snapshot["lines"]:
        state = Text("up", style="green") if line["is_up"] else Text("down", style="red")
        table.add_row(
            line["name"],
            line["device"],
            line["settings"],
            state,
            str(line["frames_heard"]),
            str(line["crc_errors"]),
            str(line["waiting_frames"]),
            str(line["octets_discarded"]),
        )
    # Not in the table: a sentence in a narrow column would push the outstations off the screen.
    reasons = (
        Text(f"{line['name']} is down: {line['reason']}", style="red")
        for line in snapshot["lines"]
        if not line["is_up"]
    )
    return Group(table, *reasons)


def _outstations(snapshot: Snapshot) -> Table:
    table = _table(
        "LED", "outstation", "address", "line", "master", "to RTU", "from RTU", "last answer", "missed"
    )
    for outstation in snapshot["outstations"]:
        exchanges = outstation.get("exchanges", {})
        missed = exchanges.get("timed_out", 0) + exchanges.get("superseded", 0)
        table.add_row(
            _led(outstation["led"]),
            outstation["name"] if outstation["enabled"] else f"{outstation['name']} (disabled)",
            str(outstation["link_address"]),
            outstation["line"],
            outstation["master"] or "none",
            str(outstation.get("frames_from_master", 0)),
            str(outstation.get("frames_to_master", 0)),
            _milliseconds(outstation.get("last_response_s")),
            str(missed),
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in _NEVER_WRAPPED)
    return table


def _led(led: Mapping[str, Any]) -> Text:
    symbol, style = _LED_STYLES[led["lit"]]
    return Text.assemble((symbol, style), f" {led['state']}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in list(counts.items())[:_SHOWN_COUNTS]) or "none"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d " * bool(days) + f"{hours:02}:{minutes:02}:{rest:02}"
