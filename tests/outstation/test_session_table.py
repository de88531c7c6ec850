"""Every cell of the session's table: how the state is reached, one fragment, and what comes of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product

import pytest

from bridge.application.measurement import PointKind
from bridge.outstation.config import UnsolicitedConfig
from bridge.outstation.points import BinaryInput, EventClass
from bridge.outstation.session import _ACTIONS
from bridge.outstation.states import TABLE, Action, State
from bridge.outstation.stimulus import Stimulus
from tests.outstation.harness import Harness, Later, watched_cells

BI = PointKind.BINARY_INPUT
St, S = State, Stimulus

READ_CLASS_0 = "> c1 01 3c 01 06"
CLASS_0 = "01 02 00 00 00"
EVENT = "02 02 17 01 00 81 00 68 e5 cf 8b 01"
WRITE_TIME = "02 32 01 07 01 00 68 e5 cf 8b 01"


def idle() -> Harness:
    """A master that has said nothing yet. No unsolicited responses."""
    o = Harness()
    o.add(0, BinaryInput(EventClass.CLASS_1))
    return o


def solicited() -> Harness:
    """A response with an event waits for its confirm."""
    o = idle()
    o.update(BI, 0, 1)
    o.talk(f"""
        > c1 01 3c 02 06
        < e1 81 00 00 {EVENT}
    """)
    return o


def solicited_for_a_broadcast() -> Harness:
    """The answer to a request that is no READ waits for its confirm: a broadcast asked for one."""
    o = idle()
    o.talk("""
        >fffe c0 18
        > c2 17
        < e2 81 01 00 34 02 07 01 00 00
    """)
    return o


def unsolicited() -> Harness:
    """The empty response after a restart waits for its confirm."""
    o = Harness(unsolicited=UnsolicitedConfig(), is_restarted=True)
    o.add(0, BinaryInput(EventClass.CLASS_1))
    o.talk("< f0 82 80 00")
    return o


def unsolicited_after(talk: str) -> Harness:
    """An unsolicited response with an event waits for its confirm, and this was said before it."""
    o = Harness(unsolicited=UnsolicitedConfig())
    o.add(0, BinaryInput(EventClass.CLASS_1))
    o.talk(f"""
        < f0 82 00 00
        > d0 00
        > c0 14 3c 02 06
        < c0 81 00 00
        {talk}
    """)
    o.update(BI, 0, 1)
    o.talk(f"< f1 82 00 00 {EVENT}")
    return o


def executing() -> Harness:
    """The application thinks about WRITE of the time."""
    o = idle()
    o.user.answers["write_time"] = Later()
    o.talk(f"> c2 {WRITE_TIME}")
    return o


def executing_a_broadcast(before: str) -> Harness:
    """The same, for a broadcast, after something that was answered."""
    o = idle()
    o.user.answers["write_time"] = Later()
    o.talk(f"""
        {before}
        >ffff c2 {WRITE_TIME}
    """)
    return o


def executing_unsolicited() -> Harness:
    """The same as `executing`, while an unsolicited confirm is awaited."""
    o = unsolicited()
    o.user.answers["write_time"] = Later()
    o.talk(f"> c2 {WRITE_TIME}")
    return o


def executing_a_broadcast_unsolicited(before: str) -> Harness:
    o = unsolicited_after(before)
    o.user.answers["write_time"] = Later()
    o.talk(f">ffff c2 {WRITE_TIME}")
    return o


@dataclass
class Cell:
    """A state, one fragment (the first line of `talk`), the answers, and the state afterwards.

    Where a handler was awaited it comes back with True after `talk`, and `then` follows.
    """

    state: State
    stimulus: Stimulus
    begin: object
    talk: str
    after: State
    then: str = ""


AFTER_WRITE = "< c2 81 00 00"
READ_AND_ANSWER = f"""
    {READ_CLASS_0}
    < c1 81 00 00 {CLASS_0} 01
"""
MEASURE_AND_ANSWER = """
    > c1 17
    < c1 81 00 00 34 02 07 01 00 00
