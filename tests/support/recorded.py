"""A recording as Wireshark shows it without any setting: the packet list, and what it complains of."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers
from tests.support.dissection import RTUS_OWN_BUSINESS

_FIELDS = {
    "interface": "frame.interface_name",
    "protocol": "_ws.col.Protocol",
    "info": "_ws.col.Info",
    "comment": "frame.comment",
    "noise": "data.data",
    "outstation": "dnp3.dst",
    "header_crc": "dnp.hdr.CRC.status",
    "data_crc": "dnp.data_chunk.CRC.status",
    "malformed": "_ws.malformed",
    "severity": "_ws.expert.severity",
    "message": "_ws.expert.message",
}
_CHECKED = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
_COMMENT = 0x100000
"""A comment is a severity of its own, below all others."""
_BAD_CRC = "0"
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """One packet of the list."""

    interface: str
    protocol: str
    info: str
    comment: str
    noise: bytes


def shown(pcapng: Path) -> list[Shown]:
    """Return the packets; fails where there is one that is neither DNP3 nor an event nor noise, or a warning.

    Needs tshark (`tests.support.peers`).
    """
    command = [peers.require("tshark"), "-2", "-r", str(pcapng), "-T", "fields", *_CHECKED]
    command += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
    for name in _FIELDS.values():
        command += ["-e", name]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert result.returncode == 0, result.stderr
    assert "cut short" not in result.stderr, result.stderr
    packets = [_judged(line.split("\t")) for line in result.stdout.splitlines()]
    assert packets, "an empty capture"
    return packets


def _judged(values: list[str]) -> Shown:
    packet = dict(zip(_FIELDS, values, strict=True))
    complaints = [
        message
        for message, severity in zip(packet["message"].split(";"), packet["severity"].split(";"), strict=True)
        if severity and int(severity, 0) != _COMMENT and message != RTUS_OWN_BUSINESS
    ]
    assert not complaints, (complaints, packet)
    assert not packet["malformed"], packet
    is_known = packet["protocol"] in ("DNP 3.0", "Syslog") or packet["info"].endswith("Unknown (253)")
    assert is_known, packet
    assert _BAD_CRC not in packet["header_crc"].split(";") + packet["data_crc"].split(";"), packet
    return Shown(
        packet["interface"],
        packet["protocol"],
        packet["info"],
        packet["comment"],
        bytes.fromhex(packet["noise"]),
    )
