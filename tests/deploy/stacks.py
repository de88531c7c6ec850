"""A third party's master and RTU on this machine, with the bridge in the guest between them."""

from __future__ import annotations

from tests.deploy import site
from tests.deploy.far_end import Cable
from tests.deploy.guest import Guest
from tests.support.opendnp3 import Master, Opendnp3, Outstation

POINTS = 5


def outstation(stacks: Opendnp3, cable: Cable) -> Outstation:
    """Add opendnp3's RTU at the end of a cable."""
    channel, _ = stacks.open_serial(cable.device)
    return stacks.outstation(channel, 10, points=POINTS)


def master(stacks: Opendnp3, guest: Guest) -> Master:
    """Add opendnp3's master of that RTU, connected to the bridge in the guest."""
    channel, _ = stacks.connect(guest.port(site.PORT))
    return stacks.master(channel, 10, response_timeout_s=5.0)
