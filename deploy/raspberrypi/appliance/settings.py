"""What the machine is called, how it reaches the network, who may log in and where it gets the time.

`appliance.toml`, all of it optional:

    ===============================  ================================  ====================================
    key                              example                           without it
    ===============================  ================================  ====================================
    hostname                         "pole-station-7"                  that of Imager, or "rtu-bridge"
    [network] address                "192.0.2.10/24"                   DHCP, and link-local addresses
    [network] gateway                "192.0.2.1"                       no way out of the own network
    [network] dns                    ["192.0.2.1"]                     none; the bridge needs none
    [ssh] authorized_keys            ["ssh-ed25519 AAAA... name"]      that of Imager, or no SSH at all
    [time] servers                   ["192.0.2.1"]                     those of DHCP, then Debian's
    ===============================  ================================  ====================================

A static address is all there is then: no DHCP, no router advertisements. Logins are those of root, by key;
there are no passwords. WLAN is set by Imager's file, see `preseed`. The clock is UTC. Boards, lines and
outstations are in `bridge.toml`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from typing import Any, Final

from bridge.errors import ConfigurationError
from bridge.service.configuration.schema import (
    LEFT_OUT,
    STRING,
    STRINGS,
    TABLE,
    Key,
    RefusedError,
    Report,
    Row,
    read_row,
    shown,
    strings,
)
from bridge.service.configuration.toml_text import read_toml

DEFAULT_HOSTNAME: Final = "rtu-bridge"
_MOST_SERVERS = 8
_MOST_KEYS = 64
_KEY_TYPES = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")

Interface = IPv4Interface | IPv6Interface
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class StaticNetwork:
    """An address of this machine with the length of its network, and what lies beyond."""

    address: Interface
    gateway: Address | None = None
    dns: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Wlan:
    """A wireless network. `key` is the 32 octets that WPA2 makes of a password; an open one has none."""

    ssid: bytes
    key: bytes | None
    is_hidden: bool = False
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the files say; None, or empty, where they say nothing."""

    hostname: str | None = None
    network: StaticNetwork | None = None
    wlan: Wlan | None = None
    authorized_keys: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def over(self, other: Settings) -> Settings:
        """Return these settings, and the other's where these say nothing; the notes of both."""
        return Settings(
            hostname=self.hostname or other.hostname,
            network=self.network or other.network,
            wlan=self.wlan or other.wlan,
            authorized_keys=self.authorized_keys or other.authorized_keys,
            time_servers=self.time_servers or other.time_servers,
            notes=self.notes + other.notes,
        )


def parse(text: str, source_name: str) -> Settings:
    """Read `appliance.toml`. Raises `ConfigurationError` with every problem of the text."""
    report = Report(source_name)
    file = read_row(read_toml(text, source_name), _FILE_KEYS, "", report)
    network = read_row(file.get("network") or {}, _NETWORK_KEYS, "network", report)
    ssh = read_row(file.get("ssh") or {}, _SSH_KEYS, "ssh", report)
    time = read_row(file.get("time") or {}, _TIME_KEYS, "time", report)
    static = _static(network, report)
    if report.problems:
        raise ConfigurationError(report.problems)
    return Settings(
        hostname=file.get("hostname"),
        network=static,
        authorized_keys=ssh.get("authorized_keys") or (),
        time_servers=time.get("servers") or (),
    )


def hostname(value: Any) -> str:
    """Convert a host name: one label of RFC 1123. Raises `RefusedError`."""
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", value) is None:
        right = "write up to 63 letters, digits and '-', such as 'pole-station-7'"
        raise RefusedError(f"{shown(value)} is no host name; {right}")
    return str(value).lower()


def authorized_keys(value: Any) -> tuple[str, ...]:
    """Convert public SSH keys, each as ssh-keygen writes it. Raises `RefusedError`."""
    keys = tuple(key.strip() for key in strings(value))
    if len(keys) > _MOST_KEYS:
        raise RefusedError(f"there are {len(keys)}; write at most {_MOST_KEYS}")
    for number, key in enumerate(keys, start=1):
        _check_key(number, key)
    return keys


