"""Bridges inside a test's own event loop, on ptys and mock pins."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.service.build import Bridge
from bridge.service.configuration import config
from bridge.service.front import front_panel
from bridge.service.front.front_panel import BOARD_LEDS
from hw.colour import Colour
from hw.gpio import Panel
from hw.outputs import ColourOutput


def configuration_of(text: str) -> config.Configuration:
    """Read a configuration that must be right."""
    return config.parse(text, "bridge.toml", BOARD_LEDS)


@asynccontextmanager
async def running(text: str) -> AsyncIterator[Bridge]:
    """Run a bridge for the block; its status socket is where the text says `@socket@`."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        bridge = Bridge(configuration_of(text.replace("@socket@", str(Path(folder) / "s"))))
        await bridge.start()
        try:
            yield bridge
        finally:
            await bridge.close()


class Pins:
    """The electrical levels of the LED pins of the bridge that was made last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Look over the shoulder of whatever bridge is made from now on."""
        self._outputs: Panel | None = None
        open_panel = front_panel.open_panel

        def opened(*arguments: object, **options: object) -> Panel:
            self._outputs = open_panel(*arguments, **options)  # type: ignore[arg-type]
            return self._outputs

        monkeypatch.setattr(front_panel, "open_panel", opened)

    @property
    def names(self) -> set[str]:
        """The LEDs that were opened."""
        assert self._outputs is not None
        return set(self._outputs.leds)

    def colour(self, led: str) -> Colour:
        """Read both pins of a bi-colour LED, active high."""
        assert self._outputs is not None
        output = self._outputs.leds[led]
        assert isinstance(output, ColourOutput), f"{led} has no two pins"
        lit = (output.red.is_high, output.green.is_high)
        return {
            (False, False): Colour.OFF,
            (True, False): Colour.RED,
            (False, True): Colour.GREEN,
            (True, True): Colour.AMBER,
        }[lit]

    def is_high(self, led: str) -> bool:
        """Read a pin."""
        assert self._outputs is not None
        level = self._outputs.is_high(led)
        assert level is not None, f"{led} has no pin"
        return level
