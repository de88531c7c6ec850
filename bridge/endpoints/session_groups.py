"""Which outstations share a session: those whose filters are equal (rule 1 of the server)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.connection_state import ConnectionStateListener
from bridge.endpoints.tcp_session import TcpSession
from bridge.endpoints.when_down import Reachable
from bridge.errors import ConflictError
from bridge.link.frame import Frame
from bridge.routing.router import Routable


class ServedOutstation(Routable, Reachable, Protocol):
    """What the server needs of an outstation, bridged or local."""

    @property
    def name(self) -> str:
        """The name in logs and errors."""

    @property
    def link_address(self) -> int:
        """The link address, unique among the outstations that share a session."""

    def session_started(self, session: TcpSession) -> None:
        """A master is there: begin with clean buffers."""

    def receive(self, session: TcpSession, frame: Frame, now: float) -> None:
        """Take a master's frame."""

    def session_ended(self, session: TcpSession) -> None:
        """The master is gone: forget what was for it."""


@dataclass(slots=True)
class Group:
    """The outstations with one filter, and the session that they share."""

    address_filter: AddressFilter
    members: dict[int, ServedOutstation] = field(default_factory=dict)
    listeners: list[tuple[str, ConnectionStateListener]] = field(default_factory=list)
    session: TcpSession | None = None
    newcomer: str = ""
    """While a newer connection takes over: its peer."""
    sessions_started: int = 0
    pre_emptions: int = 0
    was_reachable: bool = False
    """At the last look. Only a session that had a line can lose it; who came while it was down was let in."""

    @property
    def names(self) -> str:
        """Its outstations, as the log names them."""
        return ",".join(member.name for member in self.members.values())


class SessionGroups:
    """The groups of one server."""

    def __init__(self) -> None:
        self._all: list[Group] = []

    def __iter__(self) -> Iterator[Group]:
        return iter(self._all)

    def of_peer(self, address: str) -> Group | None:
        """Return the group that a peer's address belongs to: there is one at most."""
        return next((group for group in self._all if group.address_filter.matches(address)), None)

    def of_outstation(self, outstation: ServedOutstation) -> Group | None:
        """Return the group that an outstation is in."""
        return next((group for group in self._all if outstation in group.members.values()), None)

    def add(
        self,
        outstation: ServedOutstation,
        listener: ConnectionStateListener | None,
        address_filter: AddressFilter,
    ) -> None:
        """Put an outstation into its group. Raises `ConflictError`, as `TcpServer.add_outstation`."""
        group = None
        for other in self._all:
            if other.address_filter == address_filter:
                group = other
            elif other.address_filter.overlaps(address_filter):
                raise ConflictError(
                    f"{outstation.name} and {other.names}: a master could match both {address_filter} and "
                    f"{other.address_filter}; make the filters equal, to share a session, or separate them"
                )
        if group is None:
            group = Group(address_filter)
            self._all.append(group)
        clash = group.members.get(outstation.link_address)
        if clash is not None:
            raise ConflictError(
                f"{outstation.name} and {clash.name}: one session reaches both at link address "
                f"{outstation.link_address}; give them different addresses or different filters"
            )
        group.members[outstation.link_address] = outstation
        if listener is not None:
            group.listeners.append((outstation.name, listener))
