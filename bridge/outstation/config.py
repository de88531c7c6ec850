"""How an outstation is set up: addresses, fragment sizes, timeouts, buffers. Times are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bridge.errors import OutstationConfigError
from bridge.link.address import LAST_INDIVIDUAL

SHORTEST_FRAGMENT = 249
"""One segment's worth: what every station must take (IEEE 1815 clause 4.2.2)."""
LONGEST_FRAGMENT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDelay:
    """When events of one class are reported unasked: after `events` of them, or `delay_s` after the first."""

    events: int = 1
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsolicitedConfig:
    """Unsolicited reporting. A master still has to enable it class by class."""

    is_supported: bool = True
    confirm_timeout_s: float = 5.0
    retry_delay_s: float = 5.0
    """After the retries are used up; the events wait, nothing is lost."""
    retries: int = 3
    """How often an unconfirmed response is sent again before `retry_delay_s` is waited."""
    class_delays: Mapping[int, ClassDelay] = field(
        default_factory=lambda: MappingProxyType({1: ClassDelay(), 2: ClassDelay(), 3: ClassDelay()})
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutstationConfig:
    """One outstation. Raises `OutstationConfigError` for what IEEE 1815 does not allow."""

    name: str = "outstation"
    link_address: int = 1024
    master_address: int | None = 1
    """The only master that is answered; None answers any, and sends unsolicited to the one heard last."""
    longest_request: int = 2048
    longest_response: int = 2048
    confirm_timeout_s: float = 5.0
    select_timeout_s: float = 10.0
    controls_per_request: int = 16
    answers_self_address: bool = True
    keep_alive_s: float | None = 60.0
    """Silence after which the master's link is tested by REQUEST_LINK_STATUS; None never does."""
    unsolicited: UnsolicitedConfig = field(default_factory=UnsolicitedConfig)

    def __post_init__(self) -> None:
        for label, address in (("link_address", self.link_address), ("master_address", self.master_address)):
            if address is not None and not 0 <= address <= LAST_INDIVIDUAL:
                raise OutstationConfigError(f"{label} {address}: use 0 to {LAST_INDIVIDUAL}")
        for label, size in (
            ("longest_request", self.longest_request),
            ("longest_response", self.longest_response),
        ):
            if not SHORTEST_FRAGMENT <= size <= LONGEST_FRAGMENT:
                raise OutstationConfigError(f"{label} {size}: use {SHORTEST_FRAGMENT} to {LONGEST_FRAGMENT}")
        if self.controls_per_request < 1:
            raise OutstationConfigError("controls_per_request: use 1 or more")
