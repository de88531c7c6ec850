"""Where one fault happens, and the list of all kinds of faults, which their modules fill."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.soak.faults_masters import SoakMaster
from tests.soak.faults_rtus import SoakLine, SoakRtu
from tests.soak.faults_site import Site


@dataclass(slots=True)
class Scene:
    """A master, one of its RTUs, and dice of this fault's own."""

    site: Site
    master: SoakMaster
    rtu: SoakRtu
    random: random.Random
    skipped: str = ""
    """Why it could not be done on this machine."""

    @property
    def line(self) -> SoakLine:
        """The RTU's line."""
        return self.rtu.line


Act = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. It is over when its `act` returns; then everything must work again."""

    name: str
    act: Act
    every: int = 1
    """It is in the last of so many rounds."""
    is_combinable: bool = True
    """Whether it may happen beside others: it concerns one master and one line."""


@dataclass(slots=True)
class Kinds:
    """All kinds, by name, in the order in which they were written."""

    known: dict[str, Kind] = field(default_factory=dict)

    def add(self, *, every: int = 1, is_combinable: bool = True) -> Callable[[Act], Act]:
        """Return a decorator that makes a function a kind of fault, named as it is."""

        def register(act: Act) -> Act:
            name = act.__name__.replace("_", " ")
            self.known[name] = Kind(name, act, every, is_combinable)
            return act

        return register

    def of_round(self, number: int) -> list[Kind]:
        """Return the kinds that are in a round, the first of which is 0."""
        return [kind for kind in self.known.values() if (number + 1) % kind.every == 0]


KINDS = Kinds()


def cast(site: Site, dice: random.Random, count: int) -> list[Scene]:
    """Choose masters and RTUs for faults at the same time: of different sessions, and on different lines."""
    scenes: list[Scene] = []
    for master in dice.sample(site.regulars, len(site.regulars)):
        taken = {scene.line for scene in scenes}
        free = [rtu for rtu in master.rtus if rtu.line not in taken]
        if free and len(scenes) < count:
            scenes.append(Scene(site, master, dice.choice(free), random.Random(dice.random())))
    return scenes