"""

CELLS = [
    Cell(St.IDLE, S.READ, idle, READ_AND_ANSWER, St.IDLE),
    Cell(
        St.IDLE,
        S.READ_AGAIN,
        lambda: started(READ_AND_ANSWER),
        READ_AND_ANSWER,
        St.IDLE,
    ),
    Cell(St.IDLE, S.REQUEST, idle, MEASURE_AND_ANSWER, St.IDLE),
    Cell(St.IDLE, S.REQUEST_AGAIN, lambda: started(MEASURE_AND_ANSWER), MEASURE_AND_ANSWER, St.IDLE),
    Cell(St.IDLE, S.UNEXPECTED_CONFIRM, idle, "> c0 00", St.IDLE),
    Cell(St.IDLE, S.BROADCAST, idle, ">fffd c0 18", St.IDLE, "> c1 18 \n < c1 81 01 00"),
    Cell(St.IDLE, S.IGNORED, idle, "> c1", St.IDLE),
    # The confirm of a response.
    Cell(
        St.SOLICITED,
        S.READ,
        solicited,
        f"""
        {READ_CLASS_0}
        < c1 81 02 00 {CLASS_0} 81
        """,
        St.IDLE,
    ),
    Cell(
        St.SOLICITED,
        S.READ_AGAIN,
        solicited,
        f"""
        > c1 01 3c 02 06
        < e1 81 00 00 {EVENT}
        """,
        St.SOLICITED,
        "> c1 00",
    ),
    Cell(
        St.SOLICITED,
        S.REQUEST,
        solicited,
        """
        > c2 18
        < c2 81 02 00
        """,
        St.IDLE,
        "> c1 00",
    ),
    Cell(
        St.SOLICITED,
        S.REQUEST_AGAIN,
        solicited_for_a_broadcast,
        """
        > c2 17
        < e2 81 01 00 34 02 07 01 00 00
        """,
        St.SOLICITED,
    ),
    Cell(
        St.SOLICITED,
        S.CONFIRM,
        solicited,
        "> c1 00",
        St.IDLE,
        """
        > c2 01 3c 02 06
        < c2 81 00 00
        """,
    ),
    Cell(St.SOLICITED, S.UNEXPECTED_CONFIRM, solicited, "> c2 00", St.SOLICITED, "? 5.0"),
    Cell(
        St.SOLICITED,
        S.BROADCAST,
        solicited,
        ">ffff c2 18",
        St.IDLE,
        f"""
        > c1 00                      # too late: the event went back
        > c3 01 3c 02 06
        < e3 81 01 00 {EVENT}
        """,
    ),
    Cell(St.SOLICITED, S.IGNORED, solicited, "> 41 01", St.SOLICITED),
    # The confirm of an unsolicited response.
    Cell(
        St.UNSOLICITED,
        S.READ,
        unsolicited,
        READ_CLASS_0,
        St.UNSOLICITED,
        f"""
        > d0 00
        < c1 81 80 00 {CLASS_0} 01
        """,
    ),
    Cell(
        St.UNSOLICITED,
        S.READ_AGAIN,
        lambda: unsolicited_after(READ_AND_ANSWER),
        READ_CLASS_0,
        St.UNSOLICITED,
        f"""
        > d1 00
        < c1 81 00 00 {CLASS_0} 81
        """,
    ),
    Cell(
        St.UNSOLICITED,
        S.REQUEST,
        unsolicited,
        """
        > c1 18
        < c1 81 80 00
        """,
        St.UNSOLICITED,
    ),
    Cell(
        St.UNSOLICITED,
        S.REQUEST_AGAIN,
        lambda: unsolicited_after(MEASURE_AND_ANSWER),
        MEASURE_AND_ANSWER,
        St.UNSOLICITED,
    ),
    Cell(St.UNSOLICITED, S.UNSOLICITED_CONFIRM, unsolicited, "> d0 00", St.IDLE, "? -"),
    Cell(St.UNSOLICITED, S.UNEXPECTED_CONFIRM, unsolicited, "> d1 00", St.UNSOLICITED),
    Cell(
        St.UNSOLICITED,
        S.BROADCAST,
        unsolicited,
        ">ffff c1 18",
        St.UNSOLICITED,
        """
        > d0 00
        > c2 18
        < c2 81 81 00
        """,
    ),
    Cell(St.UNSOLICITED, S.IGNORED, unsolicited, "> c0 82 00 00", St.UNSOLICITED),
    # A handler of the application.
    Cell(
        St.EXECUTING,
        S.READ,
        executing,
        "> c3 01 3c 01 06",
        St.EXECUTING,
        f"""
        {AFTER_WRITE}
        < c3 81 00 00 {CLASS_0} 01
        """,
    ),
    Cell(
        St.EXECUTING,
        S.READ_AGAIN,
        lambda: executing_a_broadcast(READ_AND_ANSWER),
        READ_CLASS_0,
        St.EXECUTING,
        f"< c1 81 01 00 {CLASS_0} 01",
    ),
    Cell(
        St.EXECUTING,
        S.REQUEST,
        executing,
        "> c3 18",
        St.EXECUTING,
        f"""
        {AFTER_WRITE}
        < c3 81 00 00
        """,
    ),
    Cell(St.EXECUTING, S.REQUEST_AGAIN, executing, f"> c2 {WRITE_TIME}", St.EXECUTING, AFTER_WRITE),
    Cell(St.EXECUTING, S.UNEXPECTED_CONFIRM, executing, "> c2 00", St.EXECUTING, AFTER_WRITE),
    Cell(
        St.EXECUTING,
        S.BROADCAST,
        executing,
        ">ffff c3 18",
        St.EXECUTING,
        f"""
        {AFTER_WRITE}
        > c4 18
        < c4 81 01 00
        """,
    ),
    Cell(St.EXECUTING, S.IGNORED, executing, "> d3 01 3c 01 06", St.EXECUTING, AFTER_WRITE),
    # Both.
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.READ,
        executing_unsolicited,
        "> c3 01 3c 01 06",
        St.EXECUTING_UNSOLICITED,
        f"""
        < c2 81 80 00
        > d0 00
        < c3 81 80 00 {CLASS_0} 01
        """,
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.READ_AGAIN,
        lambda: executing_a_broadcast_unsolicited(READ_AND_ANSWER),
        READ_CLASS_0,
        St.EXECUTING_UNSOLICITED,
        f"""
        > d1 00
        < c1 81 01 00 {CLASS_0} 81
        """,
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.REQUEST,
        executing_unsolicited,
        "> c3 18",
        St.EXECUTING_UNSOLICITED,
        """
        < c2 81 80 00
        < c3 81 80 00
        """,
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.REQUEST_AGAIN,
        executing_unsolicited,
        f"> c2 {WRITE_TIME}",
        St.EXECUTING_UNSOLICITED,
        "< c2 81 80 00",
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.UNSOLICITED_CONFIRM,
        executing_unsolicited,
        "> d0 00",
        St.EXECUTING,
        "< c2 81 80 00",
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.UNEXPECTED_CONFIRM,
        executing_unsolicited,
        "> c2 00",
        St.EXECUTING_UNSOLICITED,
        "< c2 81 80 00",
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.BROADCAST,
        executing_unsolicited,
        ">ffff c3 18",
        St.EXECUTING_UNSOLICITED,
        """
        < c2 81 80 00
        > c4 18
        < c4 81 81 00
        """,
    ),
    Cell(
        St.EXECUTING_UNSOLICITED,
        S.IGNORED,
        executing_unsolicited,
        ">ffff c0 00",
        St.EXECUTING_UNSOLICITED,
        "< c2 81 80 00",
    ),
]


def started(talk: str) -> Harness:
    o = idle()
    o.talk(talk)
    return o


UNREACHABLE = {
    **dict.fromkeys(
        ((state, S.CONFIRM) for state in St if state is not St.SOLICITED),
        "CONFIRM is the name of the confirm that SOLICITED waits for; that wait ends with the state",
    ),
    **dict.fromkeys(
        ((state, S.UNSOLICITED_CONFIRM) for state in (St.IDLE, St.SOLICITED, St.EXECUTING)),
        "UNSOLICITED_CONFIRM is named so only while it is awaited, in the two states called after it",
    ),
}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.state.name}-{cell.stimulus.name}")
def test_cell(cell: Cell) -> None:
    o = cell.begin()  # type: ignore[operator]
    assert o.session._state is cell.state
    with watched_cells() as cells:
        o.talk(cell.talk)
    assert cells.used == [(cell.state, cell.stimulus)]
    assert o.session._state is cell.after
    if o.awaiting:
        o.resume(True)
    o.talk(cell.then)


def test_the_answer_again_while_a_broadcast_is_executed() -> None:
    o = executing_a_broadcast(MEASURE_AND_ANSWER)
    with watched_cells() as cells:
        o.talk(MEASURE_AND_ANSWER)
    assert cells.used == [(St.EXECUTING, S.REQUEST_AGAIN)]


def test_the_table_is_total() -> None:
    assert set(TABLE) == set(product(State, Stimulus))
    assert set(TABLE.values()) == set(Action) == set(_ACTIONS)


def test_every_cell_has_a_test() -> None:
    tried = [(cell.state, cell.stimulus) for cell in CELLS]
    assert len(set(tried)) == len(tried)
    assert set(tried) | set(UNREACHABLE) == set(product(State, Stimulus))
    assert not set(tried) & set(UNREACHABLE)


def test_a_random_walk_meets_all_cells_and_no_other() -> None:
    chance = random.Random(1815)
    bodies = ["01 3c 02 06", "01 3c 01 06", "17", "18", WRITE_TIME, "00", "00", "00", "81 00 00", ""]
    met = set()
    for _ in range(30):
        o = unsolicited_after("")
        o.user.answers["write_time"] = Later()
        with watched_cells() as cells:
            for step in range(400):
                walk(o, chance, bodies, step)
        met |= set(cells.used)
    assert met == set(product(State, Stimulus)) - set(UNREACHABLE)


def walk(o: Harness, chance: random.Random, bodies: list[str], step: int) -> None:
    """Do one of the things that can happen."""
    body = bytes.fromhex(chance.choice(bodies))
    match chance.randrange(10):
        case 0 if o.awaiting:
            o.resume(True)
        case 1:
            o.update(BI, 0, step % 2)
        case 2:
            o.wait(chance.choice((0.5, 6.0)))
        case 3:
            o.send(bytes((0xC0 | chance.randrange(2),)) + body, destination=0xFFFD + chance.randrange(3))
        case _:
            session = o.session
            sequence = chance.randrange(2)
            control = 0xC0
            if session._last is not None and chance.random() < 0.2:
                sequence, body = session._last.octets[0] & 0x0F, session._last.octets[1:]
            if body == b"\0" and chance.random() < 0.4:
                if session._confirm is not None:
                    sequence = session._confirm.sequence
                elif session._unsolicited is not None:
                    control, sequence = 0xD0, session._schedule.sequence
            o.send(bytes((control | sequence,)) + body)
    o.heard.clear()
