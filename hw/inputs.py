"""Inputs: contacts as something to read. Levels and edges as they are on the wire, not yet debounced."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of an input: when (monotonic seconds), and to what."""

    at: float
    is_active: bool


class Input(Protocol):
    """One contact. Reading never waits, and raises whatever the pin library raises if the pin fails."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def is_active(self) -> bool:
        """The level of this instant."""

    def fileno(self) -> int | None:
        """Return a descriptor that is readable while there are edges to read; None: poll `is_active`."""

    def read_edges(self) -> Sequence[Edge]:
        """Return edges not read before, oldest first. Of very many the oldest are lost."""

    def close(self) -> None:
        """Give the pin back. Raises nothing; closing again is harmless."""


class PinInput:
    """A contact on a pin (a `gpiozero.GPIODevice`)."""

    __slots__ = ("_active_low", "_device", "_pin", "name")

    def __init__(self, name: str, device: Any, *, active_low: bool) -> None:
        self.name = name
        self._device = device
        self._pin = device.pin
        self._active_low = active_low

    @property
    def is_active(self) -> bool:
        """The level of this instant, read from the pin."""
        return bool(self._pin.state) != self._active_low

    def fileno(self) -> int | None:
        """Return the descriptor of the pin's edges; None for pin libraries that would need a thread."""
        return self._pin.fileno() if hasattr(self._pin, "fileno") else None

    def read_edges(self) -> Sequence[Edge]:
        """Return edges not read before; none where they are not kept."""
        if not hasattr(self._pin, "read_edges"):
            return ()
        return [Edge(at, is_high != self._active_low) for at, is_high in self._pin.read_edges()]

    def close(self) -> None:
        """Give the pin back."""
        with suppress(Exception):  # there is nothing left to do about it
            self._device.close()


class MockInput(PinInput):
    """A contact in memory, which the bench or a test works."""

    __slots__ = ()

    def drive(self, *, active: bool) -> None:
        """Close or open the contact."""
        if active != self._active_low:
            self._pin.drive_high()
        else:
            self._pin.drive_low()
