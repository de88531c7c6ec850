"""Requests in octets to any outstation over TCP, and what it answers, frame by frame confirmed."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Self

from tests.support import link_frames, wire_crc
from tests.support.raw_peers import RawMaster

_HOST = "127.0.0.1"
_FROM_MASTER = 0xC4
_FIR, _FIN, _CON, _UNS = 0x80, 0x40, 0x20, 0x10
_LONGEST_SEGMENT = 249
_DATA_FUNCTION = 4


class Fragment(NamedTuple):
    """One fragment of an answer."""

    control: int
    function: int
    iin: int
    """IIN1 in the low octet."""
    objects: bytes

    def __str__(self) -> str:
        iin = self.iin.to_bytes(2, "little").hex(" ")
        return f"{self.control:02x} {self.function:02x} {iin} {self.objects.hex(' ')}".strip()


class RawRequests:
    """A master in octets: confirms what asks for it, answers the outstation's link status requests."""

    def __init__(self, port: int, *, outstation: int = 1024, address: int = 1) -> None:
        self.master = RawMaster(_HOST, port)
        self.unsolicited: list[Fragment] = []
        self.sequence = 0
        self._outstation = outstation
        self._address = address
        self._transport = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.master.close()

    def ask(self, function: int, body: str | bytes = b"") -> list[Fragment]:
        """Send a request with the next sequence number and return the fragments of its answer."""
        self.sequence = (self.sequence + 1) % 16
        self.send_request(function, body, self.sequence)
        return self.answer()

    def send_request(self, function: int, body: str | bytes = b"", sequence: int = 0) -> None:
        """Send a request and wait for nothing."""
        octets = bytes.fromhex(body) if isinstance(body, str) else body
        self.send_fragment(bytes((_FIR | _FIN | sequence, function)) + octets)

    def send_fragment(self, fragment: bytes) -> None:
        """Send a fragment in as many segments as it takes."""
        for at in range(0, len(fragment), _LONGEST_SEGMENT):
            part = fragment[at : at + _LONGEST_SEGMENT]
            first, last = at == 0, at + len(part) == len(fragment)
            header = self._transport | 0x40 * first | 0x80 * last
            self._transport = (self._transport + 1) % 64
            self.send_frame(_FROM_MASTER, bytes((header,)) + part)

    def send_frame(self, control: int, user_data: bytes = b"") -> None:
        """Send one frame."""
        self.master.send(wire_crc.frame(control, self._outstation, self._address, user_data))

    def answer(self) -> list[Fragment]:
        """Read an answer to its last fragment, and confirm what asks for it."""
        fragments = []
        while True:
            fragment = self.read_fragment()
            if fragment.control & _UNS:
                self.unsolicited.append(fragment)
                continue
            fragments.append(fragment)
            if fragment.control & _FIN:
                return fragments

    def read_fragment(self) -> Fragment:
        """Read one fragment, solicited or not, and confirm it if it asks for that."""
        octets = b""
        while True:
            frame = self.master.read_frame()
            data = link_frames.user_data(frame)
            if frame[3] & 0x0F != _DATA_FUNCTION or not data:
                continue
            octets += data[1:]
            if data[0] & 0x80:
                break
        fragment = Fragment(octets[0], octets[1], int.from_bytes(octets[2:4], "little"), octets[4:])
        if fragment.control & _CON:
            confirm = _FIR | _FIN | (fragment.control & (_UNS | 0x0F))
            self.send_fragment(bytes((confirm, 0)))
        return fragment
