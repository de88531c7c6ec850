"""A configuration's text, table by table.

What every bridge of a test has stands here; a test names what matters to it.
"""

from __future__ import annotations

import json


def table(header: str, **values: object) -> str:
    """Return a table with its keys: `table("[button]", pin=20)`."""
    # TOML writes strings, numbers, booleans and arrays of these as JSON does.
    return "\n".join([header, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


def service(**keys: object) -> str:
    """Return `[service]` with mock pins. `tests.support.sites.running` puts a socket for `@socket@`."""
    return table("[service]", **{"status_socket": "@socket@", "gpio": "mock", **keys})


def server(name: str = "main", **keys: object) -> str:
    """Return a server that listens on a port that is free."""
    return table(f"[server.{name}]", **{"listen": "127.0.0.1:0", **keys})


def line(name: str, device: object, **keys: object) -> str:
    """Return a line of 115200 baud."""
    return table(f"[line.{name}]", **{"device": str(device), "baud": 115200, **keys})


def outstation(
    name: str, link_address: int, line: str = "bay1", master: str = "127.0.0.1", **keys: object
) -> str:
    """Return an outstation on a line, for one master on the server "main"."""
    where = {"server": "main", "masters": [master], "line": line, "link_address": link_address}
    return table("[[outstation]]", **{"name": name, **where, **keys})


def appliance(name: str, link_address: int, master: str = "127.0.0.1", **keys: object) -> str:
    """Return an outstation that is the appliance itself, for one master on the server "main"."""
    where = {"server": "main", "masters": [master], "local": "appliance", "link_address": link_address}
    return table("[[outstation]]", **{"name": name, **where, **keys})


def two_lines(device: object, **keys: object) -> str:
    """Return a server and two lines.

    `bay1` is at `device`, with these keys: "pole-12", with an LED, and "pole-14", which is disabled.
    `bay2` has no device: "pole-13".
    """
    return (
        server()
        + line("bay1", device, **keys)
        + line("bay2", "/dev/nonesuch")
        + outstation("pole-12", 12, led="led1")
        + outstation("pole-13", 13, "bay2")
        + outstation("pole-14", 14, master="127.0.0.2", enabled=False)
    )
