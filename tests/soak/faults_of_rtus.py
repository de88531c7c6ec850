"""Faults that RTUs and lines make."""

from __future__ import annotations

import asyncio

from bridge.bench import Direction, Noise
from tests.soak.faults_rtus import Asked, SoakRtu
from tests.soak.faults_scene import KINDS, Scene
from tests.soak.faults_site import EXCHANGE_LIMIT_S, RESPONSE_TIMEOUT_S
from tests.soak.faults_tags import damaged
from tests.support import frames as f

_FEW_S = 0.25
"""Time for a few exchanges."""
_NOBODY = 777


# What an RTU answers


@KINDS.add()
async def silent_rtu(scene: Scene) -> None:
    """No answer at all."""

    async def silent(_rtu: SoakRtu, _asked: Asked) -> None:
        return

    async with scene.rtu.behaving(silent):
        await asyncio.sleep(scene.random.uniform(0.1, 3 * RESPONSE_TIMEOUT_S))


@KINDS.add()
async def late_answers(scene: Scene) -> None:
    """Answers after the response timeout, while the master has asked anew."""

    async def late(rtu: SoakRtu, asked: Asked) -> None:
        await asyncio.sleep(RESPONSE_TIMEOUT_S * scene.random.uniform(0.8, 3))
        await rtu.answer(asked)

    async with scene.rtu.behaving(late):
        await asyncio.sleep(scene.random.uniform(0.5, 1.2))


@KINDS.add()
async def late_answers_to_a_hasty_master(scene: Scene) -> None:
    """A master that asks anew before it can have an answer, of an RTU that answers everything in turn."""

    async def late(rtu: SoakRtu, asked: Asked) -> None:
        await asyncio.sleep(0.04)
        await rtu.answer(asked)

    async with scene.master.paused() as connection, scene.rtu.behaving(late):
        for _ in range(scene.random.randrange(3, 10)):
            scene.master.ask(connection, scene.rtu.address)
            await asyncio.sleep(scene.random.uniform(0, 0.06))
        await connection.answered(scene.master.ask(connection, scene.rtu.address), 3 * RESPONSE_TIMEOUT_S)


@KINDS.add()
async def answers_twice(scene: Scene) -> None:
    """Each answer is repeated, at once or a little later."""

    async def twice(rtu: SoakRtu, asked: Asked) -> None:
        octets = rtu.answer_octets(asked, filling=20)
        await rtu.say(octets)
        await asyncio.sleep(scene.random.choice((0, 0.01, 0.05)))
        await rtu.say(octets)

    async with scene.rtu.behaving(twice):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def answers_with_anothers_address(scene: Scene) -> None:
    """The source is that of another RTU of this line, of another line, or of nobody."""
    neighbours = [rtu.address for rtu in scene.line.rtus if rtu is not scene.rtu]
    elsewhere = [address for address in scene.site.rtus if address not in neighbours]

    async def lying(rtu: SoakRtu, asked: Asked) -> None:
        choices = [*neighbours, scene.random.choice(elsewhere), _NOBODY]
        source = scene.random.choice([address for address in choices if address != rtu.address])
        await rtu.answer(asked, source=source)

    async with scene.rtu.behaving(lying):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def answers_to_another_master(scene: Scene) -> None:
    """The destination is another master's address, or nobody's."""

    async def lying(rtu: SoakRtu, asked: Asked) -> None:
        masters = [master.link_address for master in scene.site.masters] + [_NOBODY, 0xFFFF]
        to = scene.random.choice([address for address in masters if address != asked.master])
        await rtu.say(rtu.answer_octets(asked, to=to))

    async with scene.rtu.behaving(lying):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def answers_with_another_sequence(scene: Scene) -> None:
    """An answer to a sequence number that nobody asked with."""

    async def lying(rtu: SoakRtu, asked: Asked) -> None:
        await rtu.say(
            rtu.answer_octets(asked, sequence=(asked.sequence + scene.random.randrange(1, 16)) % 16)
        )

    async with scene.rtu.behaving(lying):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def endless_segments(scene: Scene) -> None:
    """An answer that goes on and on, until the exchange's limit and beyond."""

    async def endless(rtu: SoakRtu, asked: Asked) -> None:
        await rtu.say_segments(asked, 5000, pause_s=0.02, filling=80)

    async with scene.rtu.behaving(endless):
        await asyncio.sleep(scene.random.uniform(0.2, 1.3 * EXCHANGE_LIMIT_S))


