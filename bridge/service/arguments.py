"""The words of the command line: every command with its options, and what carries it out."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeAlias

from bridge.service import commands as do
from bridge.version import VERSION

_TOP_PERIOD_S = 1.0
_WATCH_PERIOD_S = 2.0
_SHORTEST_PERIOD_S, _LONGEST_S = 0.1, 3600.0

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; what it parses has `command`, which takes it."""
    whole = argparse.ArgumentParser(
        prog="rtu-bridge", description="DNP3 terminal server: TCP masters reach serial RTUs, frame by frame."
    )
    whole.add_argument("--version", action="version", version=f"rtu-bridge {VERSION}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in _IN_ORDER:
        add(commands)
    return whole


def _add_run(commands: _Commands) -> None:
    run = commands.add_parser("run", help="run the bridge until SIGTERM, SIGINT or SIGHUP")
    run.add_argument(
        "-c", "--config", metavar="FILE", type=_path, required=True, help="the configuration, in TOML"
    )
    run.set_defaults(command=do.run_command)


def _add_unconfigured(commands: _Commands) -> None:
    unconfigured = commands.add_parser(
        "unconfigured", help="show by the system LED that there is no configuration, until a signal"
    )
    unconfigured.set_defaults(command=do.unconfigured_command)


def _add_check(commands: _Commands) -> None:
    check = commands.add_parser("check", help="say what is wrong with a configuration, or what it means")
    check.add_argument("file", metavar="FILE", type=_path)
    check.set_defaults(command=do.check_command)


def _add_hardware(commands: _Commands) -> None:
    hardware = commands.add_parser(
        "hardware",
        help="say what ports, GPIO and LEDs this machine has, and what a configuration needs of it",
        description="Opens each serial port for a moment to ask its driver; touches no pin.",
    )
    hardware.add_argument(
        "-c", "--config", metavar="FILE", type=_path, help="say also what it needs and what is missing"
    )
    hardware.add_argument("--json", action="store_true", help="print everything, as JSON")
    hardware.set_defaults(command=do.hardware_command)


def _add_loopback(commands: _Commands) -> None:
    loopback = commands.add_parser(
        "loopback",
        help="test a port with a jumper, or two that are connected to each other",
        description="Sends patterns at several rates and compares what comes back. Stop the bridge first.",
    )
    loopback.add_argument(
        "port", metavar="PORT", type=_path, help="with TX and RX connected; or one end of a cable"
    )
    loopback.add_argument("other", metavar="PORT2", type=_path, nargs="?", help="the other end")
    loopback.add_argument(
        "--baud", metavar="N[,N...]", default="", help="such as 9600,19200; default: five rates"
    )
    loopback.add_argument("--direction", choices=("automatic", "rs485"), default="automatic")
    loopback.set_defaults(command=do.loopback_command)


def _add_demo(commands: _Commands) -> None:
    demo = commands.add_parser("demo", help="run a bridge on ptys, with simulated RTUs and a live panel")
    demo.add_argument(
        "--listen", metavar="ADDRESS:PORT", default="127.0.0.1:20000", help="default: %(default)s"
    )
    demo.add_argument("--plain", action="store_true", help="plain lines, as when the output is no terminal")
    demo.set_defaults(command=do.demo_command)


def _add_sim(commands: _Commands) -> None:
    sim = commands.add_parser("sim", help="run simulated RTUs on a pty, a serial port or TCP")
    sim.add_argument(
        "file", metavar="FILE", type=_path, nargs="?", help="the RTUs, in TOML; default: an example"
    )
    where = sim.add_mutually_exclusive_group()
    where.add_argument("--serial", metavar="DEVICE[:BAUD]", help="on a serial port; 9600 baud by default")
    where.add_argument(
        "--pty", action="store_true", help="on a fresh pty, whose path is printed (the default)"
    )
    where.add_argument("--tcp", metavar="ADDRESS:PORT", help="as a TCP server")
    where.add_argument("--print-example", action="store_true", help="print the example file and do nothing")
    sim.set_defaults(command=do.sim_command)


def _add_wire(commands: _Commands) -> None:
    wire = commands.add_parser("wire", help="make a serial line of ptys, at a baud rate, with faults")
    wire.add_argument("--baud", type=int, default=9600, metavar="N", help="0 takes no time; default: 9600")
    wire.add_argument("--rtus", type=int, default=1, metavar="N", help="default: %(default)s")
    wire.add_argument(
        "--device", metavar="PATH", type=_path, help="where the bridge finds it; default: a fresh folder"
    )
    wire.add_argument("--echo", action="store_true", help="who speaks hears himself")
    wire.add_argument("--full-duplex", action="store_true", help="RS-232 or RS-422 instead of RS-485")
    wire.add_argument(
        "--noise", type=float, default=0.0, metavar="SHARE", help="of frames to be damaged, 0 to 1"
    )
    wire.add_argument("--seed", type=int, default=1, metavar="N", help="of all that is random")
    wire.set_defaults(command=do.wire_command)


def _add_status(commands: _Commands) -> None:
    status = commands.add_parser("status", help="say what the running bridge is doing")
    how = status.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print everything, as JSON")
    how.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=_period_s,
        const=_WATCH_PERIOD_S,
        help="again and again, until Ctrl-C; default: every %(const)g s",
    )
    _add_where(status)
    status.set_defaults(command=do.status_command)


