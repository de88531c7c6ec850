"""Which masters may use an outstation, told by the address their TCP connection comes from.

Rules:
  1. A rule is (IP version, value, mask): a peer passes when `peer & mask == value`. One address,
     an IPv4 wildcard and a CIDR network are all this one thing.
  2. A filter keeps its rules sorted and without those that another one contains, so filters that are
     written differently and say the same are equal: 10.8.0.0/16 and 10.8.*.*.
  3. An IPv4-mapped IPv6 address (::ffff:10.1.1.5) is the IPv4 address, in peers and in filters, and is
     matched by IPv4 rules alone: `::/0` is every IPv6 peer and no IPv4 one.
  4. The scope id of a peer (fe80::1%eth0) names an interface of this machine and is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product
from typing import NamedTuple

from bridge.errors import FilterError

_ALL_BITS = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
_MAPPED = 0xFFFF << 32
_ANY = "any"
_FORMS = "write an address '10.1.1.5', a wildcard '10.1.*.7' or a network '10.8.0.0/16'"


class Rule(NamedTuple):
    """Accepts the addresses of IP version `version` whose bits under `mask` are `value`."""

    version: int
    value: int
    mask: int

    def contains(self, other: Rule) -> bool:
        """Tell whether every address that `other` accepts is accepted here too."""
        return (
            self.version == other.version
            and self.mask & other.mask == self.mask
            and other.value & self.mask == self.value
        )

    def common_value(self, other: Rule) -> int | None:
        """Return the lowest address that both rules accept, or None."""
        if self.version != other.version or (self.value ^ other.value) & self.mask & other.mask:
            return None
        return self.value | other.value

    def __str__(self) -> str:
        ignored = _ALL_BITS[self.version] ^ self.mask
        address = _address_text(self.version, self.value)
        if not ignored:
            return address
        if not ignored & (ignored + 1):
            return f"{address}/{self.mask.bit_count()}"
        octets = zip(self.value.to_bytes(4), self.mask.to_bytes(4), strict=True)
        return ".".join(str(octet) if mask else "*" for octet, mask in octets)


_EVERY_ADDRESS = (Rule(4, 0, 0), Rule(6, 0, 0))


@dataclass(frozen=True, slots=True)
class AddressFilter:
    """An immutable set of rules about peer addresses; equal and hashed by what the rules say.

    Build one with the constructors `any`, `address`, `addresses`, `wildcard`, `network` or `parse`. All but
    `any` raise `FilterError`, which says what is wrong and what would be right.
    """

    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if not self.rules:
            raise FilterError(f"an empty filter lets nobody in; {_FORMS}, or '{_ANY}'")
        object.__setattr__(self, "rules", _canonical(self.rules))

    @classmethod
    def any(cls) -> AddressFilter:
        """Accept every IPv4 and IPv6 peer."""
        return cls(_EVERY_ADDRESS)

    @classmethod
    def address(cls, text: str) -> AddressFilter:
        """Accept one address, such as "10.1.1.5" or "2001:db8::7"."""
        return cls((_address_rule(text),))

    @classmethod
    def addresses(cls, texts: Iterable[str]) -> AddressFilter:
        """Accept each address of a set."""
        return cls(tuple(_address_rule(text) for text in _listed(texts)))

    @classmethod
    def wildcard(cls, text: str) -> AddressFilter:
        """Accept IPv4 addresses like "10.1.*.7", where each * stands for a whole octet."""
        return cls((_wildcard_rule(text),))

    @classmethod
    def network(cls, text: str) -> AddressFilter:
        """Accept a CIDR network, such as "10.8.0.0/16" or "2001:db8::/32"."""
        return cls((_network_rule(text),))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> AddressFilter:
        """Accept what a list of addresses, wildcards and networks says, or everybody for `["any"]`."""
        listed = _listed(texts)
        if listed == [_ANY]:
            return cls.any()
        if _ANY in listed:
            raise FilterError(f"'{_ANY}' stands beside other entries; write '{_ANY}' alone or leave it out")
        return cls(tuple(_rule(text) for text in listed))

    def matches(self, peer: str) -> bool:
        """Tell whether a peer, as `getpeername` names it, passes. What is no address does not."""
        try:
            address = _unmapped(ip_address(peer))
        except ValueError:
            return False
        version, bits = address.version, int(address)
        return any(rule.version == version and bits & rule.mask == rule.value for rule in self.rules)

    def overlaps(self, other: AddressFilter) -> bool:
        """Tell whether some address passes both filters."""
        return self.common_address(other) is not None

    def common_address(self, other: AddressFilter) -> str | None:
        """Return one address that passes both filters, as an example for a message, or None."""
        for mine, theirs in product(self.rules, other.rules):
            value = mine.common_value(theirs)
            if value is not None:
                return _address_text(mine.version, value)
        return None

    def texts(self) -> tuple[str, ...]:
        """Return the rules as a list that `parse` reads back."""
        return (_ANY,) if self.rules == _EVERY_ADDRESS else tuple(map(str, self.rules))

    def __str__(self) -> str:
        return ", ".join(self.texts())

    def __repr__(self) -> str:
        return f"AddressFilter.parse({list(self.texts())!r})"


def _canonical(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    distinct = set(rules)
    return tuple(
        sorted(
            rule for rule in distinct if not any(other.contains(rule) for other in distinct if other != rule)
        )
    )


def _listed(texts: Iterable[str]) -> list[str]:
    # A lone str is an iterable of one-letter entries: the mistake would surface as a riddle.
    if isinstance(texts, str):
        raise FilterError(f"{texts!r} is one text where a list is expected; write [{texts!r}]")
    return list(texts)


def _rule(text: str) -> Rule:
    if "/" in text:
        return _network_rule(text)
    return _wildcard_rule(text) if "*" in text else _address_rule(text)


def _address_rule(text: str) -> Rule:
    if "/" in text:
        raise FilterError(f"{text!r} is a network where one address is expected; leave out the '/'")
    if "*" in text:
        raise FilterError(f"{text!r} is a wildcard where one address is expected; leave out the '*'")
    version, value = _address_bits(text, text)
    return _unmapped_rule(Rule(version, value, _ALL_BITS[version]))


def _network_rule(text: str) -> Rule:
    if "*" in text:
        raise FilterError(f"{text!r} mixes '*' and a prefix length; write '10.8.*.*' or '10.8.0.0/16'")
    address, slash, prefix = text.partition("/")
    version, value = _address_bits(address, text)
    width = _ALL_BITS[version].bit_length()
    if not slash:
        raise FilterError(f"{text!r} has no prefix length; write '{address}/{width}' for this one address")
    bits = _prefix_bits(text, address, prefix, width)
    mask = _ALL_BITS[version] ^ (_ALL_BITS[version] >> bits)
    if value & ~mask:
        network, host = _address_text(version, value & mask), _address_text(version, value)
        raise FilterError(f"{text!r} has host bits set; did you mean '{network}/{bits}' or '{host}'?")
    return _unmapped_rule(Rule(version, value, mask))


def _prefix_bits(text: str, address: str, prefix: str, width: int) -> int:
    if prefix.isascii() and prefix.isdecimal():
        bits = int(prefix) if len(prefix) <= 3 else width + 1
        if bits > width:
            raise FilterError(f"{text!r}: prefix length {prefix} is out of range; write 0 to {width}")
        if str(bits) != prefix:
            raise FilterError(f"{text!r}: prefix length {prefix} has leading zeros; write '{address}/{bits}'")
        return bits
    bits_of_netmask = _bits_of_netmask(prefix) if width == 32 else None
    if bits_of_netmask is not None:
        raise FilterError(
            f"{text!r} has a netmask; write the number of its bits instead: '{address}/{bits_of_netmask}'"
        )
    raise FilterError(f"{text!r}: prefix length {prefix!r} is not a number; write 0 to {width}")


def _bits_of_netmask(text: str) -> int | None:
    try:
        mask = int(IPv4Address(text))
    except ValueError:
        return None
    host_bits = _ALL_BITS[4] ^ mask
    return None if host_bits & (host_bits + 1) else mask.bit_count()


def _wildcard_rule(text: str) -> Rule:
    _refuse_port(text, text)
    if ":" in text:
        raise FilterError(f"{text!r} is an IPv6 wildcard; write a network, such as '2001:db8::/32'")
    octets = _ipv4_octets(text, text)
    value = bytes(octet or 0 for octet in octets)
    mask = bytes(0 if octet is None else 0xFF for octet in octets)
    return Rule(4, int.from_bytes(value), int.from_bytes(mask))


def _address_bits(address: str, text: str) -> tuple[int, int]:
    """Read the address inside the entry `text`; return its IP version and its bits."""
    if ":" in address:
        return 6, _ipv6_bits(address, text)
    octets = _ipv4_octets(address, text)
    return 4, int.from_bytes(bytes(octet or 0 for octet in octets))


def _ipv6_bits(address: str, text: str) -> int:
    _refuse_port(address, text)
    bare = address.strip("[]")
    if "%" in bare:
        right = bare.partition("%")[0]
        raise FilterError(f"{text!r} has a scope id, which filters ignore; write {right!r}")
    try:
        bits = int(IPv6Address(bare))
    except ValueError:
        raise FilterError(f"{text!r} is not an IPv6 address; write one such as '2001:db8::7'") from None
    if bare != address:
        raise FilterError(f"{text!r} has brackets, which only endpoints need; write {bare!r}")
    return bits


def _refuse_port(address: str, text: str) -> None:
    host, _, port = address.rpartition(":")
    if port.isdecimal() and (host.endswith("]") or re.fullmatch(r"[0-9.*]+", host)):
        right = host.strip("[]")
        raise FilterError(f"{text!r} has a port, and masters connect from any port; write {right!r}")


def _ipv4_octets(address: str, text: str) -> list[int | None]:
    """Read four octets; * becomes None."""
    if address.lower() == _ANY:
        raise FilterError(f"{text!r} stands for everybody; write the list ['{_ANY}']")
    if re.fullmatch(r"[0-9.*]+", address) is None:
        raise FilterError(f"{text!r} {_not_ipv4(address)}; {_FORMS}")
    parts = address.split(".")
    if len(parts) != 4 or "" in parts:
        raise FilterError(f"{text!r} {_not_four(parts)}")
    return [_octet(part, text) for part in parts]


def _not_ipv4(address: str) -> str:
    if not address:
        return "has no address"
    if address != address.strip():
        return "has white space around the address"
    if re.fullmatch(r"[\w.-]+", address) and re.search(r"[^\W\d_]", address):
        return "is a host name, and host names are not looked up"
    return "is not an IP address"


def _not_four(parts: list[str]) -> str:
    given = [part for part in parts if part]
    if 0 < len(given) < 4 and given[-1] == "*":
        return f"has {len(given)} of four octets; write {'.'.join((given + ['*'] * 3)[:4])!r}"
    return f"does not have four octets between three dots; {_FORMS}"


def _octet(part: str, text: str) -> int | None:
    if part == "*":
        return None
    if "*" in part:
        raise FilterError(f"{text!r}: {part!r} mixes digits and '*'; a '*' stands for a whole octet")
    if len(part) > 1 and part.startswith("0"):
        right = part.lstrip("0") or "0"
        raise FilterError(f"{text!r}: octet {part} has leading zeros; write {right}")
    if len(part) > 3 or int(part) > 0xFF:
        raise FilterError(f"{text!r}: octet {part} is out of range; write 0 to 255")
    return int(part)


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return address if address.version == 4 else address.ipv4_mapped or address


def _unmapped_rule(rule: Rule) -> Rule:
    prefix = _ALL_BITS[6] ^ _ALL_BITS[4]
    if rule.version == 6 and rule.mask & prefix == prefix and rule.value & prefix == _MAPPED:
        return Rule(4, rule.value & _ALL_BITS[4], rule.mask & _ALL_BITS[4])
    return rule


def _address_text(version: int, value: int) -> str:
    return str(IPv4Address(value) if version == 4 else IPv6Address(value))