@KINDS.add()
async def an_answer_that_breaks_off(scene: Scene) -> None:
    """The first segments, or half a frame, and then nothing."""

    async def broken(rtu: SoakRtu, asked: Asked) -> None:
        if scene.random.random() < 0.5:
            await rtu.say(rtu.answer_octets(asked, transport=f.FIR, filling=50))
        else:
            octets = rtu.answer_octets(asked, filling=50)
            await rtu.say(octets[: scene.random.randrange(1, len(octets))])

    async with scene.rtu.behaving(broken):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def answers_octet_by_octet(scene: Scene) -> None:
    """Frames in pieces of an octet, which are whole in the end."""

    async def slowly(rtu: SoakRtu, asked: Asked) -> None:
        for octet in rtu.answer_octets(asked, filling=10):
            await rtu.say(bytes((octet,)))
            await asyncio.sleep(0)

    async with scene.rtu.behaving(slowly):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def damaged_answers(scene: Scene) -> None:
    """One octet is wrong; sometimes the right frame follows."""

    async def wrong(rtu: SoakRtu, asked: Asked) -> None:
        octets = rtu.answer_octets(asked, filling=120)
        await rtu.say(damaged(octets, scene.random.randrange(2, len(octets))))
        if scene.random.random() < 0.5:
            await rtu.say(octets)

    async with scene.rtu.behaving(wrong):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def garbage_around_answers(scene: Scene) -> None:
    """Octets that are no frame before and after each answer."""

    async def dirty(rtu: SoakRtu, asked: Asked) -> None:
        before, after = (scene.random.randbytes(scene.random.randrange(1, 40)) for _ in range(2))
        await rtu.say(before + rtu.answer_octets(asked, filling=60) + after + b"\x05")

    async with scene.rtu.behaving(dirty):
        await asyncio.sleep(_FEW_S)


@KINDS.add()
async def frames_of_another_master_on_the_line(scene: Scene) -> None:
    """Frames with DIR set: somebody else's master, or our own echo."""

    async def echoing(rtu: SoakRtu, asked: Asked) -> None:
        await rtu.say(asked.request.frames[0])
        await rtu.say(f.link_status_request(rtu.address, asked.master).octets)
        await rtu.answer(asked)

    async with scene.rtu.behaving(echoing):
        await asyncio.sleep(_FEW_S)


# What an RTU says of its own accord


@KINDS.add()
async def unsolicited_responses(scene: Scene) -> None:
    """Many at once, some for masters that are not its own, some while nobody is connected."""
    others = [master.link_address for master in scene.site.masters if master is not scene.master]
    octets = bytearray()
    for _ in range(scene.random.randrange(5, 60)):
        to = scene.random.choice((None, None, scene.random.choice(others), _NOBODY))
        octets += scene.rtu.unsolicited(to=to, filling=scene.random.randrange(200))
    await scene.rtu.say(bytes(octets))
    if scene.random.random() < 0.3:
        async with scene.master.paused() as connection:
            connection.close()
            await scene.rtu.say(b"".join(scene.rtu.unsolicited() for _ in range(5)))


@KINDS.add()
async def babble(scene: Scene) -> None:
    """Talk without end: random octets, or whole frames of nobody."""
    frames = f.unsolicited(source=_NOBODY, to=scene.master.link_address).octets
    octets = scene.random.choice((None, frames, b"\x05\x64", b"\x00"))
    scene.rtu.end.babble(octets)
    try:
        await asyncio.sleep(scene.random.uniform(0.2, 1.0))
    finally:
        scene.rtu.end.hush()


