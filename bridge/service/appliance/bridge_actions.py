"""What the controls of the appliance's outstation do to a running bridge."""

from __future__ import annotations

from bridge.application.command import CommandStatus, Crob
from bridge.endpoints.events import note
from bridge.service.appliance.point_row import Section
from bridge.service.running import RunningBridge


class BridgeActions:
    """Satisfies `bridge.service.appliance.appliance_controls.Actions`."""

    def __init__(self, bridge: RunningBridge) -> None:
        self._bridge = bridge

    def may_switch(self, relay: str) -> CommandStatus:
        """Say whether the relay's pin could be had."""
        is_there = self._bridge.front.relays.is_on(relay) is not None
        return CommandStatus.SUCCESS if is_there else CommandStatus.HARDWARE_ERROR

    def switch(self, relay: str, crob: Crob) -> None:
        """Let a relay do what a block says."""
        self._bridge.front.relays.execute(relay, crob)

    def may_reset(self, line: str) -> CommandStatus:
        """Say whether a line is not being reset already."""
        is_resetting = self._bridge.hubs[line].line.is_resetting
        return CommandStatus.ALREADY_ACTIVE if is_resetting else CommandStatus.SUCCESS

    def reset(self, line: str) -> None:
        """Close a line's port and open it again; its sessions follow `when_down`."""
        self._bridge.hubs[line].line.reset()
        self._bridge.appliance.changed(Section.LINE, line)

    def may_drop_session(self, outstation: str) -> CommandStatus:
        """Say whether the outstation has a master."""
        served = self._bridge.served(outstation)
        if served is None:
            return CommandStatus.NOT_SUPPORTED
        has_master = self._bridge.server_of(outstation).session_of(served) is not None
        return CommandStatus.SUCCESS if has_master else CommandStatus.ALREADY_COMPLETE

    def drop_session(self, outstation: str, by: str) -> None:
        """End the session of an outstation's master, and say in the log who wanted that."""
        served, server = self._bridge.served(outstation), self._bridge.server_of(outstation)
        session = None if served is None else server.session_of(served)
        if served is not None and session is not None:
            note("session dropped", outstation=outstation, peer=session.peer, by=by)
            server.drop_session(served)

    def lamp_test(self, duration_s: float | None) -> None:
        """Light all LEDs for a time, None for the usual one; 0 ends it."""
        front = self._bridge.front
        if duration_s == 0:
            front.end_lamp_test()
        elif duration_s is None:
            front.lamp_test()
        else:
            front.lamp_test(duration_s)
        self._bridge.appliance.changed(Section.APPLIANCE, "")
