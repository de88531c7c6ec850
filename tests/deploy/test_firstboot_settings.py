"""`appliance.toml` and Raspberry Pi Imager's file, and what becomes of them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from ipaddress import ip_address, ip_interface

import pytest

from bridge.endpoints.endpoint import Endpoint
from bridge.errors import ConfigurationError
from deploy.raspberrypi.appliance import firewall, network, preseed, settings
from deploy.raspberrypi.appliance.settings import Settings, StaticNetwork, Wlan
from tests.deploy.test_firstboot_plan import KEY

IMAGER = f"""config_version = "1.0"

[system]
hostname = "Pole-7"

[user]
name = "alice"
password = "$y$j9T$x"
password_encrypted = true
groups = ["sudo"]

[ssh]
enabled = true
password_authentication = false
authorized_keys = [
  "{KEY}",
]

[wlan]
ssid = "plant"
password = "{"0f" * 32}"
password_encrypted = true
hidden = true
country = "de"

[locale]
keymap = "de"
timezone = "Europe/Berlin"

[interfaces]
serial = "console"
"""


def problems_of(parse: object, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "file")  # type: ignore[operator]
    return list(caught.value.problems)


def test_all_keys_of_the_settings() -> None:
    text = f"""
    hostname = "Pole-7"
    [network]
    address = "192.0.2.10/24"
    gateway = "192.0.2.1"
    dns = ["192.0.2.1", "2001:db8::1"]
    [ssh]
    authorized_keys = ["{KEY}"]
    [time]
    servers = ["192.0.2.1", "ntp.example.org", "2001:db8::1"]
    """

    assert settings.parse(text, "file") == Settings(
        hostname="pole-7",
        network=StaticNetwork(
            ip_interface("192.0.2.10/24"),
            ip_address("192.0.2.1"),
            (ip_address("192.0.2.1"), ip_address("2001:db8::1")),
        ),
        authorized_keys=(KEY,),
        time_servers=("192.0.2.1", "ntp.example.org", "2001:db8::1"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hostname = ""', "hostname"),
        ('hostname = "a.b"', "is no host name"),
        (f'hostname = "{"a" * 64}"', "is no host name"),
        ('hostname = "-a"', "is no host name"),
        ("hostname = 7", "hostname: 7 is an integer"),
        ('host = "a"', "did you mean 'hostname'?"),
        ("network = 1", "network: 1 is an integer"),
        ('[network]\naddress = "192.0.2.10"', "has no length"),
        ('[network]\naddress = "192.0.2.0/24"', "is the network"),
        ('[network]\naddress = "192.0.2.255/24"', "is the broadcast address"),
        ('[network]\naddress = "127.0.0.1/8"', "is no address of a machine"),
        ('[network]\naddress = "224.0.0.1/24"', "is no address of a machine"),
        ('[network]\naddress = "192.0.2.300/24"', "is no IP address"),
        ('[network]\naddress = "192.0.2.10/24\\nDHCP=yes"', "is no IP address"),
        ('[network]\naddress = "192.0.2.10/24"\ngateway = "192.0.3.1"', "is not in 192.0.2.0/24"),
        ('[network]\naddress = "192.0.2.10/24"\ngateway = "192.0.2.10"', "is this machine itself"),
        ('[network]\naddress = "192.0.2.10/24"\ngateway = "fe80::1"', "another IP version"),
        ('[network]\naddress = "192.0.2.10/24"\ndns = ["a"]', "is no IP address"),
        ('[network]\naddress = "192.0.2.10/24"\ndns = ["fe80::1%e\\nx"]', "network.dns"),
        ('[network]\ngateway = "192.0.2.1"', "network.gateway: needs an address"),
        ('[ssh]\nauthorized_keys = ["ssh-ed25519"]', "entry 1 is no whole key"),
        (f'[ssh]\nauthorized_keys = ["{KEY[:40]}"]', "entry 1 is no whole key"),
        (f'[ssh]\nauthorized_keys = ["{KEY.replace("ssh-ed25519", "ssh-rsa")}"]', "no whole key"),
        (f'[ssh]\nauthorized_keys = ["command=x {KEY}"]', "no type of key"),
        ('[ssh]\nauthorized_keys = ["-----BEGIN OPENSSH PRIVATE KEY-----"]', "is a private key"),
        (f'[ssh]\nauthorized_keys = ["{KEY}\\n{KEY}"]', "is more than a line"),
        ('[time]\nservers = ["a b"]', "is no time server"),
        ('[time]\nservers = ["a\\nb"]', "is no time server"),
    ],
)
def test_what_is_wrong_with_settings_is_said(text: str, said: str) -> None:
    (problem,) = problems_of(settings.parse, text)

    assert problem.startswith("file: ")
    assert said in problem


def test_all_errors_of_a_file_are_told_at_once() -> None:
    text = 'hostname = "a b"\n[network]\naddress = "x"\n[time]\nservers = [1]'

    assert len(problems_of(settings.parse, text)) == 3


def test_what_imager_writes() -> None:
    parsed = preseed.parse(IMAGER, "file")

    assert parsed.hostname == "pole-7"
    assert parsed.authorized_keys == (KEY,)
    assert parsed.wlan == Wlan(b"plant", bytes([0x0F]) * 32, is_hidden=True, country="DE")
    assert [note.split(":")[1].strip() for note in parsed.notes] == ["user", "locale", "interfaces"]


@pytest.mark.parametrize(
    ("text", "wlan"),
    [
        ('[wlan]\nssid = "open"', Wlan(b"open", None)),
        ('[wlan]\nssid = "open"\nkey_mgmt = "none"', Wlan(b"open", None)),
        ('[wlan]\nssid_hex = "ff00"', Wlan(b"\xff\x00", None)),
        ('[wlan]\nssid = ""', None),
        ("", None),
        (
            '[wlan]\nssid = "plant"\npassword = "12345678"',
            Wlan(b"plant", hashlib.pbkdf2_hmac("sha1", b"12345678", b"plant", 4096, 32)),
        ),
    ],
)
def test_wireless_networks(text: str, wlan: Wlan | None) -> None:
    assert preseed.parse(text, "file").wlan == wlan


def test_a_wireless_key_is_that_of_the_standard() -> None:
    # IEEE 802.11, J.4.2, the first one.
    parsed = preseed.parse('[wlan]\nssid = "IEEE"\npassword = "password"', "file")

    assert parsed.wlan is not None
    assert parsed.wlan.key is not None
    assert parsed.wlan.key.hex() == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('config_version = "2.0"', "config_version: '2.0' is not known"),
        ("config_version = 1", "config_version"),
        ("system = 1", "system: 1 is an integer"),
        ("[system]\nhostname = 1", "system.hostname"),
        ('[ssh]\nauthorized_keys = ["x"]', "ssh.authorized_keys"),
        ('[ssh]\nenabled = "yes"', "ssh.enabled"),
        ('[wlan]\nssid = "x"\npassword = "short"', "has 5 octets"),
        ('[wlan]\nssid = "x"\npassword = "12345678"\npassword_encrypted = true', "hexadecimal"),
        ('[wlan]\nssid = "x"\npassword = "12345678"\nkey_mgmt = "none"', "does not fit"),
        ('[wlan]\nssid = "x"\nkey_mgmt = "wpa-psk"', "is missing"),
        ('[wlan]\nssid = "x"\nkey_mgmt = "sae"', "is not possible here"),
        ('[wlan]\nssid = "x"\ncountry = "Germany"', "is no country"),
        (f'[wlan]\nssid = "{"x" * 33}"', "has 33 octets"),
        ('[wlan]\nssid_hex = "f"', "wlan.ssid_hex"),
    ],
)
def test_what_is_wrong_with_imagers_file_is_said(text: str, said: str) -> None:
    (problem,) = problems_of(preseed.parse, text)

    assert said in problem


def test_a_password_is_never_shown() -> None:
    text = '[wlan]\nssid = "x"\npassword = "secret"\ncountry = "Germany"'

    assert not any("secret" in problem for problem in problems_of(preseed.parse, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ssh]\nenabled = true", "there is none, so SSH is off"),
        (
            f'[ssh]\nenabled = true\npassword_authentication = true\nauthorized_keys = ["{KEY}"]',
            "logins are by key only",
        ),
        ('[runcmd]\nlate = ["reboot"]', "runcmd: ignored"),
        ("[future]\nx = 1", "future: ignored: not known"),
    ],
)
def test_what_is_ignored_is_noted(text: str, said: str) -> None:
    (note,) = preseed.parse(text, "file").notes

    assert said in note


def test_ssh_that_is_switched_off_has_no_keys() -> None:
    text = f'[ssh]\nenabled = false\nauthorized_keys = ["{KEY}"]'

    assert preseed.parse(text, "file").authorized_keys == ()


def test_a_cable_has_dhcp_or_what_is_set() -> None:
    static = Settings(
        network=StaticNetwork(
            ip_interface("192.0.2.10/24"), ip_address("192.0.2.1"), (ip_address("192.0.2.2"),)
        )
    )

    assert "DHCP=yes" in network.wired_network(Settings()).splitlines()
    lines = network.wired_network(static).splitlines()
    assert {"DHCP=no", "Address=192.0.2.10/24", "Gateway=192.0.2.1", "DNS=192.0.2.2"} <= set(lines)
    assert "DHCP=yes" in network.wireless_network().splitlines()


def test_no_name_of_a_network_ends_the_line_that_it_stands_in() -> None:
    text = network.supplicant(Wlan(b'a"\n}\nx', None, country="DE"))

    assert "ssid=61220a7d0a78" in text.split()
    assert text.count("}") == 1
    assert text.startswith("country=DE\n")
    assert "psk=" not in text
    assert "psk=0101" in network.supplicant(Wlan(b"a", b"\x01" * 32))


def test_time_servers_are_set_only_when_named() -> None:
    assert network.time_servers(Settings()) is None
    assert network.time_servers(Settings(time_servers=("a", "b"))) == "[Time]\nNTP=a b\n"


@pytest.mark.parametrize(
    ("listener", "rule"),
    [
        ("192.0.2.10:20000", "ip daddr 192.0.2.10 tcp dport 20000 accept"),
        ("[2001:db8::1]:20000", "ip6 daddr 2001:db8::1 tcp dport 20000 accept"),
        ("0.0.0.0:20000", "meta nfproto ipv4 tcp dport 20000 accept"),
        ("[::]:20000", "tcp dport 20000 accept"),
        ("127.0.0.1:20000", None),
        ("0.0.0.0:0", None),
    ],
)
def test_the_firewall_admits_a_listener(listener: str, rule: str | None) -> None:
    without = firewall.ruleset([], with_ssh=False).splitlines()
    rules = firewall.ruleset([Endpoint.parse(listener)], with_ssh=False).splitlines()

    assert [line.strip() for line in rules if line not in without] == ([] if rule is None else [rule])


def test_the_firewall_admits_nothing_else() -> None:
    text = firewall.ruleset([], with_ssh=False)

    assert "policy drop" in text
    assert "tcp dport" not in text
    assert "tcp dport 22" in firewall.ruleset([], with_ssh=True)


@pytest.mark.wire
def test_nftables_accepts_the_rules() -> None:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    listeners = [
        Endpoint.parse(text) for text in ("0.0.0.0:20000", "[::]:20001", "192.0.2.1:20002", "[::2]:1")
    ]
    command = ["unshare", "--user", "--map-root-user", "--net", "nft", "--check", "--file", "-"]

    checked = subprocess.run(
        command, input=firewall.ruleset(listeners, with_ssh=True), capture_output=True, text=True, timeout=30
    )

    assert (checked.returncode, checked.stderr) == (0, "")
