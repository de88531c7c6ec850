"""Faults that masters and strangers make over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from bridge.link.control import LinkFunction
from tests.soak.faults_masters import HOST, Connection
from tests.soak.faults_rtus import Asked, SoakRtu
from tests.soak.faults_scene import KINDS, Scene
from tests.soak.faults_site import BUSY_S, RESPONSE_TIMEOUT_S, STRANGER
from tests.soak.faults_tags import damaged
from tests.support import frames as f

_SURE_S = 3 * RESPONSE_TIMEOUT_S
_BROADCASTS = (0xFFFD, 0xFFFE, 0xFFFF)
_A_MOMENT_S = 0.03


async def _must_end(scene: Scene, connection: Connection, why: str) -> None:
    async def has_ended() -> bool:
        return not connection.is_open

    await scene.site.until(has_ended, f"{connection.name} ended by the bridge: {why}")


async def _late(rtu: SoakRtu, asked: Asked, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    await rtu.answer(asked, filling=30)


# Pre-emption and ends of connections


@KINDS.add()
async def take_over_mid_request(scene: Scene) -> None:
    """Half a request came by the older connection; the rest by nobody."""
    async with scene.master.paused() as older:
        request = scene.master.request(older, scene.rtu.address, filling=100, is_forwarded=False)
        older.send(request.frames[0][: scene.random.randrange(1, len(request.frames[0]))])
        await asyncio.sleep(scene.random.choice((0, _A_MOMENT_S)))
        await scene.master.take_over()
        await _must_end(scene, older, "taken over")


@KINDS.add()
async def take_over_mid_answer(scene: Scene) -> None:
    """The first segments of an answer went to the older connection; the rest must go nowhere."""

    async def slowly(rtu: SoakRtu, asked: Asked) -> None:
        await rtu.say_segments(asked, 6, pause_s=_A_MOMENT_S)

    async with scene.master.paused() as older:
        await asyncio.sleep(_A_MOMENT_S)
        async with scene.rtu.behaving(slowly):
            request = scene.master.ask(older, scene.rtu.address)
            await older.answered(request, BUSY_S)
            newer = await scene.master.take_over()
            await _must_end(scene, older, "taken over")
            again = scene.master.ask(newer, scene.rtu.address, sequence=request.sequence)
            await newer.answered(again, _SURE_S)


@KINDS.add()
async def late_answer_to_the_session_before_with_the_same_sequence(scene: Scene) -> None:
    """The newer session asks with the sequence number of the older one's open request.

    The bridge waits twice the response timeout for what the older one is owed. Later answers nobody can tell.
    """
    timeouts = scene.random.choice((scene.random.uniform(0.2, 1), scene.random.uniform(1.2, 1.6)))
    delay_s = timeouts * RESPONSE_TIMEOUT_S

    async def late(rtu: SoakRtu, asked: Asked) -> None:
        await _late(rtu, asked, delay_s)

    async with scene.master.paused() as older:
        # The RTU answers in order: what it was asked before would make it later still.
        await asyncio.sleep(_A_MOMENT_S)
        async with scene.rtu.behaving(late):
            request = scene.master.ask(older, scene.rtu.address)
            await asyncio.sleep(scene.random.uniform(0, delay_s))
            newer = await scene.master.take_over()
            again = scene.master.ask(newer, scene.rtu.address, sequence=request.sequence)
            await newer.answered(again, delay_s + _SURE_S)
        await _must_end(scene, older, "taken over")


@KINDS.add()
async def take_overs_in_a_row(scene: Scene) -> None:
    """A master that connects again and again, asking each time."""
    async with scene.master.paused() as first:
        connections = [first]
        for _ in range(scene.random.randrange(3, 12)):
            connections.append(await scene.master.take_over())
            scene.master.ask(connections[-1], scene.rtu.address)
        for older in connections[:-1]:
            await _must_end(scene, older, "taken over")


@KINDS.add()
async def reset_with_a_request_open(scene: Scene) -> None:
    """RST at any moment of an exchange."""
    async with scene.master.paused() as connection:
        scene.master.ask(connection, scene.rtu.address, segments=scene.random.choice((1, 3)))
        await asyncio.sleep(scene.random.choice((0, 0.001, 0.005)))
        connection.reset()


@KINDS.add()
async def half_close(scene: Scene) -> None:
    """FIN from the master, who would still read: a session that asks nothing any more is of no use."""
    async with scene.master.paused() as connection:
        scene.master.ask(connection, scene.rtu.address)
        connection.half_close()
        await _must_end(scene, connection, "its master said that it will ask nothing more")


@KINDS.add()
async def close_with_half_a_frame(scene: Scene) -> None:
    """A connection that ends inside a request."""
    async with scene.master.paused() as connection:
        request = scene.master.request(connection, scene.rtu.address, filling=60, is_forwarded=False)
        connection.send(request.frames[0][:-1])
        await asyncio.sleep(scene.random.choice((0, _A_MOMENT_S)))
        connection.close()


@KINDS.add()
async def connections_that_ask_nothing(scene: Scene) -> None:
    """Connect and be gone, many times."""
    async with scene.master.paused():
        for _ in range(scene.random.randrange(5, 20)):
            connection = await scene.master.connect()
            scene.random.choice((connection.reset, connection.close))()
    # The last of them took the session over; what the master had was ended.


# Octets that are no requests


@KINDS.add()
async def truncated_frames(scene: Scene) -> None:
    """Frames without their end, each followed by a whole request, which must be answered."""
    async with scene.master.paused() as connection:
        for _ in range(scene.random.randrange(1, 4)):
            cut = scene.master.request(connection, scene.rtu.address, filling=90, is_forwarded=False).frames[
                0
            ]
            connection.send(cut[: scene.random.randrange(10, len(cut))])
            await asyncio.sleep(scene.random.choice((0, 0.005)))
        request = scene.master.ask(connection, scene.rtu.address)
        await _answered_or_ended(scene, connection, [request.number])


@KINDS.add()
async def garbage_from_a_master(scene: Scene) -> None:
    """Random octets with beginnings of frames among them, in pieces."""
    async with scene.master.paused() as connection:
        for _ in range(scene.random.randrange(1, 6)):
            octets = scene.random.randbytes(scene.random.randrange(1, 600))
            connection.send(octets + scene.random.choice((b"", b"\x05", b"\x05\x64", b"\x05\x64\x05\x64")))
            await asyncio.sleep(scene.random.choice((0, 0.002)))
        request = scene.master.ask(connection, scene.rtu.address)
        await _answered_or_ended(scene, connection, [request.number])


@KINDS.add()
async def damaged_requests(scene: Scene) -> None:
    """One octet of each frame is wrong: in the header, in a block, in a CRC."""
    async with scene.master.paused() as connection:
        for _ in range(scene.random.randrange(1, 8)):
            frame = scene.master.request(
                connection, scene.rtu.address, filling=120, is_forwarded=False
            ).frames[0]
            connection.send(damaged(frame, scene.random.randrange(2, len(frame))))
        request = scene.master.ask(connection, scene.rtu.address)
        await _answered_or_ended(scene, connection, [request.number])


async def _answered_or_ended(scene: Scene, connection: Connection, numbers: list[int]) -> None:
    """In DISCARD mode what is intact gets through; in CLOSE mode the session is ended."""
    if scene.master.server == "strict":
        await _must_end(scene, connection, "malformed octets in CLOSE mode")
        return
    await asyncio.sleep(_A_MOMENT_S)
    if not connection.is_open:
        scene.site.judge.accuse(
            "not in time", f"{connection.name} was ended for octets to be discarded: {numbers}"
        )


@KINDS.add()
async def octet_by_octet(scene: Scene) -> None:
    """A request whose octets come one by one, which is answered all the same."""
    async with scene.master.paused() as connection:
        request = scene.master.request(connection, scene.rtu.address, filling=20, segments=2)
        for octet in b"".join(request.frames):
            connection.send(bytes((octet,)))
            await asyncio.sleep(0)
        await connection.answered(request, BUSY_S)
        if connection.is_open and not request.is_answered and not scene.line.is_disturbed:
            scene.site.judge.accuse(
                "no recovery", f"a request octet by octet got no answer: {request.number}"
            )


@KINDS.add()
async def half_a_frame_and_nothing_more(scene: Scene) -> None:
    """A frame that stalls longer than the frame timeout, then a whole request."""
    async with scene.master.paused() as connection:
        request = scene.master.request(connection, scene.rtu.address, filling=200, is_forwarded=False)
        connection.send(request.frames[0][:50])
        await asyncio.sleep(scene.random.uniform(0.1, 0.5))
        await connection.answered(scene.master.ask(connection, scene.rtu.address), _SURE_S)


# Requests that go nowhere, or everywhere


@KINDS.add()
async def flood_of_requests(scene: Scene) -> None:
    """Hundreds of requests at once, none of which waits for an answer."""
    async with scene.master.paused() as connection:
        octets = bytearray()
        for _ in range(scene.random.randrange(40, 250)):
            to = scene.random.choice(scene.master.rtus).address
            octets += b"".join(scene.master.request(connection, to).frames)
        connection.send(bytes(octets))
        await connection.answered(scene.master.ask(connection, scene.rtu.address), _SURE_S)


@KINDS.add()
async def flood_of_link_services(scene: Scene) -> None:
    """Link services queue, for none takes an earlier one's place: the session is held meanwhile."""
    async with scene.master.paused() as connection:
        services = (LinkFunction.REQUEST_LINK_STATUS, LinkFunction.RESET_LINK_STATES)
        for _ in range(scene.random.randrange(20, 80)):
            service = scene.random.choice(services)
            frame = f.from_master(service, to=scene.rtu.address, source=scene.master.link_address)
            connection.send(frame.octets)
        await connection.answered(scene.master.ask(connection, scene.rtu.address), BUSY_S)


