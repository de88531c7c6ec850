"""What each command does with its options. Each returns the exit status.

The modules of a command are imported when it is called: `status` need not wait for what `run` needs.
"""

from __future__ import annotations

import argparse
import json
import sys

from bridge.service import streams

DONE, FAILED, WRONG = 0, 1, 2
"""Exit status: done, failed while running, wrong usage or configuration."""


def run_command(options: argparse.Namespace) -> int:
    """Run the bridge."""
    from bridge.service.run import run

    return run(options.config)


def unconfigured_command(_options: argparse.Namespace) -> int:
    """Show that there is no configuration."""
    from bridge.service.front.unconfigured import show

    return show()


def check_command(options: argparse.Namespace) -> int:
    """Say what a configuration means."""
    from bridge.service.configuration.check import describe
    from bridge.service.configuration.config import load
    from hw.board import DEFAULT_BOARD

    print(describe(load(options.file, DEFAULT_BOARD.led_pins)))
    return DONE


def hardware_command(options: argparse.Namespace) -> int:
    """Say what the machine has."""
    from bridge.service.configuration.config import load
    from bridge.service.hardware import collect
    from bridge.service.hardware_text import as_text
    from hw.board import DEFAULT_BOARD

    configuration = load(options.config, DEFAULT_BOARD.led_pins) if options.config is not None else None
    report = collect(configuration)
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return DONE


def loopback_command(options: argparse.Namespace) -> int:
    """Test a port, or two."""
    from bridge.service.loopback import loopback, rates_of

    try:
        rates = rates_of(options.baud)
    except ValueError as error:
        streams.complain(f"rtu-bridge loopback: --baud: {error}")
        return WRONG
    return loopback(options.port, options.other, rates=rates, direction=options.direction)


def demo_command(options: argparse.Namespace) -> int:
    """Run the demonstration."""
    from bridge.service.simulation.demo import demo

    return demo(options.listen, is_plain=options.plain or not streams.is_screen())


def sim_command(options: argparse.Namespace) -> int:
    """Run simulated RTUs."""
    from bridge.service.simulation.sim import example_text, sim

    if options.print_example:
        print(example_text(), end="")
        return DONE
    return sim(options.file, serial=options.serial, tcp=options.tcp)


def wire_command(options: argparse.Namespace) -> int:
    """Run a serial line of ptys."""
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


def points_command(options: argparse.Namespace) -> int:
    """Print the point map."""
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


def profile_command(options: argparse.Namespace) -> int:
    """Print the Device Profile."""
    from bridge.outstation.profile import device_profile

    print(device_profile(), end="")
    return DONE


def status_command(options: argparse.Namespace) -> int:
    """Print the status."""
    from bridge.endpoints.status import fetch
    from bridge.service.views.no_status import NO_STATUS
    from bridge.service.views.panel import print_status, readable

    if options.watch is not None:
        return watch_command(options)
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


def watch_command(options: argparse.Namespace) -> int:
    """Show the status again and again."""
    from bridge.service.views.watch import watch

    watch(options.socket or _status_socket(options.config), options.watch)
    return DONE


def leds_command(options: argparse.Namespace) -> int:
    """Ask the running bridge for something of its LEDs."""
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


def capture_command(options: argparse.Namespace) -> int:
    """Give out what was recorded."""
    from bridge.service.recordings.capture import capture, write

    path = options.socket or _status_socket(options.config)
    if options.write and options.output is not None:
        streams.complain("rtu-bridge capture: --write names its file itself; leave -o out")
        return WRONG
    if options.write:
        return write(path)
    return capture(path, output=options.output, is_following=options.follow)


def decode_command(options: argparse.Namespace) -> int:
    """Print frames in words."""
    from bridge.service.recordings.captures import decode

    return decode(" ".join(options.source), sys.stdout, port=options.port)


def _status_socket(config: str | None) -> str:
    from bridge.service.configuration.config import load
    from bridge.service.paths import default_status_socket, status_socket_to_ask
    from hw.board import DEFAULT_BOARD

    if config is None:
        return status_socket_to_ask()
    named = load(config, DEFAULT_BOARD.led_pins).service.status_socket
    # Where the file says nothing, the service may be meant and not a bridge of this user's own.
    return status_socket_to_ask() if named == default_status_socket() else named
