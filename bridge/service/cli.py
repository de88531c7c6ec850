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

    check = commands.add_parser("check", help="say what is wrong with a configuration, or what it means")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(command=_check)

    demo = commands.add_parser("demo", help="run a bridge on ptys, with simulated RTUs and a live panel")
    demo.add_argument(
        "--listen", metavar="ADDRESS:PORT", default="127.0.0.1:20000", help="default: %(default)s"
    )
    demo.add_argument("--plain", action="store_true", help="plain lines, as when the output is no terminal")
    demo.set_defaults(command=_demo)

    _add_sim(commands)

    status = commands.add_parser("status", help="say what the running bridge is doing")
    status.add_argument("--json", action="store_true", help="print everything, as JSON")
    where = status.add_mutually_exclusive_group()
    where.add_argument("-c", "--config", metavar="FILE", help="the running bridge's configuration")
    where.add_argument("--socket", metavar="PATH", help="the running bridge's status socket")
    status.set_defaults(command=_status)

    decode = commands.add_parser("decode", help="turn hex or a capture file into readable frames")
    decode.add_argument(
        "source", metavar="HEX|FILE|-", nargs="+", help="hex octets, a pcap or text file, or -"
    )
    decode.add_argument("--port", type=int, help="of a capture: only this TCP or UDP port")
    decode.set_defaults(command=_decode)
    profile = commands.add_parser("profile", help="print the Device Profile of the outstations in here")
    profile.set_defaults(command=_profile)
    return parser


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


def _run(options: argparse.Namespace) -> int:
    from bridge.service.run import run

    return run(options.config)


def _check(options: argparse.Namespace) -> int:
    from bridge.service.check import describe
    from bridge.service.config import load
    from hw.board import DEFAULT_BOARD

    print(describe(load(options.file, DEFAULT_BOARD.led_pins)))
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from bridge.service.demo import demo

    return demo(options.listen, is_plain=options.plain or not sys.stdout.isatty())


def _sim(options: argparse.Namespace) -> int:
    from bridge.service.sim import example_text, sim

    if options.print_example:
        print(example_text(), end="")
        return DONE
    return sim(options.file, serial=options.serial, tcp=options.tcp)


def _profile(options: argparse.Namespace) -> int:
    from bridge.outstation.profile import device_profile

    print(device_profile(), end="")
    return DONE


def _status(options: argparse.Namespace) -> int:
    from bridge.endpoints.status import fetch
    from bridge.service.panel import print_status, readable

    path = options.socket or _status_socket(options.config)
    try:
        snapshot = readable(fetch(path))
        text = json.dumps(snapshot, indent=2) if options.json else ""
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        streams.complain(
            f"{path}: {reason}; is the bridge running, with this status socket? "
            "Name another by -c FILE or --socket PATH"
        )
        return FAILED
    if options.json:
        print(text)
    else:
        print_status(snapshot)
    return DONE


def _status_socket(config: str | None) -> str:
    from bridge.service.config import load
    from bridge.service.paths import default_status_socket
    from hw.board import DEFAULT_BOARD

    if config is None:
        return default_status_socket()
    return load(config, DEFAULT_BOARD.led_pins).service.status_socket


def _decode(options: argparse.Namespace) -> int:
    from bridge.service.captures import decode

    return decode(" ".join(options.source), sys.stdout, port=options.port)
