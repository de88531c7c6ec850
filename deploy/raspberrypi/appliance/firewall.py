"""The firewall: rules of nftables that admit what is configured, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.endpoints.endpoint import Endpoint

TABLE: Final = "rtu_bridge"
_SSH_PORT: Final = 22

_ALWAYS: Final = (
    'iif "lo" accept',
    "ct state established,related accept",
    "ct state invalid drop",
    "icmp type echo-request limit rate 20/second accept",
    # Without neighbour discovery there is no IPv6; MLD keeps multicast alive behind switches that watch it.
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, mld-listener-query } accept",
    "icmpv6 type echo-request limit rate 20/second accept",
    "udp sport 67 udp dport 68 accept",
    "ip6 saddr fe80::/10 udp dport 546 accept",
    "ip daddr 224.0.0.251 udp dport 5353 accept",
    "ip6 daddr ff02::fb udp dport 5353 accept",
)
"""Loopback, answers, ping, addresses, and the name on the local network (mDNS)."""


def ruleset(listeners: Iterable[Endpoint], *, with_ssh: bool) -> str:
    """Return the rules for what listens. Loading them replaces those of before, at once or not at all.

    A listener on any free port (0) is not admitted: which one it will be nobody knows.
    """
    admitted = sorted({rule for endpoint in listeners if (rule := _admit(endpoint)) is not None})
    if with_ssh:
        admitted.append(f"tcp dport {_SSH_PORT} ct state new limit rate 10/minute burst 20 packets accept")
    rules = "\n".join(f"\t\t{rule}" for rule in (*_ALWAYS, *admitted))
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
	chain input {{
		type filter hook input priority filter; policy drop;
{rules}
	}}
	chain forward {{
		type filter hook forward priority filter; policy drop;
	}}
}}
"""


def _admit(endpoint: Endpoint) -> str | None:
    host = endpoint.host
    if endpoint.port == 0 or host.is_loopback:
        return None
    port = f"tcp dport {endpoint.port} accept"
    if host.is_unspecified:
        # "[::]" takes IPv4 as well.
        return f"meta nfproto ipv4 {port}" if host.version == 4 else port
    return f"{'ip' if host.version == 4 else 'ip6'} daddr {str(host).partition('%')[0]} {port}"
