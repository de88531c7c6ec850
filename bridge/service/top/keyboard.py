"""Octets of a terminal become keys. Pure: a sequence that arrives in pieces is put together here."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

UP, DOWN, LEFT, RIGHT = "up", "down", "left", "right"
PAGE_UP, PAGE_DOWN, HOME, END = "page up", "page down", "home", "end"
TAB, BACK_TAB, ENTER, ESCAPE, BACKSPACE = "tab", "back tab", "enter", "escape", "backspace"
INTERRUPT, REDRAW = "interrupt", "redraw"

_CONTROLS: Final = {
    "\x03": INTERRUPT,
    "\x08": BACKSPACE,
    "\t": TAB,
    "\n": ENTER,
    "\x0c": REDRAW,
    "\r": ENTER,
    "\x7f": BACKSPACE,
}
# What xterm, the Linux console, screen, tmux and PuTTY send, in both cursor modes.
_SEQUENCES: Final = {
    "[A": UP,
    "OA": UP,
    "[B": DOWN,
    "OB": DOWN,
    "[C": RIGHT,
    "OC": RIGHT,
    "[D": LEFT,
    "OD": LEFT,
    "[H": HOME,
    "OH": HOME,
    "[1~": HOME,
    "[7~": HOME,
    "[F": END,
    "OF": END,
    "[4~": END,
    "[8~": END,
    "[5~": PAGE_UP,
    "[6~": PAGE_DOWN,
    "[Z": BACK_TAB,
    "OM": ENTER,
}
_WHOLE: Final = re.compile(r"\[[0-?]*[ -/]*[@-~]|O[ -~]")
_BEGUN: Final = re.compile(r"(\[[0-?]*[ -/]*|O)?")
_LONGEST_SEQUENCE: Final = 32


class Keyboard:
    """Turns what was read into keys: names of this module, or one printable character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._rest = ""

    def keys(self, octets: bytes) -> list[str]:
        """Return the keys that these octets complete."""
        return list(self._keys(self._rest + self._decoder.decode(octets)))

    def pause(self) -> list[str]:
        """Return the key that is complete because nothing followed: Escape is how other keys begin."""
        rest, self._rest = self._rest, ""
        return [ESCAPE] if rest else []

    def _keys(self, text: str) -> Iterator[str]:
        at, self._rest = 0, ""
        while at < len(text):
            character = text[at]
            at += 1
            if character != "\x1b":
                yield from _plain(character)
            elif whole := _WHOLE.match(text, at):
                at = whole.end()
                # A key that we have no name for is no key.
                yield from filter(None, [_SEQUENCES.get(whole[0])])
            elif _BEGUN.fullmatch(text, at) and len(text) - at < _LONGEST_SEQUENCE:
                self._rest = text[at - 1 :]
                return
            else:
                yield ESCAPE


def _plain(character: str) -> Iterator[str]:
    if character in _CONTROLS:
        yield _CONTROLS[character]
    elif character.isprintable():
        yield character