@KINDS.add()
async def requests_for_others(scene: Scene) -> None:
    """Addresses that nobody has, and those of outstations of other masters."""
    others = [address for address in scene.site.rtus if address not in scene.master.outstations]
    async with scene.master.paused() as connection:
        for to in (*scene.random.sample(others, 3), 999, 0, 0xFFEF):
            for frame in scene.master.request(connection, to, is_forwarded=False).frames:
                connection.send(frame)
        await connection.answered(scene.master.ask(connection, scene.rtu.address), _SURE_S)


@KINDS.add()
async def reserved_addresses(scene: Scene) -> None:
    """As destination and as source, and frames that say they come from an outstation."""
    async with scene.master.paused() as connection:
        for reserved in (*range(0xFFF0, 0xFFFC, 3), 0xFFFB):
            connection.send(scene.master.request(connection, reserved, is_forwarded=False).frames[0])
        for source in (0xFFF0, 0xFFFC, 0xFFFF):
            request = scene.master.request(connection, scene.rtu.address, source=source, is_forwarded=False)
            connection.send(request.frames[0])
        connection.send(f.response(1, source=scene.rtu.address, to=scene.master.link_address).octets)
        await connection.answered(scene.master.ask(connection, scene.rtu.address), _SURE_S)


@KINDS.add()
async def broadcasts(scene: Scene) -> None:
    """Each goes once to every line of the session, and is answered by nobody."""
    async with scene.master.paused() as connection:
        for _ in range(scene.random.randrange(1, 5)):
            to = scene.random.choice(_BROADCASTS)
            function = scene.random.choice((f.WRITE, f.DIRECT_OPERATE_NR, f.READ))
            connection.send(scene.master.request(connection, to, function=function).frames[0])
            lines = {rtu.line.name for rtu in scene.master.rtus}
            scene.site.extra_copies += len(lines) - 1
        await connection.answered(scene.master.ask(connection, scene.rtu.address), BUSY_S)


