"""The first octets of a fragment: control, function code, internal indications (IEEE 1815 clause 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

_FIR = 0x80
_FIN = 0x40
_CON = 0x20
_UNS = 0x10
_SEQUENCE = 0x0F


class Function(IntEnum):
    """Application function codes."""

    CONFIRM = 0
    READ = 1
    WRITE = 2
    SELECT = 3
    OPERATE = 4
    DIRECT_OPERATE = 5
    DIRECT_OPERATE_NR = 6
    IMMED_FREEZE = 7
    IMMED_FREEZE_NR = 8
    FREEZE_CLEAR = 9
    FREEZE_CLEAR_NR = 10
    FREEZE_AT_TIME = 11
    FREEZE_AT_TIME_NR = 12
    COLD_RESTART = 13
    WARM_RESTART = 14
    INITIALIZE_DATA = 15
    INITIALIZE_APPL = 16
    START_APPL = 17
    STOP_APPL = 18
    SAVE_CONFIG = 19
    ENABLE_UNSOLICITED = 20
    DISABLE_UNSOLICITED = 21
    ASSIGN_CLASS = 22
    DELAY_MEASURE = 23
    RECORD_CURRENT_TIME = 24
    OPEN_FILE = 25
    CLOSE_FILE = 26
    DELETE_FILE = 27
    GET_FILE_INFO = 28
    AUTHENTICATE_FILE = 29
    ABORT_FILE = 30
    ACTIVATE_CONFIG = 31
    AUTHENTICATE_REQ = 32
    AUTH_REQ_NO_ACK = 33
    RESPONSE = 129
    UNSOLICITED_RESPONSE = 130
    AUTHENTICATE_RESP = 131

    @classmethod
    def of(cls, octet: int) -> Function | int:
        """Return the function of a code octet, or the octet itself where the standard defines none."""
        return _FUNCTIONS.get(octet, octet)

    @property
    def is_response(self) -> bool:
        """Whether fragments of this function come from the outstation and carry IIN octets."""
        return self >= Function.RESPONSE


_FUNCTIONS = {int(function): function for function in Function}

NO_RESPONSE = frozenset(
    {
        Function.DIRECT_OPERATE_NR,
        Function.IMMED_FREEZE_NR,
        Function.FREEZE_CLEAR_NR,
        Function.FREEZE_AT_TIME_NR,
        Function.AUTH_REQ_NO_ACK,
    }
)
"""Requests that an outstation executes and never answers. CONFIRM is no request and is not among them."""

CONTROLS = frozenset({Function.SELECT, Function.OPERATE, Function.DIRECT_OPERATE, Function.DIRECT_OPERATE_NR})
"""Requests that move something in the field: late is worse than never."""


class Iin(IntFlag):
    """Internal indications of a response, both octets as one number: IIN1 low, IIN2 high.

    Bits that the standard reserves survive.
    """

    BROADCAST = 0x0001
    CLASS_1_EVENTS = 0x0002
    CLASS_2_EVENTS = 0x0004
    CLASS_3_EVENTS = 0x0008
    NEED_TIME = 0x0010
    LOCAL_CONTROL = 0x0020
    DEVICE_TROUBLE = 0x0040
    DEVICE_RESTART = 0x0080
    NO_FUNC_CODE_SUPPORT = 0x0100
    OBJECT_UNKNOWN = 0x0200
    PARAMETER_ERROR = 0x0400
    EVENT_BUFFER_OVERFLOW = 0x0800
    ALREADY_EXECUTING = 0x1000
    CONFIG_CORRUPT = 0x2000
    RESERVED_2 = 0x4000
    RESERVED_1 = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationControl:
    """One application control octet, taken apart; `sequence` is 0 to 15."""

    fir: bool
    fin: bool
    con: bool
    uns: bool
    sequence: int

    @classmethod
    def of(cls, octet: int) -> ApplicationControl:
        """Return the control octet's one shared instance; `octet` is 0 to 255."""
        return _CONTROLS[octet]

    @classmethod
    def build(cls, *, fir: bool, fin: bool, con: bool, uns: bool, sequence: int) -> ApplicationControl:
        """Return the one shared instance that has these bits."""
        octet = sequence | (_FIR if fir else 0) | (_FIN if fin else 0)
        return _CONTROLS[octet | (_CON if con else 0) | (_UNS if uns else 0)]

    @property
    def octet(self) -> int:
        """The control octet as it stands on the wire."""
        octet = self.sequence
        octet |= _FIR if self.fir else 0
        octet |= _FIN if self.fin else 0
        octet |= _CON if self.con else 0
        octet |= _UNS if self.uns else 0
        return octet


def _take_apart(octet: int) -> ApplicationControl:
    return ApplicationControl(
        fir=bool(octet & _FIR),
        fin=bool(octet & _FIN),
        con=bool(octet & _CON),
        uns=bool(octet & _UNS),
        sequence=octet & _SEQUENCE,
    )


_CONTROLS = tuple(_take_apart(octet) for octet in range(256))
