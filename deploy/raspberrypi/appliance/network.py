"""Settings as files of systemd-networkd, -resolved, -timesyncd, wpa_supplicant: text, nothing else."""

from __future__ import annotations

from .settings import Settings, StaticNetwork, Wlan


def wired_network(settings: Settings) -> str:
    """Return the .network file of every wired interface."""
    # With a wireless network as well, one address cannot be that of both: it is the cable's.
    return _network("ether", settings.network, metric=100)


def wireless_network() -> str:
    """Return the .network file of wireless interfaces: DHCP."""
    return _network("wlan", None, metric=600)


def _network(kind: str, static: StaticNetwork | None, *, metric: int) -> str:
    lines = ["[Match]", f"Type={kind}", "", "[Network]", "LinkLocalAddressing=yes", "MulticastDNS=yes"]
    if static is None:
        lines += ["DHCP=yes", "", "[DHCPv4]", "ClientIdentifier=mac", "UseHostname=no"]
        lines += [f"RouteMetric={metric}", "", "[DHCPv6]", "UseHostname=no"]
    else:
        lines += ["DHCP=no", "IPv6AcceptRA=no", f"Address={static.address}"]
        lines += [f"DNS={server}" for server in static.dns]
        if static.gateway is not None:
            lines += [f"Gateway={static.gateway}"]
    return "\n".join(lines) + "\n"


def time_servers(settings: Settings) -> str | None:
    """Return the drop-in of systemd-timesyncd, None if nothing is to be changed."""
    if not settings.time_servers:
        return None
    return f"[Time]\nNTP={' '.join(settings.time_servers)}\n"


def resolver() -> str:
    """Return the drop-in of systemd-resolved: the machine answers to NAME.local."""
    return "[Resolve]\nMulticastDNS=yes\nLLMNR=no\n"


def supplicant(wlan: Wlan) -> str:
    """Return the configuration of wpa_supplicant. Its octets are in hexadecimal: nothing to escape."""
    country = [f"country={wlan.country}"] if wlan.country else []
    security = ["key_mgmt=NONE"] if wlan.key is None else ["key_mgmt=WPA-PSK", f"psk={wlan.key.hex()}"]
    lines = [f"ssid={wlan.ssid.hex()}", f"scan_ssid={int(wlan.is_hidden)}", *security]
    return "\n".join([*country, "network={", *(f"\t{line}" for line in lines), "}", ""])
