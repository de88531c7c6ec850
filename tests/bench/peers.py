"""One row per bridge: how to find it, how to start it. A new peer is a function and a row."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import rig
from tests.bench.frames import RTU

BAUD = 115_200


@dataclass(frozen=True, slots=True)
class Site:
    """Where a bridge runs: TCP ports and their serial devices, a directory for its files, the C programs."""

    lines: tuple[tuple[int, str], ...]
    directory: Path
    programs: Path

    @property
    def line(self) -> tuple[int, str]:
        """The only line, for a bridge that serves one."""
        (line,) = self.lines
        return line


@dataclass(frozen=True, slots=True)
class Peer:
    """`missing()` says why it cannot run here (None: it can); `command(site)` writes its files and starts it.

    A peer without a command is the bare pty.
    """

    key: str
    label: str
    missing: Callable[[], str | None]
    command: Callable[[Site], list[str]] | None
    version: Callable[[], str]


def _present() -> str | None:
    return None


def _no_version() -> str:
    return ""


def _program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"{name} is not installed"


def _says(pattern: str, *command: str) -> Callable[[], str]:
    """The word after `pattern` in what the command prints."""

    def version() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        words = (done.stdout + done.stderr).partition(pattern)[2].split()
        return words[0] if words else ""

    return version


# ---------------------------------------------------------------------------------------------- ours


def _ours_missing() -> str | None:
    found = importlib.util.find_spec("bridge.__main__")
    return None if found else "bridge/__main__.py is not there"


def _ours_version() -> str:
    from bridge.version import VERSION

    return VERSION


def _ours(site: Site) -> list[str]:
    return _ours_with(site, "")


def _ours_unrecorded(site: Site) -> list[str]:
    return _ours_with(site, "[recorder]\nenabled = false\n")


def _ours_with_metrics(site: Site) -> list[str]:
    return _ours_with(site, f'[metrics]\nlisten = "{rig.LOOPBACK}:0"\n')


def _ours_with(site: Site, settings: str) -> list[str]:
    config = site.directory / "bridge.toml"
    head = f"""\
[service]
status_socket = "{site.directory}/status.sock"
log_level = "warning"
gpio = "none"
"""
    lines = [_our_line(number, *line) for number, line in enumerate(site.lines)]
    config.write_text("".join([head, *lines, settings]))
    return [sys.executable, "-m", "bridge", "run", "-c", str(config)]


def _our_line(number: int, port: int, device: str) -> str:
    return f"""\
[server.main{number}]
listen = "{rig.LOOPBACK}:{port}"
[line.bay{number}]
device = "{device}"
baud = {BAUD}
[[outstation]]
name = "rtu{number}"
server = "main{number}"
masters = ["any"]
line = "bay{number}"
link_address = {RTU}
"""


# ---------------------------------------------------------------------------------------------- the others


def _c_bridge(site: Site) -> list[str]:
    return [str(site.programs / "epoll_bridge"), *(str(part) for line in site.lines for part in line)]


def _socat(site: Site) -> list[str]:
    port, device = site.line
    return [
        "socat",
        f"TCP-LISTEN:{port},bind={rig.LOOPBACK},reuseaddr,nodelay",
        f"OPEN:{device},raw,echo=0",
    ]


def _ser2net(site: Site, accepter: str, options: str) -> list[str]:
    config = site.directory / "ser2net.yaml"
    connections = [
        f"""\
connection: &rtu{number}
  accepter: {accepter},{rig.LOOPBACK},{port}
  enable: on
  options: {{{options}}}
  connector: serialdev(nouucplock=true),{device},{BAUD}n81,local
"""
        for number, (port, device) in enumerate(site.lines)
    ]
    config.write_text("".join(["%YAML 1.1\n---\n", *connections]))
    return ["ser2net", "-n", "-c", str(config)]


def _ser2net_tuned(site: Site) -> list[str]:
    return _ser2net(site, "tcp(nodelay=true)", "kickolduser: true, chardelay: false")


def _ser2net_shipped(site: Site) -> list[str]:
    """The options of Debian's /etc/ser2net.yaml, banner and all."""
    banner = r"banner: '\r\nser2net port \p device \d [\B] (Debian GNU/Linux)\r\n\r\n'"
    return _ser2net(site, "tcp", f"{banner}, kickolduser: true, telnet-brk-on-sync: true")


_SER2NET_VERSION = _says("version", "ser2net", "-v")

PEERS: dict[str, Peer] = {
    peer.key: peer
    for peer in (
        Peer("pty", "pty alone", _present, None, _no_version),
        Peer("c", "C epoll bridge", _present, _c_bridge, _no_version),
        Peer("socat", "socat", _program("socat"), _socat, _says("socat version", "socat", "-V")),
        Peer("ours", "RTU Bridge", _ours_missing, _ours, _ours_version),
        Peer("ours-unrecorded", "RTU Bridge, recorder off", _ours_missing, _ours_unrecorded, _ours_version),
        Peer("ours-metrics", "RTU Bridge, metrics on", _ours_missing, _ours_with_metrics, _ours_version),
        Peer("ser2net", "ser2net, tuned", _program("ser2net"), _ser2net_tuned, _SER2NET_VERSION),
        Peer(
            "ser2net-shipped",
            "ser2net, as shipped",
            _program("ser2net"),
            _ser2net_shipped,
            _SER2NET_VERSION,
        ),
    )
}
