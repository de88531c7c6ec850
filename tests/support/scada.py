"""A SCADA of the appliance's own outstation, which knows its points by their names."""

from __future__ import annotations

import csv
from typing import NamedTuple

from tests.support.opendnp3 import ALL_CLASSES, o
from tests.support.opendnp3_reader import Heard, ReadingMaster
from tests.support.plants import Reading
from tests.support.waiting import until

GROUPS = {1: "binary input", 10: "binary output", 20: "counter", 21: "frozen counter", 30: "analog input"}
EVENTS_OF = {2: "binary input", 11: "binary output", 22: "counter", 23: "frozen counter", 32: "analog input"}


class Told(NamedTuple):
    """An event as the SCADA understood it: its point by name, what it said and with which flags."""

    name: str
    value: object
    flags: int | None


class Scada:
    """An opendnp3 master of the appliance, which knows its points from `rtu-bridge points --csv`."""

    def __init__(self, master: ReadingMaster, points: str) -> None:
        self.master = master
        rows = list(csv.DictReader(points.splitlines()))
        self.names = {(row["kind"], int(row["index"])): row["name"] for row in rows}
        self.indices = {(row["kind"], row["name"]): int(row["index"]) for row in rows}
        self._classes = {(row["kind"], row["name"]): int(row["class"]) for row in rows}

    def values(self) -> dict[tuple[str, str], tuple[object, int | None]]:
        """Read everything, and return value and flags of each point by kind and name."""
        self.master.take()
        assert self.master.poll(ALL_CLASSES) == "SUCCESS"
        return {
            (GROUPS[each.group], self.names[GROUPS[each.group], each.index]): (each.value, each.flags)
            for each in self.master.take_readings()
            if each.group in GROUPS
        }

    def events(self, number: int) -> list[Heard]:
        """Poll one class, and return what came."""
        self.master.take()
        classes = [number == each for each in (1, 2, 3)]
        assert self.master.poll(o.ClassField(False, *classes)) == "SUCCESS"
        return self.master.take()

    def told(self, heard: list[Heard]) -> list[Told]:
        """Return events by the names of their points, and check that each is of the class of the map."""
        return [self._told(each.reading) for each in heard]

    def _told(self, reading: Reading) -> Told:
        return Told(self.names[EVENTS_OF[reading.group], reading.index], reading.value, reading.flags)

    def wait_for(self, number: int, names: list[str]) -> list[Heard]:
        """Poll a class until events of these points came, and return those, in order."""
        found: list[Heard] = []

        def is_there() -> bool:
            for each in self.events(number):
                kind = EVENTS_OF[each.reading.group]
                name = self.names[kind, each.reading.index]
                assert self._classes[kind, name] == number, f"{name} came in class {number}"
                if name in names:
                    found.append(each)
            return len(found) >= len(names)

        until(is_there, f"events of {names}", pause_s=0.02)
        assert [self._told(each.reading).name for each in found] == names
        return found
