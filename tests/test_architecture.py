"""Who may import whom, held over the syntax trees. "How data flows" in the README draws the same picture."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("bridge/**/*.py"), *ROOT.glob("hw/**/*.py")])

MAY_IMPORT = {
    "errors": set(),
    "version": set(),
    "link": {"errors"},
    "application": {"errors"},
    "transport": {"errors", "link"},
    "recording": {"errors", "link"},
    "outstation": {"errors", "link", "transport", "application"},
    # The router and the turns read a fragment's first octets: its transport and application headers.
    "routing": {"errors", "link", "transport", "application"},
    "endpoints": {"errors", "link", "transport", "application", "recording", "routing", "outstation"},
    "service": {
        "errors",
        "version",
        "link",
        "transport",
        "application",
        "recording",
        "routing",
        "outstation",
        "endpoints",
        "bench",  # one of the commands
    },
    "bench": {
        "errors",
        "version",
        "link",
        "transport",
        "application",
        "routing",
        "outstation",
        "endpoints",
    },
    "__init__": {"errors", "version", "link", "application", "outstation", "endpoints"},
    "__main__": {"service"},
}
PURE = {"errors", "version", "link", "transport", "application", "recording", "routing", "outstation"}
IMPURE_MODULES = {
    "asyncio",
    "socket",
    "time",
    "logging",
    "threading",
    "os",
    "io",
    "pathlib",
    "serial",
    "select",
}
ONLY_IN = {
    "serial": {"bridge/endpoints/serial_port.py"},
    "serial_asyncio": {"bridge/endpoints/serial_port.py"},
    "gpiozero": {"hw/pins.py", "hw/gpiod_factory.py"},
    "gpiod": {"hw/gpiod_factory.py"},
    "lgpio": set(),  # hw/pins.py imports it by its name where it is wanted
    "hw": {
        "bridge/service/build.py",
        "bridge/service/front/front_panel.py",
        "bridge/service/front/unconfigured.py",
        "bridge/service/commands.py",
        "bridge/service/appliance/appliance_identity.py",
        "bridge/service/snapshot.py",
        "bridge/service/configuration/boards.py",  # the boards' data, and pure functions of it
        "bridge/service/hardware.py",
        "bridge/service/top/lamp.py",  # the LEDs' patterns, which are data
    },
    "rich": {
        "bridge/service/views/line_tables.py",
        "bridge/service/views/outstation_tables.py",
        "bridge/service/views/panel.py",
        "bridge/service/views/tables.py",
        "bridge/service/top/columns.py",
        "bridge/service/top/details.py",
        "bridge/service/top/guide.py",
        "bridge/service/top/items.py",
        "bridge/service/top/lamp.py",
        "bridge/service/top/line_items.py",
        "bridge/service/top/master_items.py",
        "bridge/service/top/outstation_items.py",
        "bridge/service/top/site.py",
        "bridge/service/top/terminal.py",
        "bridge/service/top/view.py",
        "bridge/service/views/watch.py",
    },
    "prometheus_client": {"bridge/service/monitoring/exposition.py"},
    "dpkt": {"bridge/service/recordings/conversations.py"},
    "fastcrc": {"bridge/link/crc.py"},
    "pytest": {"bridge/bench/plugin.py"},
}
# Of hw: values and what computes on them. Time is an argument here too.
PURE_HW = {
    "hw/assembly.py",
    "hw/board.py",
    "hw/boards.py",
    "hw/colour.py",
    "hw/debounce.py",
    "hw/gesture.py",
    "hw/outputs.py",
    "hw/problems.py",
    "hw/wiring.py",
}


def imports(path: Path) -> set[str]:
    """Return the dotted names of every module that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(path: Path) -> str:
    parts = path.relative_to(ROOT / "bridge").parts
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    imported = imports(path)
    roots = {dotted.partition(".")[0] for dotted in imported}
    for module, homes in ONLY_IN.items():
        if module in roots and not (module == "hw" and name.startswith("hw/")):
            assert name in homes, f"{name} imports {module}; only {homes} may"
    if name.startswith("hw/"):
        assert "bridge" not in roots, f"{name}: hw knows nothing of the bridge"
        if name in PURE_HW:
            assert not roots & IMPURE_MODULES, f"{name} is pure: no {roots & IMPURE_MODULES}"
        return
    own = layer(path)
    used = {dotted.split(".")[1] for dotted in imported if dotted.startswith("bridge.")}
    assert used - {own} <= MAY_IMPORT[own], f"{name}: {own} may import {MAY_IMPORT[own]}"
    if own in PURE:
        assert not roots & IMPURE_MODULES, f"{name} is sans-I/O: no {roots & IMPURE_MODULES}"


def test_every_layer_has_a_rule() -> None:
    assert {layer(path) for path in MODULES if path.is_relative_to(ROOT / "bridge")} <= set(MAY_IMPORT)