@KINDS.add()
async def self_address(scene: Scene) -> None:
    """Answered where the line has one RTU and the session no other, heard by nobody elsewhere."""
    is_possible = scene.line.is_single and len(scene.master.rtus) == 1
    async with scene.master.paused() as connection:
        request = scene.master.request(connection, 0xFFFC, is_forwarded=is_possible)
        connection.send(request.frames[0])
        if is_possible:
            await connection.answered(request, _SURE_S)
        await connection.answered(scene.master.ask(connection, scene.rtu.address), _SURE_S)


# Masters that do not play their part


@KINDS.add()
async def master_that_never_confirms(scene: Scene) -> None:
    """Answers that ask for a confirm, with and without more to come, and none is sent."""

    async def wants_confirm(rtu: SoakRtu, asked: Asked) -> None:
        application = scene.random.choice((f.A_FIR | f.A_CON, f.A_FIR_FIN | f.A_CON))
        await rtu.answer(asked, application=application, filling=50)

    async with scene.master.paused() as connection, scene.rtu.behaving(wants_confirm):
        connection.is_confirming = False
        try:
            for _ in range(2):
                request = scene.master.ask(connection, scene.rtu.address)
                await connection.answered(request, _SURE_S)
                await asyncio.sleep(scene.random.uniform(0, 2 * RESPONSE_TIMEOUT_S))
        finally:
            connection.is_confirming = True


@KINDS.add()
async def master_that_never_ends_a_request(scene: Scene) -> None:
    """First segments without a last one, and later segments without a first."""
    async with scene.master.paused() as connection:
        request = scene.master.request(
            connection, scene.rtu.address, segments=4, filling=100, is_forwarded=False
        )
        first = scene.random.choice((0, 1))
        connection.send(b"".join(request.frames[first : first + 3 - first]))
        await asyncio.sleep(scene.random.choice((0, _A_MOMENT_S, 0.3)))
        await connection.answered(scene.master.ask(connection, scene.rtu.address), _SURE_S)


@KINDS.add()
async def confirms_that_nobody_awaits(scene: Scene) -> None:
    """Confirms out of the blue, of responses and of unsolicited ones."""
    async with scene.master.paused() as connection:
        for sequence in range(scene.random.randrange(1, 16)):
            octets = f.confirm(sequence, uns=bool(sequence % 2), to=scene.rtu.address)
            header = f.from_master(
                LinkFunction.UNCONFIRMED_USER_DATA,
                to=scene.rtu.address,
                source=scene.master.link_address,
                user_data=octets.user_data,
            )
            connection.send(header.octets)
        await connection.answered(scene.master.ask(connection, scene.rtu.address), BUSY_S)


# Strangers


@KINDS.add()
async def flood_of_refused_connections(scene: Scene) -> None:
    """Connections that no filter accepts: closed, without an octet."""

    async def knock() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.bind((STRANGER, 0))
            await loop.sock_connect(sock, (HOST, scene.master.port))
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                await loop.sock_sendall(sock, scene.random.randbytes(30))
            octets = b""
            with contextlib.suppress(ConnectionResetError):
                octets = await loop.sock_recv(sock, 100)
            if octets:
                scene.site.judge.accuse("misrouted", f"a stranger got {octets.hex(' ')}")

    async with asyncio.timeout(BUSY_S * 3):
        await asyncio.gather(*(knock() for _ in range(scene.random.randrange(10, 50))))