def _check_key(number: int, key: str) -> None:
    right = "write the line of the .pub file, such as 'ssh-ed25519 AAAA... name'"
    if "PRIVATE KEY" in key:
        raise RefusedError(f"entry {number} is a private key, which must stay where it is; {right}")
    if not key.isprintable():
        raise RefusedError(f"entry {number} is more than a line; {right}")
    kind, _, rest = key.partition(" ")
    if kind not in _KEY_TYPES:
        raise RefusedError(f"entry {number} begins with {shown(kind)}, no type of key; {right}")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except binascii.Error:
        blob = b""
    # A key repeats its type: one that was cut, or two that were mixed up, do not.
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()) or len(blob) < len(kind) + 36:
        raise RefusedError(f"entry {number} is no whole key; {right}")


def _time_servers(value: Any) -> tuple[str, ...]:
    servers = strings(value)
    if len(servers) > _MOST_SERVERS:
        raise RefusedError(f"there are {len(servers)}; write at most {_MOST_SERVERS}")
    for server in servers:
        if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", server) is None:
            try:
                ip_address(server)
            except ValueError:
                right = "write addresses or names, such as '192.0.2.1'"
                raise RefusedError(f"{shown(server)} is no time server; {right}") from None
    return servers


def _address(value: Any) -> Address:
    try:
        address = ip_address(value)
    except ValueError:
        raise RefusedError(f"{shown(value)} is no IP address; write one, such as '192.0.2.1'") from None
    if isinstance(address, IPv6Address) and address.scope_id:
        raise RefusedError(f"{shown(value)} names an interface; write the address alone")
    return address


def _addresses(value: Any) -> tuple[Address, ...]:
    if len(value) > _MOST_SERVERS:
        raise RefusedError(f"there are {len(value)}; write at most {_MOST_SERVERS}")
    return tuple(_address(text) for text in strings(value))


def _interface(value: Any) -> Interface:
    right = "write the machine's own one with the length of its network, such as '192.0.2.10/24'"
    if "/" not in value:
        raise RefusedError(f"{shown(value)} has no length of its network; {right}")
    try:
        interface = ip_interface(value)
    except ValueError:
        raise RefusedError(f"{shown(value)} is no IP address; {right}") from None
    network, address = interface.network, interface.ip
    if address.is_multicast or address.is_loopback or address.is_unspecified or network.prefixlen == 0:
        raise RefusedError(f"{shown(value)} is no address of a machine; {right}")
    if isinstance(interface, IPv4Interface) and network.prefixlen < 31:
        if address == network.network_address:
            raise RefusedError(f"{shown(value)} is the network, not a machine in it; {right}")
        if address == network.broadcast_address:
            raise RefusedError(f"{shown(value)} is the broadcast address; {right}")
    return interface


def _static(row: Row, report: Report) -> StaticNetwork | None:
    address, gateway = row.get("address"), row.get("gateway")
    if address is None:
        if "address" not in row.written:
            for label in sorted(row.written):
                report.add(f"network.{label}", "needs an address; write address as well, or delete it")
        return None
    if gateway is not None and gateway.version != address.version:
        report.add("network.gateway", f"'{gateway}' is of another IP version; write one of {address.network}")
    elif gateway == address.ip:
        report.add("network.gateway", f"'{gateway}' is this machine itself; write that of the router")
    elif gateway is not None and gateway not in address.network and not gateway.is_link_local:
        report.add("network.gateway", f"'{gateway}' is not in {address.network}; write one that is")
    return StaticNetwork(address, gateway, row.get("dns") or ())


_FILE_KEYS: Final[Mapping[str, Key]] = {
    "hostname": Key(STRING, 'hostname = "pole-station-7"', hostname, LEFT_OUT),
    "network": Key(TABLE, "[network]", default=LEFT_OUT),
    "ssh": Key(TABLE, "[ssh]", default=LEFT_OUT),
    "time": Key(TABLE, "[time]", default=LEFT_OUT),
}
_NETWORK_KEYS: Final[Mapping[str, Key]] = {
    "address": Key(STRING, 'address = "192.0.2.10/24"', _interface, LEFT_OUT),
    "gateway": Key(STRING, 'gateway = "192.0.2.1"', _address, LEFT_OUT),
    "dns": Key(STRINGS, 'dns = ["192.0.2.1"]', _addresses, LEFT_OUT),
}
_SSH_KEYS: Final[Mapping[str, Key]] = {
    "authorized_keys": Key(
        STRINGS, 'authorized_keys = ["ssh-ed25519 AAAA... name"]', authorized_keys, LEFT_OUT
    ),
}
_TIME_KEYS: Final[Mapping[str, Key]] = {
    "servers": Key(STRINGS, 'servers = ["192.0.2.1"]', _time_servers, LEFT_OUT),
}
