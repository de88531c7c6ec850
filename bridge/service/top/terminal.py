"""A terminal as a screen of its own with keys, and given back as it was whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from rich.text import Text

from bridge.service.top import keyboard
from bridge.service.top.view import Size, Still
from bridge.service.views.panel import plain_console

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, without a cursor, and without line breaks of its own."""
_LEAVE: Final = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_CLEAR: Final = "\x1b[0m\x1b[2J"
_INPUT_MODES: Final = 0
"""Where these are in what termios gives."""
_LONGEST_READ: Final = 4096
_USUAL_SIZE: Final = Size(80, 24)
_SUBSTITUTES: Final = str.maketrans("●○…↑↓←→", "*o~^v<>")


class Terminal:
    """Draws pictures on standard output, and reads keys from standard input should that be a terminal too."""

    def __init__(self) -> None:
        self._console = plain_console()
        self._keyboard = keyboard.Keyboard()
        self._has_keys = sys.stdin.isatty()
        self._modes: list[Any] | None = None
        self._shown: tuple[Still, ...] = ()
        self._size = _USUAL_SIZE
        self._is_to_stop = self._is_to_enter = False
        self._is_to_clear = True
        self._substitutes = {} if _can_print("●○…↑", self._console.encoding) else _SUBSTITUTES

    @contextlib.contextmanager
    def taken(self) -> Iterator[Terminal]:
        """Have the terminal for the block, and give it back however that ends."""
        try:
            # Inside: a signal in the middle must not leave it without a cursor.
            with _noticed({signal.SIGTSTP: self._stop, signal.SIGCONT: self._continue}):
                self._enter()
                yield self
        finally:
            self._leave()

    @property
    def size(self) -> Size:
        """How large it is now."""
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return self._size
        # A serial console says nothing of its size.
        return Size(columns or _USUAL_SIZE.columns, rows or _USUAL_SIZE.rows)

    def keys(self, within_s: float) -> list[str]:
        """Wait so long for keys, and return them. A terminal that is gone presses what ends the program."""
        self._attend()
        if not self._has_keys:
            select.select([], [], [], within_s)
            return []
        if not select.select([sys.stdin], [], [], within_s)[0]:
            return self._keyboard.pause()
        try:
            octets = os.read(sys.stdin.fileno(), _LONGEST_READ)
        except OSError:
            octets = b""
        pressed = self._keyboard.keys(octets) if octets else [keyboard.INTERRUPT]
        self._is_to_clear |= keyboard.REDRAW in pressed
        return pressed

    def draw(self, rows: tuple[Still, ...], size: Size) -> None:
        """Show a picture that was made for a size. Only what changed is sent."""
        if self._is_to_clear or size != self._size:
            self._is_to_clear = False
            self._size = size
            self._shown = ()
            self._send(_CLEAR)
        changed = "".join(
            self._changes(at, row, self._shown[at] if at < len(self._shown) else ())
            for at, row in enumerate(rows)
        )
        self._shown = rows
        if changed:
            self._send(changed)

    def _changes(self, at: int, row: Still, before: Still) -> str:
        if row is before:
            return ""
        is_alike = [each.cell_len for each in row] == [each.cell_len for each in before]
        sent, column = [], 1
        for number, piece in enumerate(row):
            if not (is_alike and _is_same(piece, before[number])):
                with self._console.capture() as capture:
                    self._console.print(piece, end="", soft_wrap=True)
                sent.append(f"\x1b[{at + 1};{column}H{capture.get()}")
            column += piece.cell_len
        return "".join(sent)

    def _send(self, text: str) -> None:
        # Not through a buffer: what a signal interrupts must not come out behind what gives the screen back.
        octets = text.translate(self._substitutes).encode(self._console.encoding, "replace")
        while octets:
            octets = octets[os.write(sys.stdout.fileno(), octets) :]

    def _enter(self) -> None:
        if self._has_keys:
            if self._modes is None:
                self._modes = termios.tcgetattr(sys.stdin)
            # Ctrl-C stays a signal: it ends the program also while that is waiting for something.
            # Not so Ctrl-S: nothing more could be written then, not even what gives the screen back.
            tty.setcbreak(sys.stdin, termios.TCSANOW)
            modes = termios.tcgetattr(sys.stdin)
            modes[_INPUT_MODES] &= ~termios.IXON
            termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)
        self._is_to_clear = True
        self._send(_ENTER)

    def _leave(self) -> None:
        # One that is gone needs nothing back; and the modes are as important as the screen.
        if self._modes is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcflush(sys.stdin, termios.TCIFLUSH)
                termios.tcsetattr(sys.stdin, termios.TCSANOW, self._modes)
        with contextlib.suppress(OSError):
            self._send(_LEAVE)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_to_stop = True

    def _continue(self, number: int, frame: FrameType | None) -> None:
        # Whoever had the terminal meanwhile may have left it in any state.
        self._is_to_enter = True

    def _attend(self) -> None:
        """Do what signals asked for, where nothing is half done."""
        if self._is_to_stop:
            self._is_to_stop = False
            self._leave()
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._is_to_enter:
            self._is_to_enter = False
            self._enter()


def _is_same(one: Text, other: Text) -> bool:
    return one is other or (one == other and one.style == other.style)


def _can_print(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


@contextlib.contextmanager
def _noticed(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
