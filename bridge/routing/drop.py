"""Why a whole, valid frame went nowhere. Each reason is a counter in the status."""

from __future__ import annotations

from enum import StrEnum


class Drop(StrEnum):
    """Reasons, first those for frames from a master, then those for frames from a line.

    ORPHAN_SEGMENT is one of both.
    """

    WRONG_DIRECTION = "wrong_direction"
    """DIR says that the frame comes from the side it goes to; on a line: our own echo, or another master."""
    RESERVED_ADDRESS = "reserved_address"
    """Source or destination is an address that no device may have."""
    UNKNOWN_DESTINATION = "unknown_destination"
    """No outstation of this session has that link address."""
    SELF_ADDRESS_SHARED = "self_address_shared"
    """The self-address, where several devices would answer."""
    QUEUE_FULL = "queue_full"
    """The session has too many requests waiting for its lines."""
    EXPIRED = "expired"
    """The request waited longer than it is worth."""
    SUPERSEDED = "superseded"
    """Its master asked the same outstation anew before this request had its turn."""
    BROADCAST_DENIED = "broadcast_denied"
    """An outstation of that line takes no broadcasts."""
    LINE_DOWN = "line_down"
    """The line's port is not open."""
    SESSION_ENDED = "session_ended"
    """The request was waiting, or its answer was on the way, when its session ended."""

    UNKNOWN_SOURCE = "unknown_source"
    """No outstation of this line has that link address."""
    NO_SESSION = "no_session"
    """The outstation speaks of its own accord and no master is connected."""
    UNKNOWN_MASTER = "unknown_master"
    """The outstation addresses a master that its session does not have."""
    LATE = "late"
    """The answer to a request that was given up before."""
    OTHER_OUTSTATION = "other_outstation"
    """An answer of this outstation while another one's is awaited."""
    NOT_AWAITED = "not_awaited"
    """An answer that nobody waits for: repeated, or to a sequence number that was not asked with."""
    ORPHAN_SEGMENT = "orphan_segment"
    """A later segment whose first one is missing, or did not go to the session connected now."""
