"""Short names for the frames that tests send: masters and outstations in a few words."""

from __future__ import annotations

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame

MASTER, RTU, OTHER_RTU = 1, 12, 13

READ, WRITE, SELECT, OPERATE, DIRECT_OPERATE_NR = 1, 2, 3, 4, 6
RESPONSE, UNSOLICITED = 129, 130
FIR_FIN, FIR, FIN, MIDDLE = 0xC0, 0x40, 0x80, 0x00
A_FIR_FIN, A_FIR, A_FIN, A_CON, A_UNS = 0xC0, 0x80, 0x40, 0x20, 0x10


def from_master(
    function: LinkFunction, *, to: int = RTU, source: int = MASTER, user_data: bytes = b"", fcv: bool = False
) -> Frame:
    """Build any frame with DIR set."""
    return Frame.build(Control.build(function, from_master=True, fcv=fcv), to, source, user_data)


def from_rtu(function: LinkFunction, *, source: int = RTU, to: int = MASTER, user_data: bytes = b"") -> Frame:
    """Build any frame without DIR."""
    return Frame.build(Control.build(function, from_master=False), to, source, user_data)


def link_status_request(to: int = RTU, source: int = MASTER) -> Frame:
    return from_master(LinkFunction.REQUEST_LINK_STATUS, to=to, source=source)


def link_status(source: int = RTU, to: int = MASTER) -> Frame:
    return from_rtu(LinkFunction.LINK_STATUS, source=source, to=to)


def request(
    sequence: int = 0,
    function: int = READ,
    *,
    to: int = RTU,
    source: int = MASTER,
    transport: int = FIR_FIN,
    confirmed: bool = False,
    rest: bytes = b"",
) -> Frame:
    """Build a request's segment; with FIR it starts with the application header."""
    link = LinkFunction.CONFIRMED_USER_DATA if confirmed else LinkFunction.UNCONFIRMED_USER_DATA
    header = bytes((A_FIR_FIN | sequence, function)) if transport & FIR else b""
    return from_master(
        link, to=to, source=source, user_data=bytes((transport,)) + header + rest, fcv=confirmed
    )


def confirm(sequence: int = 0, *, uns: bool = False, to: int = RTU, confirmed: bool = False) -> Frame:
    control = A_FIR_FIN | sequence | (A_UNS if uns else 0)
    link = LinkFunction.CONFIRMED_USER_DATA if confirmed else LinkFunction.UNCONFIRMED_USER_DATA
    return from_master(link, to=to, user_data=bytes((FIR_FIN, control, 0)), fcv=confirmed)


def response(
    sequence: int = 0,
    *,
    application: int = A_FIR_FIN,
    function: int = RESPONSE,
    source: int = RTU,
    to: int = MASTER,
    transport: int = FIR_FIN,
    rest: bytes = b"\x00\x00",
) -> Frame:
    """Build a response's segment; with FIR it starts with the application header."""
    header = bytes((application | sequence, function)) if transport & FIR else b""
    return from_rtu(
        LinkFunction.UNCONFIRMED_USER_DATA,
        source=source,
        to=to,
        user_data=bytes((transport,)) + header + rest,
    )


def unsolicited(sequence: int = 0, *, source: int = RTU, to: int = MASTER, transport: int = FIR_FIN) -> Frame:
    return response(
        sequence,
        application=A_FIR_FIN | A_CON | A_UNS,
        function=UNSOLICITED,
        source=source,
        to=to,
        transport=transport,
    )