def _add_top(commands: _Commands) -> None:
    top = commands.add_parser(
        "top",
        help="watch the running bridge: lines, RTUs with their LEDs, masters",
        description="A live view for a terminal; ? in it lists the keys. Elsewhere as status --watch.",
    )
    top.add_argument(
        "--every",
        dest="watch",
        metavar="SECONDS",
        type=_period_s,
        default=_TOP_PERIOD_S,
        help="ask the bridge so often; default: %(default)g",
    )
    _add_where(top)
    top.set_defaults(command=do.watch_command)


def _add_leds(commands: _Commands) -> None:
    leds = commands.add_parser("leds", help="test the LEDs of the running bridge, or find one")
    what = leds.add_subparsers(title="what to do", metavar="WHAT", required=True)
    test = what.add_parser("test", help="all LEDs on, two-coloured ones red, green and amber in turn")
    locate = what.add_parser("locate", help="let an outstation's LED flash fast, or all of them")
    locate.add_argument("outstation", metavar="NAME", nargs="?", help="default: all LEDs")
    for each, request, usual_s in ((test, "lamp_test", 3), (locate, "locate", 60)):
        each.add_argument("--seconds", metavar="N", type=_duration_s, help=f"default: {usual_s}")
        each.set_defaults(request=request)
    stop = what.add_parser("stop", help="end both before their time")
    stop.set_defaults(request="stop")
    for each in (test, locate, stop):
        _add_where(each)
        each.set_defaults(command=do.leds_command)


def _add_capture(commands: _Commands) -> None:
    capture = commands.add_parser(
        "capture", help="give out what the running bridge recorded, as pcapng for Wireshark"
    )
    how = capture.add_mutually_exclusive_group()
    how.add_argument("--follow", action="store_true", help="and what it records from now on, until Ctrl-C")
    how.add_argument("--write", action="store_true", help="let the bridge write it into recorder.folder")
    capture.add_argument(
        "-o", "--output", metavar="FILE", type=_path, help="default: standard output; not with --write"
    )
    _add_where(capture)
    capture.set_defaults(command=do.capture_command)


def _add_decode(commands: _Commands) -> None:
    decode = commands.add_parser("decode", help="turn hex or a capture file into readable frames")
    decode.add_argument(
        "source", metavar="HEX|FILE|-", nargs="+", help="hex octets, a pcap, pcapng or text file, or -"
    )
    decode.add_argument("--port", type=int, help="of a capture: only this TCP or UDP port")
    decode.set_defaults(command=do.decode_command)


def _add_points(commands: _Commands) -> None:
    points = commands.add_parser("points", help="print the points of the appliance's own outstation")
    points.add_argument(
        "-c", "--config", metavar="FILE", type=_path, help="of this configuration; default: of any"
    )
    points.add_argument("--csv", action="store_true", help="for a SCADA system to import; needs -c")
    points.set_defaults(command=do.points_command)


def _add_profile(commands: _Commands) -> None:
    profile = commands.add_parser("profile", help="print the Device Profile of the outstations in here")
    profile.set_defaults(command=do.profile_command)


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-c", "--config", metavar="FILE", type=_path, help="the running bridge's configuration"
    )
    where.add_argument("--socket", metavar="PATH", type=_path, help="the running bridge's status socket")


def _path(text: str) -> str:
    # What a shell makes of a variable that is not set must not be the default.
    if not text:
        raise argparse.ArgumentTypeError("is empty; write a path")
    return text


def _duration_s(text: str) -> float:
    return _seconds(text, lambda s: 0 < s <= _LONGEST_S, f"above 0 and at most {_LONGEST_S:g}")


def _period_s(text: str) -> float:
    return _seconds(
        text,
        lambda s: _SHORTEST_PERIOD_S <= s <= _LONGEST_S,
        f"from {_SHORTEST_PERIOD_S:g} to {_LONGEST_S:g}",
    )


def _seconds(text: str, is_right: Callable[[float], bool], which: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    # Also what is no number: it is in no range.
    if not is_right(seconds):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write seconds {which}")
    return seconds


_IN_ORDER = (
    _add_run,
    _add_unconfigured,
    _add_check,
    _add_hardware,
    _add_loopback,
    _add_demo,
    _add_sim,
    _add_wire,
    _add_status,
    _add_top,
    _add_leds,
    _add_capture,
    _add_decode,
    _add_points,
    _add_profile,
)
"""As `--help` lists them."""
