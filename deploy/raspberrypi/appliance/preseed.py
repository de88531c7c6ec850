"""`rpi-preseed.toml`: what Raspberry Pi Imager writes for images of `init_format` "rpi-preseed".

    ==================================================  =====================================================
    key                                                 what becomes of it
    ==================================================  =====================================================
    system.hostname                                     the host name
    ssh.authorized_keys, unless ssh.enabled is false    who may log in, as root
    wlan.ssid, ssid_hex, password, hidden, country      the wireless network; WPA2 or open
    wlan.password_encrypted, key_mgmt                   as Imager has them; "sae" and "owe" are refused
    config_version                                      must be "1.x"
    user, ssh.password_authentication, ssh_import_id    ignored: logins are by key, as root
    locale                                              ignored: the clock is UTC, and there is no keyboard
    interfaces, boot                                    ignored: bridge.toml's board says what is wired
    connect, runcmd, debug, and what is not known       ignored
    ==================================================  =====================================================

Imager writes: system, user, ssh, wlan, locale, connect, interfaces. What is ignored is noted on the card.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.errors import ConfigurationError, RtuBridgeError
from bridge.service.configuration.schema import RefusedError, Report, kind_title, shortened, shown
from bridge.service.configuration.toml_text import read_toml

from .settings import Settings, Wlan, authorized_keys, hostname

_TABLES: Final = ("system", "ssh", "wlan", "user", "locale", "interfaces", "connect", "boot", "runcmd")
_IGNORED: Final = {
    "user": "ignored: logins are those of root, by key; there are no passwords",
    "locale": "ignored: the clock is UTC, and there is no keyboard",
    "interfaces": "ignored: the board in bridge.toml says what is wired",
    "connect": "ignored: this image has no Raspberry Pi Connect",
    "boot": "ignored: config.txt belongs to the image",
    "runcmd": "ignored: nothing from the card is run",
}
_PASSWORD_OCTETS: Final = range(8, 64)
_ROUNDS: Final = 4096
"""Of PBKDF2, as IEEE 802.11 has it."""


def parse(text: str, source_name: str) -> Settings:
    """Read the file of Raspberry Pi Imager. Raises `ConfigurationError` with every problem of the text."""
    file = read_toml(text, source_name)
    report = Report(source_name)
    reader = _Reader(file, report)
    version = file.get("config_version", "1.0")
    if not (isinstance(version, str) and re.match(r"1(\.|$)", version)):
        report.add("config_version", f'{shown(version)} is not known; write "1.0"')
    name = reader.value("system", "hostname", str, hostname)
    keys = reader.value("ssh", "authorized_keys", list, authorized_keys) or ()
    if reader.value("ssh", "enabled", bool) is False:
        keys = ()
    wlan = _wlan(reader)
    if report.problems:
        raise ConfigurationError(report.problems)
    notes = _notes(file, source_name, has_keys=bool(keys))
    return Settings(hostname=name, wlan=wlan, authorized_keys=keys, notes=notes)


class _Reader:
    """Values of the file by table and key, with the problems of those that are wrong."""

    def __init__(self, file: Mapping[str, Any], report: Report) -> None:
        self._tables: dict[str, Mapping[str, Any]] = {}
        self.report = report
        for label in _TABLES[:3]:
            table = file.get(label, {})
            if isinstance(table, dict):
                self._tables[label] = table
            else:
                report.add(label, f"{shown(table)} is {kind_title(table)}; write [{label}]")

    def value(
        self, table: str, key: str, kind: type, convert: Callable[[Any], Any] = lambda value: value
    ) -> Any:
        value = self._tables.get(table, {}).get(key)
        if value is None or value == "":
            return None
        path = f"{table}.{key}"
        if type(value) is not kind:
            self.report.add(path, f"{shown(value)} is {kind_title(value)}; write it as Imager does")
            return None
        try:
            return convert(value)
        except (RefusedError, RtuBridgeError) as refusal:
            self.report.add(path, str(refusal))
            return None


def _wlan(reader: _Reader) -> Wlan | None:
    before = len(reader.report.problems)
    ssid = reader.value("wlan", "ssid_hex", str, _ssid_of_hex) or reader.value("wlan", "ssid", str, _ssid)
    management = reader.value("wlan", "key_mgmt", str, _management)
    is_key = reader.value("wlan", "password_encrypted", bool) is True
    password = reader.value("wlan", "password", str)
    is_hidden = reader.value("wlan", "hidden", bool) is True
    country = reader.value("wlan", "country", str, _country)
    if ssid is None or len(reader.report.problems) > before:
        return None
    if password is None and management == "wpa-psk":
        reader.report.add("wlan.password", 'is missing; write it, or key_mgmt = "none"')
    if password is not None and management == "none":
        reader.report.add("wlan.password", 'does not fit key_mgmt "none"; delete one of them')
    try:
        key = None if password is None else _key(password, ssid, is_key=is_key)
    except RefusedError as refusal:
        reader.report.add("wlan.password", str(refusal))
        return None
    return Wlan(ssid, key, is_hidden, country)


def _ssid(value: str) -> bytes:
    octets = value.encode()
    if not 1 <= len(octets) <= 32:
        raise RefusedError(f"has {len(octets)} octets; write 1 to 32")
    return octets


def _ssid_of_hex(value: str) -> bytes:
    if re.fullmatch(r"([0-9A-Fa-f]{2}){1,32}", value) is None:
        raise RefusedError("is not 1 to 32 octets in hexadecimal; write ssid instead")
    return bytes.fromhex(value)


def _management(value: str) -> str:
    if value not in ("none", "wpa-psk"):
        raise RefusedError(f"{shown(value)} is not possible here; write 'wpa-psk' or 'none'")
    return value


def _country(value: str) -> str:
    if re.fullmatch(r"[A-Za-z]{2}", value) is None:
        raise RefusedError(f"{shown(value)} is no country; write two letters, such as 'DE'")
    return value.upper()


def _key(password: str, ssid: bytes, *, is_key: bool) -> bytes:
    # Never shown: the errors lie open on the card.
    if re.fullmatch(r"[0-9A-Fa-f]{64}", password):
        return bytes.fromhex(password)
    if is_key:
        raise RefusedError("is not 64 hexadecimal digits; write password_encrypted = false for a password")
    octets = password.encode()
    if len(octets) not in _PASSWORD_OCTETS or not password.isprintable():
        raise RefusedError(f"has {len(octets)} octets; write 8 to 63, or 64 hexadecimal digits")
    return hashlib.pbkdf2_hmac("sha1", octets, ssid, _ROUNDS, 32)


def _notes(file: Mapping[str, Any], source_name: str, *, has_keys: bool) -> tuple[str, ...]:
    notes = [f"{source_name}: {table}: {why}" for table, why in _IGNORED.items() if table in file]
    unknown = sorted(file.keys() - {"config_version", "debug", *_TABLES})
    notes += [f"{source_name}: {shortened(label)}: ignored: not known" for label in unknown[:10]]
    ssh = file.get("ssh", {})
    if ssh.get("enabled") is True and not has_keys:
        notes.append(f"{source_name}: ssh.authorized_keys: there is none, so SSH is off; add a public key")
    elif ssh.get("password_authentication") is True:
        notes.append(f"{source_name}: ssh.password_authentication: ignored: logins are by key only")
    return tuple(notes)
