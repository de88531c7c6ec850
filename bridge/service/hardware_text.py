"""What `bridge.service.hardware` found, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_UNKNOWN = "not known"
_ORIGINS = {
    "named": "the computer is the one that the configuration names",
    "model": "the computer is known by its model",
    "default": "no known computer is named, and the model tells none",
}


def as_text(report: Mapping[str, Any]) -> str:
    """Return what `collect` found, for people. No newline at the end."""
    sections = [
        ("Machine", [*_machine_text(report)]),
        ("Serial ports", [line for port in report["ports"] for line in _port_text(port)]),
        ("GPIO chips", [_chip_text(chip) for chip in report["gpio_chips"]]),
        (
            "LEDs" if report["configuration"] else "LEDs that a configuration may name",
            _leds_text(report["leds"]),
        ),
        ("Kernel LEDs", [_kernel_led_text(led) for led in report["kernel_leds"]]),
    ]
    if report["configuration"] is not None:
        sections += [
            (
                f"Lines of {report['configuration']}",
                [text for line in report["lines"] for text in _line_text(line)],
            ),
            (f"Needed in {report['config_txt']['path']}", _config_text(report["config_txt"])),
            ("Missing", report["missing"]),
        ]
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {line}" for line in lines or ["none"])]) for title, lines in sections
    )


def _machine_text(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"model: {report['model'] or f'{_UNKNOWN}; there is no device tree that tells it'}"
    for board in report["boards"]:
        verified = " ".join(filter(None, (board["verified"], board["verified_on"])))
        yield f"board: {board['name']}, {board['title']} ({verified})"
        if board["note"]:
            yield f"  {board['note']}"
    yield _ORIGINS[report["boards_from"]]


def _port_text(port: Mapping[str, Any]) -> Iterator[str]:
    usb = port["usb"]
    kind = port["kind"] or f"UART {_UNKNOWN}"
    ids = f", {usb['vendor']}:{usb['product']} {usb['title'] or ''}".rstrip() if usb else ""
    serial = f", serial number {usb['serial'] or 'none'}" if usb else ""
    yield f"{port['device']}: {kind}, driver {port['driver'] or _UNKNOWN}{ids}{serial}"
    yield f"  in bridge.toml: {port['best'] or 'no name that survives a reboot'} ({port['why_best']})"
    others = [*port["by_id"], *port["by_path"], *port["aliases"]]
    if others and others != [port["best"]]:
        yield f"  also: {', '.join(name for name in others if name != port['best'])}"
    at_boot = "; on from boot by the device tree" if port["is_rs485_at_boot"] else ""
    yield f"  RS-485 mode: {port['rs485']['text']}{at_boot}"
    yield f"  latency: {_latency_text(port)}"
    for word in port["kernel_console"]:
        yield f"  console of the kernel: {word}"
    if port["getty"]:
        yield f"  login: {port['getty']}"
    yield f"  in use by: {_users_text(port)}"


def _latency_text(port: Mapping[str, Any]) -> str:
    if port["latency_timer_ms"] is not None:
        return f"latency timer {port['latency_timer_ms']} ms"
    if port["is_low_latency"] is None:
        return f"{_UNKNOWN}; the driver does not tell"
    return f"low_latency {'on' if port['is_low_latency'] else 'off'}"


def _users_text(port: Mapping[str, Any]) -> str:
    users = ", ".join(port["users"])
    if port["are_users_known"]:
        return users or "nobody"
    hidden = "this user may not look into all processes"
    return f"{users}; perhaps others, {hidden}" if users else f"{_UNKNOWN}: {hidden}"


def _chip_text(chip: Mapping[str, Any]) -> str:
    label = f"label {chip['label']}" if chip["label"] else f"label {_UNKNOWN} without opening it"
    access = {True: "may be used", False: "this user may not use it", None: "no such file in /dev"}
    known = [chip["compatible"], chip["hardware"], access[chip["may_open"]]]
    return f"{chip['device']}: {', '.join([label, *filter(None, known)])}"


def _leds_text(leds: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        ", ".join(
            [
                f"{led['name']}: {_wiring_text(led)}",
                *(["active low"] if led["active_low"] else []),
                *led["used_by"],
            ]
        )
        + (f"; {led['problem']}" if led["problem"] else "")
        for led in leds
    ]


def _wiring_text(led: Mapping[str, Any]) -> str:
    if led["kernel"] is not None:
        return f"{led['kernel']} of the kernel"
    if led["pin"] is not None:
        return f"GPIO{led['pin']}"
    return f"red GPIO{led['red']}, green GPIO{led['green']}"


def _kernel_led_text(led: Mapping[str, Any]) -> str:
    return f"{led['name']}: trigger {led['trigger'] or _UNKNOWN}, brightness {led['brightness'] or _UNKNOWN}"


def _line_text(line: Mapping[str, Any]) -> Iterator[str]:
    there = "" if line["is_there"] else ", not there"
    real = f", which is {line['port']}" if line["port"] not in (None, line["device"]) else ""
    board = f", {line['board_port']}" if line["board_port"] else ""
    yield f"{line['name']}: {line['device']}{real}{board}, direction {line['direction']}{there}"
    if line["rests_by"]:
        yield f"  in receive while closed: {line['rests_by']}"
    yield from (f"  {note}" for note in line["notes"])


def _config_text(config_txt: Mapping[str, Any]) -> list[str]:
    state = {True: "there", False: "missing", None: f"whether it is there is {_UNKNOWN}"}
    lines = [f"{needed['line']}  ({state[needed['is_there']]})" for needed in config_txt["needed"]]
    return [*lines, *([f"the file: {config_txt['problem']}"] if config_txt["problem"] and lines else [])]
