"""Where a server listens: an IP address and a TCP port, nothing that needs a name server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bridge.errors import EndpointError

LAST_PORT = 65535
_PATTERN = "write <address>:<port>, such as '0.0.0.0:20000' or '[::]:20000'"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One TCP endpoint; `str()` gives the text that `parse` reads. Port 0 means any free port.

    Raises `EndpointError` for a port or a host that TCP cannot listen on.
    """

    host: IPv4Address | IPv6Address
    port: int

    def __post_init__(self) -> None:
        if not 0 <= self.port <= LAST_PORT:
            raise EndpointError(f"port {self.port} is out of range; write 0 to {LAST_PORT}")
        if self.host.is_multicast:
            raise EndpointError(f"'{self.host}' is a multicast address; write an address of this machine")

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read "10.0.0.1:20000" or "[::1]:20000".

        Raises `EndpointError` that names the part that is wrong and what would be right.
        """
        if any(character.isspace() for character in text):
            raise EndpointError(f"{text!r} contains white space; {_PATTERN}")
        if text.startswith("["):
            return cls(*_split_ipv6(text))
        return cls(*_split_ipv4(text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.host.version == 6 else f"{self.host}:{self.port}"


def _split_ipv6(text: str) -> tuple[IPv6Address, int]:
    inside, bracket, rest = text[1:].partition("]")
    if not bracket:
        raise EndpointError(f"{text!r} has no closing bracket; write '[::1]:20000'")
    right_port = rest or ":20000"
    if _is_ipv4(inside):
        raise EndpointError(f"{text!r} has brackets around an IPv4 address; write {inside + right_port!r}")
    try:
        host = IPv6Address(inside)
    except ValueError:
        raise EndpointError(f"{text!r}: {inside!r} is not an IPv6 address; {_PATTERN}") from None
    if host.ipv4_mapped is not None:
        right = f"{host.ipv4_mapped}{right_port}"
        raise EndpointError(f"{text!r} is an IPv4 address written as IPv6; write {right!r}")
    if not rest.startswith(":"):
        raise EndpointError(f"{text!r} has no port; write '[{inside}]:20000'")
    return host, _port(text, rest[1:])


def _split_ipv4(text: str) -> tuple[IPv4Address, int]:
    host, _, port = text.rpartition(":")
    if _is_ipv6(text) or _is_ipv6(host):
        right = f"[{host}]:{port}" if _is_ipv6(host) else f"[{text}]:20000"
        raise EndpointError(f"{text!r} has an IPv6 address without brackets; write {right!r}")
    if _is_ipv4(text):
        raise EndpointError(f"{text!r} has no port; write '{text}:20000'")
    if ":" not in text:
        raise EndpointError(f"{text!r} is not an endpoint; {_PATTERN}")
    if not host:
        raise EndpointError(f"{text!r} has no address; write '0.0.0.0:{port}' for every IPv4 address")
    if not _is_ipv4(host):
        raise EndpointError(f"{text!r}: {_not_ipv4(host)}; {_PATTERN}")
    return IPv4Address(host), _port(text, port)


def _not_ipv4(host: str) -> str:
    if ":" in host:
        return f"{host!r} is not an IP address"
    if any(character.isalpha() for character in host):
        return f"{host!r} is a host name, and host names are not looked up"
    return f"{host!r} is not an IPv4 address (four numbers 0 to 255 without leading zeros)"


def _port(text: str, digits: str) -> int:
    if not digits:
        raise EndpointError(f"{text!r} has no port after the colon; write 0 to {LAST_PORT}, such as 20000")
    if not (digits.isascii() and digits.isdecimal()):
        raise EndpointError(f"{text!r}: port {digits!r} is not a number; write 0 to {LAST_PORT}")
    if digits.startswith("0") and digits != "0":
        right = digits.lstrip("0") or "0"
        raise EndpointError(f"{text!r}: port {digits!r} has leading zeros; write {right!r}")
    if len(digits) > len(str(LAST_PORT)) or int(digits) > LAST_PORT:
        raise EndpointError(f"{text!r}: port {digits} is out of range; write 0 to {LAST_PORT}")
    return int(digits)


def _is_ipv4(text: str) -> bool:
    return _is_address(IPv4Address, text)


def _is_ipv6(text: str) -> bool:
    return _is_address(IPv6Address, text)


def _is_address(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
