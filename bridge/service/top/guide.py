"""The help of the live view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from bridge.service.top.columns import Row, wrapped

_GUIDE: Final = """\
Keys
  Up, Down, PageUp, PageDown, End: move, or scroll
  Home             to the first, and stay on whatever comes first: the worst
  Tab, Left, Right next list; in the details: the next item
  Enter, d         all about the item under the cursor; Esc leads back
  f, /             only what belongs to a name, an address, a line or a master
  s                sort by trouble, by name, busiest first, slowest first
  Ctrl-L           draw the screen anew
  q, Ctrl-C        leave

LEDs, as they blink on the front panel
  silent     three requests in a row got no answer, or the line is down
  missing    some answers are missing
  noise      frames with wrong CRCs are heard
  lost       the master was there and is gone
  off        no master since start, or disabled
  idle       a master is there and polls nothing
  answering  no answer is missing

Columns
  to/s, from/s     frames a second to the RTUs and from them, of late
  load             how much of the time octets are on the line
  bad CRC          frames with CRC errors on the line since start
  waiting          requests that wait for their turn
  p50/p99 ms       half, and 99 %, of the last 512 answers came within this
  missed           requests without an answer since start; red: the last one
  bad octets       of masters that are no DNP3 frame

Below the lists: about the item under the cursor, then what is wrong elsewhere."""


def text(notes: Sequence[str], width: int) -> list[Row]:
    """Return the help, and the notes below it, line by line."""
    lines = [*_GUIDE.splitlines(), *(["", *notes] if notes else [])]
    return [row for each in lines for row in wrapped(_styled(each), width)]


def _styled(said: str) -> Text:
    return Text(said, style="" if said.startswith(" ") else "bold")