# What a line does


async def _noise(scene: Scene, direction: Direction) -> None:
    noise = Noise(
        seed=scene.random.randrange(1 << 30),
        between=scene.random.uniform(0.2, 1),
        inside=scene.random.uniform(0.2, 0.9),
    )
    scene.line.wire.make_noise(direction, noise)
    try:
        await asyncio.sleep(scene.random.uniform(0.2, 0.5))
    finally:
        scene.line.wire.make_clean()


@KINDS.add()
async def noise_to_the_bridge(scene: Scene) -> None:
    """Octets flipped, inserted and lost in what RTUs say."""
    await _noise(scene, Direction.TO_BRIDGE)


@KINDS.add()
async def noise_to_the_rtus(scene: Scene) -> None:
    """Octets flipped, inserted and lost in what the bridge says."""
    async with scene.line.disturbed():
        await _noise(scene, Direction.TO_RTU)
        await asyncio.sleep(0.05)


@KINDS.add()
async def floating_line(scene: Scene) -> None:
    """An idle line that sounds."""
    async with scene.line.disturbed():
        scene.line.wire.float_idle(scene.random.uniform(0.05, 0.6))
        try:
            await asyncio.sleep(scene.random.uniform(0.2, 0.7))
        finally:
            scene.line.wire.make_clean()
        await asyncio.sleep(0.05)


@KINDS.add()
async def unplug_and_replug(scene: Scene) -> None:
    """The adapter is pulled out and put back."""
    async with scene.line.disturbed():
        scene.line.wire.unplug()
        await asyncio.sleep(scene.random.choice((0, 0.05, 0.4)))
        scene.line.wire.replug()


@KINDS.add()
async def unplug_mid_request(scene: Scene) -> None:
    """The adapter is pulled out while a request of several segments is on the wire."""
    async with scene.master.paused() as connection, scene.line.disturbed():
        request = scene.master.request(connection, scene.rtu.address, segments=6, filling=200)
        connection.send(b"".join(request.frames))
        await asyncio.sleep(scene.random.uniform(0, 0.05))
        scene.line.wire.unplug()
        await asyncio.sleep(scene.random.choice((0, 0.1)))
        scene.line.wire.replug()


@KINDS.add()
async def unplug_mid_answer(scene: Scene) -> None:
    """The adapter is pulled out while an answer is on the wire."""
    has_begun = asyncio.Event()

    async def slowly(rtu: SoakRtu, asked: Asked) -> None:
        octets = rtu.answer_octets(asked, filling=200)
        await rtu.say(octets[:100])
        has_begun.set()
        await asyncio.sleep(0.02)
        await rtu.say(octets[100:])

    async with scene.rtu.behaving(slowly), scene.line.disturbed():
        try:
            async with asyncio.timeout(3 * RESPONSE_TIMEOUT_S):
                await has_begun.wait()
        except TimeoutError:
            pass
        scene.line.wire.unplug()
        await asyncio.sleep(0.05)
        scene.line.wire.replug()


@KINDS.add()
async def loose_contact(scene: Scene) -> None:
    """Out and in, many times."""
    async with scene.line.disturbed():
        for _ in range(scene.random.randrange(3, 10)):
            scene.line.wire.unplug()
            await asyncio.sleep(scene.random.uniform(0, 0.03))
            scene.line.wire.replug()
            await asyncio.sleep(scene.random.uniform(0, 0.15))


@KINDS.add()
async def rtu_restart(scene: Scene) -> None:
    """The RTU loses its power in the midst of what it does, and comes back with nothing to say."""
    async with scene.line.disturbed():
        scene.rtu.end.die()
        await scene.rtu.forget()
        await asyncio.sleep(scene.random.uniform(0.05, 0.5))
        scene.rtu.end.revive()
