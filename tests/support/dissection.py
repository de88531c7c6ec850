"""What Wireshark's DNP3 dissector, which is nobody's here, thinks of a capture."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import peers

_FIELDS = {
    "number": "frame.number",
    "start": "dnp3.start",
    "function": "dnp3.al.func",
    "header_crc": "dnp.hdr.CRC.status",
    "data_crc": "dnp.data_chunk.CRC.status",
    "malformed": "_ws.malformed",
    "reassembled_in": "tcp.reassembled_in",
    "severity": "_ws.expert.severity",
    "message": "_ws.expert.message",
}
_BAD_CRC = "0"
_WARNING = 0x600000
RTUS_OWN_BUSINESS = "IIN Abnormality"
"""It restarted, or does not know an object: said in a right frame."""
_TIMEOUT_S = 60


@dataclass(slots=True)
class Dissection:
    """The result: what was found, and what is wrong with it."""

    packets: int = 0
    frames: int = 0
    """Link frames."""
    intact_headers: int = 0
    functions: Counter[int] = field(default_factory=Counter)
    """Application functions, once for each fragment."""
    problems: dict[int, list[str]] = field(default_factory=dict)
    """By packet, counted from 1."""


def dissect(pcap: Path, port: int) -> Dissection:
    """Dissect the TCP connection with `port`. Needs tshark (`tests.support.peers`)."""
    command = [peers.require("tshark"), "-2", "-r", str(pcap), "-d", f"tcp.port=={port},dnp3"]
    command += ["-o", "tcp.desegment_tcp_streams:TRUE", "-Y", "tcp.len > 0", "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
    for name in _FIELDS.values():
        command += ["-e", name]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert result.returncode == 0, result.stderr
    dissection = Dissection()
    for line in result.stdout.splitlines():
        values = line.split("\t")
        _judge({name: _split(text) for name, text in zip(_FIELDS, values, strict=True)}, dissection)
    return dissection


def _split(text: str) -> list[str]:
    return text.split(";") if text else []


def _judge(packet: dict[str, list[str]], dissection: Dissection) -> None:
    """Add one packet with payload to the dissection."""
    dissection.packets += 1
    dissection.frames += len(packet["start"])
    dissection.intact_headers += sum(status != _BAD_CRC for status in packet["header_crc"])
    dissection.functions.update(int(function, 0) for function in packet["function"])
    warnings = [
        message
        for message, severity in zip(packet["message"], packet["severity"], strict=True)
        if int(severity, 0) >= _WARNING and message != RTUS_OWN_BUSINESS
    ]
    problems = {
        # A frame with a bad header, or noise before it, is not taken for DNP3 at all.
        "payload that is no DNP3": not packet["start"] and not packet["reassembled_in"],
        "bad header CRC": _BAD_CRC in packet["header_crc"],
        "bad data CRC": _BAD_CRC in packet["data_crc"],
        "malformed": bool(packet["malformed"]),
    }
    found = [text for text, is_so in problems.items() if is_so] + warnings
    if found:
        dissection.problems[int(packet["number"][0])] = found
