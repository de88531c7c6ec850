"""The command `rtu-bridge`. Exit status: 0 done, 1 failed while running, 2 wrong usage or configuration."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bridge.errors import ConfigurationError
from bridge.service import streams
from bridge.version import VERSION

DONE, FAILED, WRONG = 0, 1, 2
_SHOWN_PROBLEMS = 100
_TOP_PERIOD_S = 1.0
_WATCH_PERIOD_S, _SHORTEST_WATCH_S, _LONGEST_WATCH_S = 2.0, 0.1, 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    streams.make_usable()
    with _interrupt_ends():
        try:
            return _run_command(arguments)
        except ConfigurationError as error:
            _complain_of(error.problems)
            return WRONG
        except OSError as error:
            return _status_of(error)
        except KeyboardInterrupt:
            return DONE


def _run_command(arguments: Sequence[str] | None) -> int:
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    finally:
        # Here, not at exit, where an output that takes nothing would be a traceback; also after --help.
        sys.stdout.flush()


@contextmanager
def _interrupt_ends() -> Iterator[None]:
    """Let SIGINT end the program as it ends others, without a traceback. A loop that runs has its own way."""
    is_ours = threading.current_thread() is threading.main_thread()
    # Ignored it stays ignored: a shell does that to what it starts in the background.
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _complain_of(problems: Sequence[str]) -> None:
    more = len(problems) - _SHOWN_PROBLEMS
    rest = [f"... and {more} more problems"] if more > 0 else []
    streams.complain("\n".join([*problems[:_SHOWN_PROBLEMS], *rest]))


def _status_of(error: OSError) -> int:
    """Return the exit status after an output that could not be written; any other error is a bug."""
    if streams.is_reader_gone(error):
        # Whoever read us (head, less) has seen enough.
        streams.silence(sys.stdout)
        return DONE
    if not streams.is_output_refused(error):
        raise error
    streams.silence(sys.stdout)
    streams.complain(f"rtu-bridge: cannot write the output: {error.strerror}")
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rtu-bridge", description="DNP3 terminal server: TCP masters reach serial RTUs, frame by frame."
    )
    parser.add_argument("--version", action="version", version=f"rtu-bridge {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="run the bridge until SIGTERM, SIGINT or SIGHUP")
    run.add_argument("-c", "--config", metavar="FILE", required=True, help="the configuration, in TOML")
    run.set_defaults(command=_run)

    unconfigured = commands.add_parser(
        "unconfigured", help="show by the system LED that there is no configuration, until a signal"
    )
    unconfigured.set_defaults(command=_unconfigured)

    check = commands.add_parser("check", help="say what is wrong with a configuration, or what it means")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(command=_check)

    _add_hardware(commands)
    _add_loopback(commands)

    demo = commands.add_parser("demo", help="run a bridge on ptys, with simulated RTUs and a live panel")
    demo.add_argument(
        "--listen", metavar="ADDRESS:PORT", default="127.0.0.1:20000", help="default: %(default)s"
    )
    demo.add_argument("--plain", action="store_true", help="plain lines, as when the output is no terminal")
    demo.set_defaults(command=_demo)

    _add_sim(commands)
    _add_wire(commands)

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
    status.set_defaults(command=_status)

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
    top.set_defaults(command=_watch)

    _add_leds(commands)

    _add_capture(commands)

    decode = commands.add_parser("decode", help="turn hex or a capture file into readable frames")
    decode.add_argument(
        "source", metavar="HEX|FILE|-", nargs="+", help="hex octets, a pcap or text file, or -"
    )
    decode.add_argument("--port", type=int, help="of a capture: only this TCP or UDP port")
    decode.set_defaults(command=_decode)
    points = commands.add_parser("points", help="print the points of the appliance's own outstation")
    points.add_argument("-c", "--config", metavar="FILE", help="of this configuration; default: of any")
    points.add_argument("--csv", action="store_true", help="for a SCADA system to import; needs -c")
    points.set_defaults(command=_points)
    profile = commands.add_parser("profile", help="print the Device Profile of the outstations in here")
    profile.set_defaults(command=_profile)
    return parser


def _add_hardware(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    hardware = commands.add_parser(
        "hardware",
        help="say what ports, GPIO and LEDs this machine has, and what a configuration needs of it",
        description="Opens each serial port for a moment to ask its driver; touches no pin.",
    )
    hardware.add_argument("-c", "--config", metavar="FILE", help="say also what it needs and what is missing")
    hardware.add_argument("--json", action="store_true", help="print everything, as JSON")
    hardware.set_defaults(command=_hardware)


def _add_loopback(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    loopback = commands.add_parser(
        "loopback",
        help="test a port with a jumper, or two that are connected to each other",
        description="Sends patterns at several rates and compares what comes back. Stop the bridge first.",
    )
    loopback.add_argument("port", metavar="PORT", help="with TX and RX connected; or one end of a cable")
    loopback.add_argument("other", metavar="PORT2", nargs="?", help="the other end")
    loopback.add_argument(
        "--baud", metavar="N[,N...]", default="", help="such as 9600,19200; default: five rates"
    )
    loopback.add_argument("--direction", choices=("automatic", "rs485"), default="automatic")
    loopback.set_defaults(command=_loopback)


def _loopback(options: argparse.Namespace) -> int:
    from bridge.service.loopback import loopback, rates_of

    try:
        rates = rates_of(options.baud)
    except ValueError as error:
        streams.complain(f"rtu-bridge loopback: --baud: {error}")
        return WRONG
    return loopback(options.port, options.other, rates=rates, direction=options.direction)


def _add_leds(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
        each.set_defaults(command=_leds)


def _add_capture(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    capture = commands.add_parser(
        "capture", help="give out what the running bridge recorded, as pcapng for Wireshark"
    )
    how = capture.add_mutually_exclusive_group()
    how.add_argument("--follow", action="store_true", help="and what it records from now on, until Ctrl-C")
    how.add_argument("--write", action="store_true", help="let the bridge write it into recorder.folder")
    capture.add_argument("-o", "--output", metavar="FILE", help="default: standard output; not with --write")
    _add_where(capture)
    capture.set_defaults(command=_capture)


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-c", "--config", metavar="FILE", help="the running bridge's configuration")
    where.add_argument("--socket", metavar="PATH", help="the running bridge's status socket")


def _add_sim(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sim = commands.add_parser("sim", help="run simulated RTUs on a pty, a serial port or TCP")
    sim.add_argument("file", metavar="FILE", nargs="?", help="the RTUs, in TOML; default: an example")
    where = sim.add_mutually_exclusive_group()
    where.add_argument("--serial", metavar="DEVICE[:BAUD]", help="on a serial port; 9600 baud by default")
    where.add_argument(
        "--pty", action="store_true", help="on a fresh pty, whose path is printed (the default)"
    )
    where.add_argument("--tcp", metavar="ADDRESS:PORT", help="as a TCP server")
    where.add_argument("--print-example", action="store_true", help="print the example file and do nothing")
    sim.set_defaults(command=_sim)


def _add_wire(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    wire = commands.add_parser("wire", help="make a serial line of ptys, at a baud rate, with faults")
    wire.add_argument("--baud", type=int, default=9600, metavar="N", help="0 takes no time; default: 9600")
    wire.add_argument("--rtus", type=int, default=1, metavar="N", help="default: %(default)s")
    wire.add_argument("--device", metavar="PATH", help="where the bridge finds it; default: a fresh folder")
    wire.add_argument("--echo", action="store_true", help="who speaks hears himself")
    wire.add_argument("--full-duplex", action="store_true", help="RS-232 or RS-422 instead of RS-485")
    wire.add_argument(
        "--noise", type=float, default=0.0, metavar="SHARE", help="of frames to be damaged, 0 to 1"
    )
    wire.add_argument("--seed", type=int, default=1, metavar="N", help="of all that is random")
    wire.set_defaults(command=_wire)


def _wire(options: argparse.Namespace) -> int:
    from bridge.bench import BenchLine, Duplex, Noise
    from bridge.bench.shell import run_wire

    try:
        Noise(seed=options.seed, between=options.noise)
        line = BenchLine(
            baud=options.baud or None,
            rtus=options.rtus,
            device=options.device,
            echo=options.echo,
            duplex=Duplex.FULL if options.full_duplex else Duplex.HALF,
            seed=options.seed,
        )
    except ValueError as error:
        streams.complain(f"rtu-bridge wire: {error}")
        return WRONG
    return run_wire(line, noise=options.noise, seed=options.seed)


def _run(options: argparse.Namespace) -> int:
    from bridge.service.run import run

    return run(options.config)


def _unconfigured(_options: argparse.Namespace) -> int:
    from bridge.service.front.unconfigured import show

    return show()


def _check(options: argparse.Namespace) -> int:
    from bridge.service.configuration.check import describe
    from bridge.service.configuration.config import load
    from hw.board import DEFAULT_BOARD

    print(describe(load(options.file, DEFAULT_BOARD.led_pins)))
    return DONE


def _hardware(options: argparse.Namespace) -> int:
    from bridge.service.configuration.config import load
    from bridge.service.hardware import collect
    from bridge.service.hardware_text import as_text
    from hw.board import DEFAULT_BOARD

    configuration = load(options.config, DEFAULT_BOARD.led_pins) if options.config is not None else None
    report = collect(configuration)
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from bridge.service.simulation.demo import demo

    return demo(options.listen, is_plain=options.plain or not streams.is_screen())


def _sim(options: argparse.Namespace) -> int:
    from bridge.service.simulation.sim import example_text, sim

    if options.print_example:
        print(example_text(), end="")
        return DONE
    return sim(options.file, serial=options.serial, tcp=options.tcp)


def _points(options: argparse.Namespace) -> int:
    from bridge.service.appliance.point_map import blocks_of
    from bridge.service.appliance.points_text import as_csv, as_table, general_table
    from bridge.service.configuration.config import load
    from hw.board import DEFAULT_BOARD

    if options.config is None:
        if options.csv:
            streams.complain("rtu-bridge points: --csv needs a configuration; write -c FILE")
            return WRONG
        print(general_table())
        return DONE
    blocks = blocks_of(load(options.config, DEFAULT_BOARD.led_pins))
    print(as_csv(blocks) if options.csv else as_table(blocks), end="" if options.csv else "\n")
    return DONE


def _profile(options: argparse.Namespace) -> int:
    from bridge.outstation.profile import device_profile

    print(device_profile(), end="")
    return DONE


def _status(options: argparse.Namespace) -> int:
    from bridge.endpoints.status import fetch
    from bridge.service.views.no_status import NO_STATUS
    from bridge.service.views.panel import print_status, readable

    if options.watch is not None:
        return _watch(options)
    path = options.socket or _status_socket(options.config)
    try:
        snapshot = readable(fetch(path))
        text = json.dumps(snapshot, indent=2) if options.json else ""
    except NO_STATUS as error:
        streams.complain(_why_no_status(path, error, options.config))
        return FAILED
    if options.json:
        print(text)
    else:
        print_status(snapshot)
    return DONE


def _why_no_status(path: str, error: BaseException, config: str | None) -> str:
    from bridge.service.paths import SYSTEM_CONFIGURATION, configuration_problems
    from bridge.service.views.no_status import reason_of

    problems = configuration_problems(config or SYSTEM_CONFIGURATION)
    if problems:
        return "\n".join([f"{path}: {reason_of(error)}; the configuration is wrong:", *problems])
    hint = "; is the bridge running, with this status socket? Name another by -c FILE or --socket PATH"
    return f"{path}: {reason_of(error)}{'' if isinstance(error, PermissionError) else hint}"


def _watch(options: argparse.Namespace) -> int:
    from bridge.service.views.watch import watch

    watch(options.socket or _status_socket(options.config), options.watch)
    return DONE


def _leds(options: argparse.Namespace) -> int:
    from bridge.endpoints.control import ask, control_path
    from bridge.service.views.no_status import NO_STATUS, reason_of

    path = control_path(options.socket or _status_socket(options.config))
    asked = {"do": options.request}
    asked |= {key: value for key in ("seconds", "outstation") if (value := getattr(options, key, None))}
    try:
        answer = ask(path, asked)
        if not isinstance(answer.get("done"), str):
            raise ValueError(str(answer.get("error")))
    except NO_STATUS as error:
        streams.complain(f"rtu-bridge leds: {path}: {reason_of(error)}")
        return FAILED
    print(answer["done"])
    return DONE


def _capture(options: argparse.Namespace) -> int:
    from bridge.service.recordings.capture import capture, write

    path = options.socket or _status_socket(options.config)
    if options.write and options.output is not None:
        streams.complain("rtu-bridge capture: --write names its file itself; leave -o out")
        return WRONG
    if options.write:
        return write(path)
    return capture(path, output=options.output, is_following=options.follow)


def _duration_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # So written that what is no number is refused as well.
    if not 0 < seconds <= _LONGEST_WATCH_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write seconds above 0 and at most {_LONGEST_WATCH_S:g}"
        )
    return seconds


def _period_s(text: str) -> float:
    try:
        period_s = float(text)
    except ValueError:
        period_s = 0.0
    # So written that what is no number is refused as well.
    if not _SHORTEST_WATCH_S <= period_s <= _LONGEST_WATCH_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write seconds from {_SHORTEST_WATCH_S:g} to {_LONGEST_WATCH_S:g}"
        )
    return period_s


def _status_socket(config: str | None) -> str:
    from bridge.service.configuration.config import load
    from bridge.service.paths import default_status_socket, status_socket_to_ask
    from hw.board import DEFAULT_BOARD

    if config is None:
        return status_socket_to_ask()
    named = load(config, DEFAULT_BOARD.led_pins).service.status_socket
    # Where the file says nothing, the service may be meant and not a bridge of this user's own.
    return status_socket_to_ask() if named == default_status_socket() else named


def _decode(options: argparse.Namespace) -> int:
    from bridge.service.recordings.captures import decode

    return decode(" ".join(options.source), sys.stdout, port=options.port)
