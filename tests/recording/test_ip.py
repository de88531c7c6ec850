from __future__ import annotations

import random

import dpkt
import pytest

from bridge.recording import ip


def rfc1071(octets: bytes) -> int:
    """Sum 16-bit words with end-around carry, as the RFC says: 0xFFFF for octets with a right checksum."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seed", range(50))
def test_a_datagram_is_right(version: int, seed: int) -> None:
    rng = random.Random(seed)
    size = 4 if version == 4 else 16
    source, destination = rng.randbytes(size), rng.randbytes(size)
    ports = rng.randrange(65536), rng.randrange(65536)
    payload = rng.randbytes(rng.randrange(293))
    octets = ip.datagram(source, ports[0], destination, ports[1], payload)
    layer = dpkt.ip.IP(octets) if version == 4 else dpkt.ip6.IP6(octets)
    assert (layer.src, layer.dst) == (source, destination)
    assert (layer.data.sport, layer.data.dport, layer.data.data) == (*ports, payload)
    udp = bytes(octets[len(octets) - 8 - len(payload) :])
    pseudo = source + destination + bytes((0, 17)) + len(udp).to_bytes(2, "big")
    assert rfc1071(pseudo + udp) == 0xFFFF
    assert layer.data.sum != 0
    if version == 4:
        assert rfc1071(octets[:20]) == 0xFFFF
        assert layer.len == len(octets)


def test_a_checksum_of_zero_is_sent_as_all_ones() -> None:
    """Zero would say that there is none."""
    source = destination = bytes(4)
    for low in range(65536):
        payload = low.to_bytes(2, "big")
        octets = ip.datagram(source, 1, destination, 2, payload)
        assert octets[26:28] != b"\0\0"
        if octets[26:28] == b"\xff\xff":
            break
    else:
        raise AssertionError("no payload has this sum")


@pytest.mark.parametrize("size", [4, 16])
def test_a_packet_of_no_known_protocol(size: int) -> None:
    octets = ip.packet(bytes(size), bytes(size), b"noise")
    layer = dpkt.ip.IP(octets) if size == 4 else dpkt.ip6.IP6(octets)
    assert (layer.p, octets[-5:]) == (253, b"noise")
