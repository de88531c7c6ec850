"""LEDs and nothing else of a panel."""

from __future__ import annotations

from collections.abc import Mapping

from hw.gpio import GpioBackend, LedWiring, Panel, PanelWiring, open_panel


def open_leds(leds: Mapping[str, LedWiring], *, backend: GpioBackend) -> Panel:
    """Open LEDs as `open_panel` does."""
    return open_panel(PanelWiring(leds=leds), backend=backend)
