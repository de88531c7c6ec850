"""One asyncio task that shows all lights on their outputs.

Events reach the lights (`Indicator`, `Heartbeat`: pure) directly, and `changed()` tells the driver. It asks
each light for its level and its next deadline, and sets an output, plain on or off, when the level changes.

A busy line brings a thousand events a second and an eye sees fifty: after an event the driver looks at the
lights no sooner than `_SHORTEST_LOOK_S` after it looked last, and events cost next to nothing in between.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from math import inf

from hw.gpio import Output
from hw.pattern import Light

_log = logging.getLogger(__name__)

_SHORTEST_LOOK_S = 0.02


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
        self._lights = dict(lights)
        self._outputs = {name: outputs[name] for name in lights}
        self._clock = clock
        self._lit = dict.fromkeys(lights, False)  # outputs are dark when opened
        self._due = dict.fromkeys(lights, inf)
        self._stale = True
        self._failed: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task on the running loop. Raises RuntimeError without one, or if started before."""
        if self._task is not None:
            raise RuntimeError("the LED driver was started before")
        self._task = asyncio.get_running_loop().create_task(self._run(), name="leds")

    def changed(self) -> None:
        """Say that an event reached a light: all levels and deadlines are worked out anew, within 20 ms."""
        if not self._stale:
            self._stale = True
            self._wake.set()

    async def close(self) -> None:
        """Stop, and leave all LEDs dark. Raises nothing; closing again is harmless."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        clock = self._clock or loop.time
        try:
            while True:
                self._wake.clear()
                looked = clock()
                self._show(looked)
                deadline = min(self._due.values(), default=inf)
                # Timer and event are one: whatever comes first wakes the task.
                timer = None if deadline == inf else loop.call_later(deadline - clock(), self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    if timer is not None:
                        timer.cancel()
                wait_s = min(looked + _SHORTEST_LOOK_S, deadline) - clock()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
        except Exception:
            # A light that raises is a bug. LEDs that stand still would lie; dark ones do not.
            _log.exception("the LED driver stopped, all LEDs are dark")
        finally:
            for name in self._outputs:
                self._write(name, lit=False)

    def _show(self, now: float) -> None:
        """Bring those lights up to date whose deadline has come; after an event, all."""
        stale, self._stale = self._stale, False
        for name, light in self._lights.items():
            if stale or self._due[name] <= now:
                lit = light.is_lit(now)
                if lit != self._lit[name]:
                    self._write(name, lit=lit)
                deadline = light.next_deadline(now)
                self._due[name] = inf if deadline is None else deadline

    def _write(self, name: str, *, lit: bool) -> None:
        # Taken as done even if it fails: the next change of level is the next attempt, not the next wake-up.
        self._lit[name] = lit
        try:
            self._outputs[name].set(lit)
        # Pin libraries raise classes of their own, and one pin may not stop the others.
        except Exception as error:
            if name not in self._failed:
                self._failed.add(name)
                _log.warning("LED %s: its pin cannot be written (%s); not logged again", name, error)
