"""Connections of one listening socket, taken also through times in which the system has no room for them.

Rules:
  1. What cannot be accepted for want of descriptors or memory waits in the backlog: it is not cut off, takes
     no time of the program, and is accepted once there is room. It is one line in the log until then.
  2. One connection in a turn of the loop: a flood of them does not hold up the sessions that there are.

The loops' own servers do otherwise: uvloop cuts such connections off without a word, or spins.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from bridge.endpoints.events import note, warn
from bridge.endpoints.timer import Timer

_RETRY_S: Final = 0.5


class Acceptor:
    """Accepts from a socket that listens, until `close`. The socket is its own from now on.

    `protocol` makes what takes a connection of the address that accept(2) told: a peer that is gone again
    has none any more. `what` it is for stands in the log. To be made in a running event loop.
    """

    def __init__(
        self, listening: socket.socket, protocol: Callable[[Any], asyncio.BaseProtocol], what: str
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = listening
        self._protocol = protocol
        self._what = what
        self._retry_timer = Timer(self._loop, self._listen)
        self._making: set[asyncio.Task[None]] = set()
        self._has_room = True
        listening.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more. What was accepted goes on."""
        self._retry_timer.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _listen(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, address = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # accept(2): no descriptors, no memory, or an error of a network that will be better.
            self._wait_for_room(error)
            return
        if not self._has_room:
            self._has_room = True
            note("connections again", socket=self._what)
        making = self._loop.create_task(self._make(connection, address))
        self._making.add(making)
        making.add_done_callback(self._making.discard)

    async def _make(self, connection: socket.socket, address: object) -> None:
        try:
            connection.setblocking(False)
            await self._loop.connect_accepted_socket(lambda: self._protocol(address), connection)
        except OSError:
            # It was gone before it was here.
            connection.close()
        except BaseException:
            connection.close()
            raise

    def _wait_for_room(self, error: OSError) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._retry_timer.set(self._loop.time() + _RETRY_S)
        if self._has_room:
            warn("no connections", socket=self._what, reason=error.strerror or str(error))
        self._has_room = False
