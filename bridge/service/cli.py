"""The command `rtu-bridge`. Exit status: 0 done, 1 failed while running, 2 wrong usage or configuration."""

from __future__ import annotations

import argparse
import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bridge.errors import ConfigurationError, LineError
from bridge.service import streams
from bridge.service.arguments import parser
from bridge.service.commands import DONE, FAILED, WRONG

_SHOWN_PROBLEMS = 100
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    streams.make_usable()
    with _interrupt_ends():
        try:
            return _run_command(arguments)
        except ConfigurationError as error:
            _complain_of(error.problems)
            return WRONG
        except LineError as error:
            streams.complain(f"rtu-bridge: {error.strerror}")
            return FAILED
        except OSError as error:
            return _status_of(error)
        except KeyboardInterrupt:
            return DONE


def _run_command(arguments: Sequence[str] | None) -> int:
    try:
        options = parser().parse_args(arguments)
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
    """Return the exit status where there was no room, or an output was refused; any other error is a bug."""
    if streams.is_reader_gone(error):
        # Whoever read us (head, less) has seen enough.
        streams.silence(sys.stdout)
        return DONE
    if not streams.is_output_refused(error):
        if error.errno not in _NO_ROOM:
            raise error
        streams.complain(
            f"rtu-bridge: the system gives no more: {error.strerror}; raise its limit (ulimit -a)"
        )
        return FAILED
    streams.silence(sys.stdout)
    streams.complain(f"rtu-bridge: cannot write the output: {error.strerror}")
    return FAILED
