"""An outstation from frames to frames: secondary station, reassembly, session, segmentation. Sans-I/O.

Rules:
  1. Only frames of a master (DIR), for our address, the self-address or a broadcast are ours; and of our
     master, where the configuration names one.
  2. What the link must answer is answered first, whatever the fragment leads to.
  3. After `keep_alive_s` without a frame the master's link is asked for its status; a link that stays silent
     for as long again is reported dead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.link.address import BROADCAST_NO_CONFIRM, LAST_INDIVIDUAL, SELF_ADDRESS
from bridge.link.control import Control, LinkFunction
from bridge.link.encoder import FrameEncoder
from bridge.link.frame import Frame
from bridge.link.secondary import SecondaryStation
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.control import Controls
from bridge.outstation.database import Database
from bridge.outstation.functions import Functions
from bridge.outstation.handlers import ControlHandler, OutstationApplication, OutstationInformation
from bridge.outstation.indications import Indications
from bridge.outstation.notices import SafeInformation
from bridge.outstation.read import Reader
from bridge.outstation.session import OutstationSession, Transmit
from bridge.outstation.session import Step as SessionStep
from bridge.outstation.stimulus import Fragment
from bridge.transport.reassembler import Reassembler
from bridge.transport.segment import SEQUENCE_MODULUS
from bridge.transport.segmenter import segments

_DATA = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=False)
_REQUEST_STATUS = Control.build(LinkFunction.REQUEST_LINK_STATUS, from_master=False)


class StackDrop(StrEnum):
    """Why a whole frame did not reach the session."""

    WRONG_DIRECTION = "wrong_direction"
    NOT_FOR_US = "not_for_us"
    WRONG_MASTER = "wrong_master"
    """Not of the configured one, or of an address that no master can have."""
    BROADCAST_SERVICE = "broadcast_service"
    """A link service other than unconfirmed data, which alone makes sense for all at once."""


@dataclass(frozen=True, slots=True)
class Octets:
    """Send these whole frames to the master."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Await:
    """Await this and hand what comes of it to `resume`."""

    awaitable: Awaitable[Any]


@dataclass(frozen=True, slots=True)
class LinkDead:
    """The master's link does not answer: end the connection."""


Step = Octets | Await | LinkDead


