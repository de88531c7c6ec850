"""One asyncio task that shows all lights on their outputs, and covers them for a lamp test or to locate one.

Events reach the lights (`Indicator`, `Heartbeat`: pure) directly, and `changed()` tells the driver. It asks
each light for its colour and its next deadline, and sets an output when the colour changes.

A busy line brings a thousand events a second, and many LEDs that blink each change at a time of their own. So
the driver looks only at multiples of `SLOT_S` on the clock: events cost next to nothing in between, and many
LEDs little more than one. A change is seen up to a slot late, and what lasts 100 ms is seen for 100 ms: both
its edges wait for a slot, and every step of a pattern is a number of slots.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from math import inf

from hw.colour import Colour
from hw.gpio import Output
from hw.overlay import Cover, Overlay
from hw.pattern import Light, to_s, to_us

_log = logging.getLogger(__name__)

SLOT_S = 0.025
_SLOT_US = to_us(SLOT_S)


class LedDriver:
    """Shows each light on the output of the same name. Outputs without a light stay dark.

    `clock` must be the one whose readings the lights get as `now`; by default the running loop's. The driver
    does not own the outputs: close it before them. Raises ValueError if a light has no output.
    """

    def __init__(
        self,
        lights: Mapping[str, Light],
        outputs: Mapping[str, Output],
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if homeless := sorted(lights.keys() - outputs.keys()):
            raise ValueError(f"no output for the lights {', '.join(homeless)}")
        self._lights = {name: Overlay(light) for name, light in lights.items()}
        self._outputs = {name: outputs[name] for name in lights}
        self._clock = clock
        self._colours = dict.fromkeys(lights, Colour.OFF)  # outputs are dark when opened
        self._due = dict.fromkeys(lights, inf)
        self._stale = set(lights)
        self._failed: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def lights(self) -> Mapping[str, Overlay]:
        """What each LED shows, with what covers it."""
        return self._lights

    def start(self) -> None:
        """Start the task on the running loop. Raises RuntimeError without one, or if started before."""
        if self._task is not None:
            raise RuntimeError("the LED driver was started before")
        self._task = asyncio.get_running_loop().create_task(self._run(), name="leds")

    def changed(self, name: str | None = None) -> None:
        """Say that an event reached this light, or any: it is looked at in the next slot."""
        if name is None:
            self._stale.update(self._lights)
        else:
            self._stale.add(name)
        self._wake.set()

    def lamp_test(self, duration_s: float) -> None:
        """Light all LEDs, bi-colour ones red, green and amber in turn; then they go on as they were."""
        self._cover(self._lights, Cover.LAMP_TEST, duration_s)

    def locate(self, name: str | None, duration_s: float) -> None:
        """Let one LED, or all, flash so that it is found. Raises KeyError for an LED that is not there."""
        self._cover(self._lights if name is None else (name,), Cover.LOCATE, duration_s)

    def uncover(self) -> None:
        """End lamp test and locating before their time."""
        for light in self._lights.values():
            light.uncover()
        self.changed()

    async def close(self) -> None:
        """Stop, and leave all LEDs dark. Raises nothing; closing again is harmless."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    def _cover(self, names: Iterable[str], cover: Cover, duration_s: float) -> None:
        now = self._now()
        for name in names:
            self._lights[name].cover(cover, now, duration_s)
        self.changed()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                looked = self._now()
                self._show(looked)
                deadline = _slot(min(self._due.values(), default=inf))
                # Timer and event are one: whatever comes first wakes the task.
                timer = None if deadline == inf else loop.call_later(deadline - self._now(), self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    if timer is not None:
                        timer.cancel()
                now = self._now()
                wait_s = min(max(_slot(now), _slot_after(looked)), deadline) - now
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
        except Exception:
            # A light that raises is a bug. LEDs that stand still would lie; dark ones do not.
            _log.exception("the LED driver stopped, all LEDs are dark")
        finally:
            for name in self._outputs:
                self._write(name, Colour.OFF)

    def _show(self, now: float) -> None:
        """Bring those lights up to date that an event reached or whose deadline has come."""
        stale, self._stale = self._stale, set()
        for name in [name for name, due in self._due.items() if due <= now or name in stale]:
            light = self._lights[name]
            colour = light.colour(now)
            if colour is not self._colours[name]:
                self._write(name, colour)
            deadline = light.next_deadline(now)
            self._due[name] = inf if deadline is None else deadline

    def _write(self, name: str, colour: Colour) -> None:
        # Taken as done even if it fails: the next change of colour is the next attempt, not the next wake-up.
        self._colours[name] = colour
        try:
            self._outputs[name].set(colour)
        # Pin libraries raise classes of their own, and one pin may not stop the others.
        except Exception as error:
            if name not in self._failed:
                self._failed.add(name)
                _log.warning("LED %s: its pin cannot be written (%s); not logged again", name, error)


def _slot(time_s: float) -> float:
    """Return the first slot that is not before this time."""
    return inf if time_s == inf else to_s(-(-to_us(time_s) // _SLOT_US) * _SLOT_US)


def _slot_after(time_s: float) -> float:
    """Return the first slot after the one of this time."""
    return to_s((to_us(time_s) // _SLOT_US + 1) * _SLOT_US)
