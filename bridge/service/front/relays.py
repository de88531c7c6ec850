"""The relays as something that is commanded: `actuator` says what they do, here it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Protocol

from bridge.application.command import Crob
from bridge.endpoints.events import warn
from bridge.service.front import actuator


class Switch(Protocol):
    """What a relay is wired to: `hw.outputs.Output`."""

    def set(self, lit: bool) -> None:
        """Switch on or off at once. Raises whatever the pin library raises."""


class Movements:
    """Movements under way, each of something; a newer one of the same thing ends the older."""

    def __init__(self) -> None:
        """To be made in a running loop."""
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def begin(
        self, key: Hashable, states: Iterable[tuple[bool, float]], move: Callable[[bool], object]
    ) -> None:
        """Call `move` with each state in its time (seconds until the next), the first one soon."""
        self.end(key)
        self._tasks[key] = self._loop.create_task(_move(iter(states), move))

    def end(self, key: Hashable) -> None:
        """Leave that thing as it is."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Leave everything as it is."""
        for key in list(self._tasks):
            self.end(key)


async def _move(states: Iterator[tuple[bool, float]], move: Callable[[bool], object]) -> None:
    for state, hold_s in states:
        move(state)
        await asyncio.sleep(hold_s)


class Relays:
    """All relays of a configuration; those whose pin could not be had have no state and take no command."""

    def __init__(self, switches: Mapping[str, Switch], changed: Callable[[str], None] = lambda _: None):
        """Take over outputs that are off; `changed` hears the name of each that moved."""
        self._switches = switches
        self._changed = changed
        self._states = dict.fromkeys(switches, False)
        self._movements = Movements()

    def is_on(self, name: str) -> bool | None:
        """Return a relay's state, None where it cannot be switched."""
        return self._states.get(name)

    def execute(self, name: str, crob: Crob) -> None:
        """Do what `actuator.movements` says, in its time. Raises KeyError for one that cannot be switched."""
        switch = self._switches[name]
        self._movements.begin(
            name, actuator.movements(crob), lambda state: self._set(name, switch, is_on=state)
        )

    def close(self) -> None:
        """End all pulses under way."""
        self._movements.stop()

    def _set(self, name: str, switch: Switch, *, is_on: bool) -> None:
        try:
            switch.set(is_on)
        # Pin libraries raise classes of their own, and one pin may not stop anything else.
        except Exception as error:
            warn("relay failed", name=name, error=repr(error))
            return
        self._states[name] = is_on
        self._changed(name)