class OutstationStack:
    """One outstation, complete but for its wire and its clock. `now` is monotonic seconds throughout."""

    def __init__(
        self,
        config: OutstationConfig,
        database: Database,
        attributes: AttributeStore,
        application: OutstationApplication,
        information: OutstationInformation,
        handler: ControlHandler,
        utc_ms: Callable[[], int],
    ) -> None:
        """Compose the layers; `utc_ms` gives the outstation's time in UTC milliseconds since 1970."""
        self._config = config
        information = SafeInformation(information)
        controls = Controls(
            handler, database, config.controls_per_request, information.handler_failed, utc_ms
        )
        functions = Functions(config, database, attributes, application, information, controls, utc_ms)
        indications = Indications(database.events, functions.writes, application, information)
        self._session = OutstationSession(
            config,
            database,
            functions,
            Reader(database, attributes, functions.writes.schedules, indications.now, utc_ms),
            indications,
            information,
        )
        self._secondary = SecondaryStation(config.link_address)
        self._reassembler = Reassembler(config.longest_request)
        self._origin = (0, 0)
        self._encoder = FrameEncoder(_DATA, config.link_address)
        self._sequence = 0
        self._heard_s = 0.0
        self._is_linked = False
        self._is_probing = False
        self._peer = config.master_address
        self.frames_received = 0
        self.frames_sent = 0
        self.drops: Counter[StackDrop] = Counter()

    @property
    def segments(self) -> Reassembler:
        """The reassembler, for its counters."""
        return self._reassembler

    def link_began(self, now: float) -> list[Step]:
        """A master can be reached: start with clean buffers."""
        self._secondary = SecondaryStation(self._config.link_address)
        self._reassembler.reset()
        self._heard_s = now
        self._is_linked = True
        self._is_probing = False
        return self._carry_out(self._session.link_began(now))

    def link_ended(self) -> None:
        """Nobody is there any more."""
        self._is_linked = False
        self._reassembler.reset()
        self._session.link_ended()

    def receive(self, frame: Frame, now: float) -> list[Step]:
        """Take a whole frame."""
        drop = self._judge(frame)
        if drop is not None:
            self.drops[drop] += 1
            return []
        self.frames_received += 1
        self._heard_s = now
        self._is_probing = False
        self._peer = frame.source
        is_broadcast = frame.destination >= BROADCAST_NO_CONFIRM
        delivers, reply = self._secondary.receive(frame)
        steps: list[Step] = []
        if reply is not None:
            self.frames_sent += 1
            steps.append(Octets(reply.octets))
        if delivers:
            if (frame.source, frame.destination) != self._origin:
                # Segments of two fragments make none.
                self._reassembler.reset()
                self._origin = (frame.source, frame.destination)
            octets = self._reassembler.receive(frame.user_data)
            if octets is not None:
                fragment = Fragment(octets, frame.source, frame.destination if is_broadcast else None)
                steps += self._carry_out(self._session.receive(fragment, now))
        return steps

    def resume(self, now: float, outcome: Any = None, error: Exception | None = None) -> list[Step]:
        """Take what came of the `Await` handed out last."""
        return self._carry_out(self._session.resume(now, outcome, error))

    def database_changed(self, now: float) -> list[Step]:
        """Events came."""
        return self._carry_out(self._session.database_changed(now))

    def next_deadline(self) -> float | None:
        """When `on_deadline` should be called, or None."""
        deadline = self._session.next_deadline()
        keep_alive_s = self._config.keep_alive_s
        if keep_alive_s is None or not self._is_linked or self._peer is None:
            return deadline
        probe = self._heard_s + keep_alive_s * (1 + self._is_probing)
        return probe if deadline is None else min(probe, deadline)

    def on_deadline(self, now: float) -> list[Step]:
        """Do what time alone makes due. Early calls do nothing."""
        return self._keep_alive(now) + self._carry_out(self._session.on_deadline(now))

    def _judge(self, frame: Frame) -> StackDrop | None:
        if not frame.control.from_master:
            return StackDrop.WRONG_DIRECTION
        is_ours = (
            frame.destination == self._config.link_address
            or frame.destination >= BROADCAST_NO_CONFIRM
            or (frame.destination == SELF_ADDRESS and self._config.answers_self_address)
        )
        if not is_ours:
            return StackDrop.NOT_FOR_US
        master = self._config.master_address
        if frame.source > LAST_INDIVIDUAL or (master is not None and frame.source != master):
            return StackDrop.WRONG_MASTER
        if (
            frame.destination >= BROADCAST_NO_CONFIRM
            and frame.control.function is not LinkFunction.UNCONFIRMED_USER_DATA
        ):
            return StackDrop.BROADCAST_SERVICE
        return None

    def _keep_alive(self, now: float) -> list[Step]:
        keep_alive_s = self._config.keep_alive_s
        if keep_alive_s is None or not self._is_linked or self._peer is None:
            return []
        silence_s = now - self._heard_s
        if self._is_probing and silence_s >= 2 * keep_alive_s:
            # Said once: a serial line stays, and is asked again after the next silence.
            self._is_probing = False
            self._heard_s = now
            return [LinkDead()]
        if self._is_probing or silence_s < keep_alive_s:
            return []
        self._is_probing = True
        self.frames_sent += 1
        request = Frame.build(_REQUEST_STATUS, self._peer, self._config.link_address)
        return [Octets(request.octets)]

    def _carry_out(self, steps: list[SessionStep]) -> list[Step]:
        return [self._frames(step) if isinstance(step, Transmit) else Await(step.awaitable) for step in steps]

    def _frames(self, step: Transmit) -> Octets:
        parts = segments(step.fragment, self._sequence)
        self._sequence = (self._sequence + len(parts)) % SEQUENCE_MODULUS
        self.frames_sent += len(parts)
        encode = self._encoder.encode
        return Octets(b"".join([encode(step.destination, part) for part in parts]))
