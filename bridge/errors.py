"""Everything this package raises, as one tree.

    RtuBridgeError
    ├── EndpointError            a listen endpoint that is no "<address>:<port>"
    ├── FilterError              an address filter that cannot be read
    ├── ConflictError            an outstation that cannot stand beside one already added
    ├── BindError                the operating system refused to listen
    ├── FrameError               a link frame that cannot be built (never: one that was received)
    ├── CaptureError             hex text or a capture file that cannot be read
    ├── OutstationConfigError    settings of an outstation that IEEE 1815 does not allow
    ├── PointError               a database was asked for what its points cannot do
    │   ├── PointConfigError     an index, a variation or a deadband that a point cannot have
    │   ├── PointValueError      a value, flags or a time that a point of this kind cannot hold
    │   ├── UnknownPointError    no such point
    │   └── DuplicatePointError  there is such a point already
    ├── SelectionError           events selected while others wait for their confirm
    ├── LineError                a serial port that cannot be opened, with the operator's remedy
    └── ConfigurationError       a configuration file with at least one error; carries all of them

Octets that arrive from a peer never raise: what is wrong with them is a counted discard
(`bridge.link.framer.Discard`, `bridge.routing.drop.Drop`).
"""

from __future__ import annotations

from collections.abc import Sequence


class RtuBridgeError(Exception):
    """Base of every exception this package raises on purpose."""


class EndpointError(RtuBridgeError, ValueError):
    """A listen endpoint is malformed; the message names the part that is wrong."""


class FilterError(RtuBridgeError, ValueError):
    """An address filter is malformed; the message names the part that is wrong."""


class ConflictError(RtuBridgeError):
    """Two outstations cannot coexist on one server; the message names both."""


class BindError(RtuBridgeError, OSError):
    """The server could not listen; the message carries the operating system's reason."""


class FrameError(RtuBridgeError, ValueError):
    """A link frame was asked for that IEEE 1815 clause 9 cannot express."""


class CaptureError(RtuBridgeError, ValueError):
    """Hex text or a capture file cannot be read; the message says why."""


class OutstationConfigError(RtuBridgeError, ValueError):
    """An outstation was set up in a way that IEEE 1815 does not allow."""


class PointError(RtuBridgeError, ValueError):
    """A database was asked for what its points cannot do. It changed nothing; the message names the point."""


class PointConfigError(PointError):
    """A point cannot be set up like this; the message says what would be right."""


class PointValueError(PointError):
    """A point of this kind cannot hold this value, these flags or this time."""


class UnknownPointError(PointError, LookupError):
    """The database has no such point."""


class DuplicatePointError(PointError):
    """The database has this point already."""


class SelectionError(RtuBridgeError):
    """Events were selected while others wait for their confirm: a bug of the caller."""


class LineError(RtuBridgeError, OSError):
    """A serial port could not be opened; the message says why and what would help."""


class ConfigurationError(RtuBridgeError):
    """A configuration is wrong.

    `problems` holds every error of the file, one line each: file, key, what is wrong, what would be right.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
