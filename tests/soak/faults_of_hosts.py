"""Faults of machines and networks: peers that vanish or do not read, a stopped program, status clients."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import random
import socket
import struct
import time

from tests.soak.faults_masters import Connection, SoakMaster
from tests.soak.faults_scene import KINDS, Scene, cast
from tests.soak.faults_site import BUSY_S, GENEROUS, HALF_OPEN_TIMEOUT_S, SEND_STALL_S, Site
from tests.support import netns

_SO_ATTACH_FILTER = 26
_BPF_RETURN = 0x06
_LOOK_PAUSE_S = 0.05
_BATCH = 20
_BATCH_PAUSE_S = 0.05

has_own_network = False
"""Whether this process has a network of its own, whose loopback it may switch off."""


def deafen(sock: socket.socket) -> None:
    """Let the kernel throw away every segment for this socket before TCP sees it: its host is gone."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(drop_all))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


async def _gone(site: Site, connection: Connection, kind: str, limit_s: float) -> None:
    """Wait until the bridge has given a session up; it has a generous multiple of its limit."""
    begun_s = time.monotonic()

    async def is_gone() -> bool:
        return connection.name not in await site.peers()

    within_s = GENEROUS * limit_s + BUSY_S
    if await site.until(
        is_gone, f"{kind} session {connection.name} is gone", within_s=within_s, pause_s=_LOOK_PAUSE_S
    ):
        site.gone_s[kind].append(time.monotonic() - begun_s - site.judge.paused_since_s(begun_s))


async def _free_victim(site: Site) -> SoakMaster:
    victims = [master for master in site.masters if master not in site.regulars]
    while all(victim.is_away for victim in victims):
        await asyncio.wait(site.lingering, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
    return next(victim for victim in victims if not victim.is_away)


async def _linger(site: Site, begun: asyncio.Event, work: asyncio.Task[None]) -> None:
    """Let work go on after its fault is over; return when it has begun."""
    site.lingering.add(work)
    work.add_done_callback(site.lingering.discard)
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait((waiting, work), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()


@KINDS.add()
async def half_open_peer(scene: Scene) -> None:
    """A master's host vanishes: idle, or with an answer under way. Other faults go on meanwhile."""
    site, is_busy = scene.site, scene.random.random() < 0.5
    victim = await _free_victim(site)
    begun = asyncio.Event()

    async def vanish() -> None:
        victim.is_away = True
        try:
            async with victim.paused() as connection:
                await asyncio.sleep(0.02)
                deafen(connection.socket)
                if is_busy:
                    victim.ask(connection, victim.rtus[0].address)
                begun.set()
                await _gone(site, connection, "half_open", HALF_OPEN_TIMEOUT_S)
                connection.close()
        finally:
            victim.is_away = False

    await _linger(site, begun, asyncio.get_running_loop().create_task(vanish()))


@KINDS.add()
async def session_that_does_not_read(scene: Scene) -> None:
    """Its RTU talks and talks; it is dropped after the stall time, and all others are served meanwhile."""
    site, pause_s = scene.site, scene.random.uniform(_BATCH_PAUSE_S, 2 * _BATCH_PAUSE_S)
    victim = await _free_victim(site)
    victim.is_away = True
    try:
        async with victim.paused() as older:
            connection = await victim.connect(receive_octets=4096)
            await _wait_for_end(older)
            connection.transport.pause_reading()
            talking = asyncio.get_running_loop().create_task(_talk(victim, pause_s))
            try:
                await asyncio.gather(
                    _gone(site, connection, "send_stalled", SEND_STALL_S + BUSY_S), site.fresh()
                )
            finally:
                talking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await talking
            connection.close()
    finally:
        victim.is_away = False


async def _talk(victim: SoakMaster, pause_s: float) -> None:
    while True:
        await victim.rtus[0].say(b"".join(victim.rtus[0].unsolicited(filling=200) for _ in range(_BATCH)))
        await asyncio.sleep(pause_s)


async def _wait_for_end(connection: Connection) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BUSY_S):
            await connection.ended.wait()


@KINDS.add(every=4, is_combinable=False)
async def network_down(scene: Scene) -> None:
    """The interface to all masters goes down under them; each session is gone in time."""
    site = scene.site
    if not has_own_network:
        scene.skipped = "no network namespace of its own is possible here"
        return
    await site.settle()
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(master.paused()) for master in site.masters]
        known = await site.peers()
        netns.set_loopback(is_up=False)
        try:
            await asyncio.gather(
                *(
                    _gone(site, each, "half_open", HALF_OPEN_TIMEOUT_S)
                    for each in connections
                    if each.name in known
                )
            )
        finally:
            netns.set_loopback(is_up=True)
            for connection in connections:
                connection.close()


@KINDS.add(is_combinable=False)
async def stopped_program(scene: Scene) -> None:
    """SIGSTOP for a while, with everybody talking."""
    await scene.site.stop_for(scene.random.uniform(0.05, 0.8))


@KINDS.add()
async def status_clients_that_hang(scene: Scene) -> None:
    """They connect and read nothing, or say nonsense, or are gone at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(scene.random.randrange(3, 15)):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.connect(scene.site.status_path)
                client.send(scene.random.choice((scene.random.randbytes(300), b"GET / HTTP/1.1\r\n\r\n")))
            if scene.random.random() < 0.3:
                client.close()
        await asyncio.sleep(scene.random.uniform(0, 0.3))


@KINDS.add(is_combinable=False)
async def several_at_once(scene: Scene) -> None:
    """Two to four others at the same time, on different lines and sessions."""
    combinable = [kind for kind in KINDS.known.values() if kind.is_combinable]
    scenes = cast(scene.site, random.Random(scene.random.random()), scene.random.randrange(2, 5))
    chosen = scene.random.sample(combinable, len(scenes))
    await asyncio.gather(*(kind.act(each) for kind, each in zip(chosen, scenes, strict=True)))
