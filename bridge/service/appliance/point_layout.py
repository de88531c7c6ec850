"""Where the points of the appliance's outstation are: blocks of fixed size.

    appliance     0 to 19
    contacts     20 to 99      binary inputs; by `point`, or their place in the file
    relays       20 to 99      binary outputs; the same
    lines       100 to 999     20 for each [line.NAME], in the order of the file
    outstations 1000 and up    20 for each [[outstation]], in the order of the file, disabled ones too

Each kind of point has indices of its own, and the blocks begin at the same index in all. A line or an RTU
that is added at the end of the file moves nothing.
"""

from __future__ import annotations

from typing import Final

from bridge.outstation.points import LAST_INDEX

BLOCK: Final = 20
FIRST_WIRED, LAST_WIRED = 20, 99
FIRST_LINE: Final = 100
FIRST_OUTSTATION: Final = 1000
MOST_LINES: Final = (FIRST_OUTSTATION - FIRST_LINE) // BLOCK
MOST_OUTSTATIONS: Final = (LAST_INDEX + 1 - FIRST_OUTSTATION) // BLOCK
