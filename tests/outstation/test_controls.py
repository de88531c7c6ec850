"""SELECT, OPERATE, DIRECT OPERATE with and without answer, in octets."""

from __future__ import annotations

import pytest

from bridge.application.command import CommandStatus
from bridge.application.measurement import PointKind
from bridge.outstation.points import AnalogOutput, BinaryOutput, EventClass
from tests.outstation.harness import Harness, Later

COMMANDS = {
    # name: one header without its status, calls of the handler
    "crob latch on": ("0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00", "crob 03 1x 0/0 5"),
    "crob latch off": ("0c 01 17 01 05 04 01 00 00 00 00 00 00 00 00", "crob 04 1x 0/0 5"),
    "crob pulse close": ("0c 01 17 01 05 41 02 e8 03 00 00 f4 01 00 00", "crob 41 2x 1000/500 5"),
    "crob wide index": ("0c 01 28 01 00 05 00 81 01 ff ff ff ff 00 00 00 00", "crob 81 1x 4294967295/0 5"),
    "g41v1": ("29 01 17 01 07 c0 1d fe ff", "g41v1 -123456 7"),
    "g41v2": ("29 02 17 01 07 fd ff", "g41v2 -3 7"),
    "g41v3": ("29 03 17 01 07 00 00 c0 3f", "g41v3 1.5 7"),
    "g41v4": ("29 04 28 01 00 07 00 00 00 00 00 00 00 f8 bf", "g41v4 -1.5 7"),
}


def outstation(**settings: object) -> Harness:
    o = Harness(**settings)  # type: ignore[arg-type]
    o.add(5, BinaryOutput(command_class=EventClass.CLASS_1))
    o.add(6, BinaryOutput())
    o.add(7, AnalogOutput(command_class=EventClass.CLASS_2, command_variation=1))
    return o


@pytest.mark.parametrize("name", COMMANDS)
def test_select_and_operate(name: str) -> None:
    header, call = COMMANDS[name]
    o = outstation()
    o.talk(f"""
        > c1 03 {header} 00
        < c1 81 00 00 {header} 00
        > c2 04 {header} 00
        < c2 81 .. 00 {header} 00
    """)
    assert o.user.calls == [f"select {call}", f"operate {call} OPERATE"]


@pytest.mark.parametrize("name", COMMANDS)
def test_direct_operate(name: str) -> None:
    header, call = COMMANDS[name]
    o = outstation()
    o.talk(f"""
        > c1 05 {header} 00
        < c1 81 .. 00 {header} 00
        > c2 06 {header} 00
    """)
    assert o.user.calls == [f"operate {call} DIRECT_OPERATE", f"operate {call} DIRECT_OPERATE_NR"]


@pytest.mark.parametrize("status", CommandStatus)
@pytest.mark.parametrize("function", ["03", "05"])
def test_every_status(function: str, status: CommandStatus) -> None:
    header, _ = COMMANDS["crob latch on"]
    o = outstation()
    o.user.answers |= {"select": status, "operate": status}
    o.talk(f"""
        > c1 {function} {header} 00
        < c1 81 .. 00 {header} {status:02x}
    """)


def test_a_refused_select_cannot_be_operated() -> None:
    header, _ = COMMANDS["crob latch on"]
    o = outstation()
    o.user.answers["select"] = CommandStatus.LOCAL
    o.talk(f"""
        > c1 03 {header} 00
        < c1 81 00 00 {header} 07
        > c2 04 {header} 00
        < c2 81 00 00 {header} 02
    """)
    assert [call.split()[0] for call in o.user.calls] == ["select"]


def test_several_objects_and_headers_in_one_request() -> None:
    o = outstation()
    body = (
        "0c 01 17 02 05 03 01 00 00 00 00 00 00 00 00 00 06 04 01 00 00 00 00 00 00 00 00 00"
        " 29 02 28 01 00 07 00 0a 00 00"
    )
    o.talk(f"""
        > c1 03 {body}
        < c1 81 00 00 {body}
        > c2 04 {body}
        < c2 81 06 00 {body}
    """)
    assert [call.split()[0] for call in o.user.calls] == ["select"] * 3 + ["operate"] * 3


def test_one_that_is_refused_does_not_stop_the_others() -> None:
    o = outstation()
    outcomes = iter([CommandStatus.SUCCESS, CommandStatus.OUT_OF_RANGE, CommandStatus.SUCCESS])
    o.user.select = lambda command, index: next(outcomes)  # type: ignore[method-assign]
    o.talk("""
        > c1 03 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 00
        < c1 81 00 00 29 02 17 03 01 0a 00 00 02 0b 00 0c 03 0c 00 00
        > c2 04 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 00
        < c2 81 00 00 29 02 17 03 01 0a 00 02 02 0b 00 02 03 0c 00 02
    """)


def test_too_many_controls() -> None:
    o = outstation(controls_per_request=2)
    o.talk("""
        > c1 05 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 00
        < c1 81 00 00 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 08
        > c2 03 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 00
        < c2 81 00 00 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 08
        > c3 04 29 02 17 03 01 0a 00 00 02 0b 00 00 03 0c 00 00
        < c3 81 00 00 29 02 17 03 01 0a 00 02 02 0b 00 02 03 0c 00 02
        > c4 03 29 02 17 01 01 0a 00 00 29 02 17 02 02 0b 00 00 03 0c 00 00
        < c4 81 00 00 29 02 17 01 01 0a 00 00 29 02 17 02 02 0b 00 00 03 0c 00 08
    """)
    assert len([call for call in o.user.calls if call.startswith("operate")]) == 2


def test_an_answer_that_would_not_fit_one_fragment() -> None:
    o = outstation(longest_response=249)
    objects = b"".join(bytes((index, 10, 0, 0)) for index in range(61))
    request = bytes((0xC1, 5, 41, 2, 0x17, 61)) + objects
    assert len(request) > 249
    for function in ("03", "04", "05"):
        o.talk(f"""
            > c1 {function} {request[2:].hex()}
            < c1 81 00 04
        """)
    assert o.user.calls == []
    o.talk(f"> c4 06 {request[2:].hex()}")
    assert len(o.user.calls) == 16
    o.user.calls.clear()
    longest = bytes((41, 2, 0x17, 60)) + objects[:240]
    assert len(bytes.fromhex(o.ask(f"c5 05 {longest.hex()}"))) == 248


def test_async_handlers_one_at_a_time() -> None:
    o = outstation()
    o.user.answers |= {"select": Later(), "operate": Later()}
    o.talk("> c1 03 29 02 17 02 01 0a 00 00 02 0b 00 00")
    assert len(o.user.calls) == len(o.awaiting) == 1
    o.resume(CommandStatus.SUCCESS)
    assert len(o.user.calls) == 2
    o.resume(CommandStatus.SUCCESS)
    o.talk("""
        < c1 81 00 00 29 02 17 02 01 0a 00 00 02 0b 00 00
        > c2 04 29 02 17 02 01 0a 00 00 02 0b 00 00
    """)
    o.resume(CommandStatus.HARDWARE_ERROR)
    o.resume(CommandStatus.SUCCESS)
    o.talk("< c2 81 00 00 29 02 17 02 01 0a 00 06 02 0b 00 00")


def test_an_async_direct_operate_without_answer() -> None:
    o = outstation()
    o.user.answers["operate"] = Later()
    o.talk("> c1 06 29 02 17 01 01 0a 00 00")
    o.resume(CommandStatus.SUCCESS)
    o.talk("? -")


def test_handlers_that_raise() -> None:
    o = outstation()
    o.user.answers |= {"select": RuntimeError("stuck"), "operate": RuntimeError("stuck")}
    o.talk("""
        > c1 03 29 02 17 01 01 0a 00 00
        < c1 81 00 00 29 02 17 01 01 0a 00 06
        > c2 05 29 02 17 01 01 0a 00 00
        < c2 81 00 00 29 02 17 01 01 0a 00 06
    """)
    assert o.user.notes == ["handler_failed stuck"] * 2
    o.user.answers["operate"] = Later()
    o.talk("> c3 05 29 02 17 02 01 0a 00 00 02 0b 00 00")
    o.resume(error=RuntimeError("late"))
    o.resume(CommandStatus.SUCCESS)
    o.talk("< c3 81 00 00 29 02 17 02 01 0a 00 06 02 0b 00 00")


@pytest.mark.parametrize("answer", [None, 19, 125, "on", 200])
def test_handlers_that_answer_nonsense(answer: object) -> None:
    o = outstation()
    o.user.answers["operate"] = answer
    o.talk("""
        > c2 05 29 02 17 01 01 0a 00 00
        < c2 81 00 00 29 02 17 01 01 0a 00 06
    """)


def test_a_status_may_be_a_plain_number() -> None:
    o = outstation()
    o.user.answers |= {"select": 0, "operate": 0}
    o.talk("""
        > c1 03 29 02 17 01 01 0a 00 00
        < c1 81 00 00 29 02 17 01 01 0a 00 00
        > c2 04 29 02 17 01 01 0a 00 00
        < c2 81 00 00 29 02 17 01 01 0a 00 00
    """)


MALFORMED = {
    # name: body, IIN
    "nothing": ("", "c1 81 00 00"),
    "no objects": ("0c 01 17 00", "c1 81 00 04"),
    "cut short": ("0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00", "c1 81 00 04"),
    "with a range": ("0c 01 00 05 05 03 01 00 00 00 00 00 00 00 00 00", "c1 81 00 04"),
    "any variation": ("0c 00 17 01 05", "c1 81 00 02"),
    "pattern control block": ("0c 02 07 01 03 01 00 00 00 00 00 00 00 00 00", "c1 81 00 02"),
    "no command": ("0a 02 17 01 05 81", "c1 81 00 02"),
    "one that is wrong among others": ("29 02 17 01 07 0a 00 00 0a 02 17 01 05 81", "c1 81 00 02"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    body, answer = MALFORMED[name]
    o = outstation()
    for function in ("03", "04", "05"):
        o.talk(f"""
            > c1 {function} {body}
            < {answer}
        """)
    o.talk(f"> c1 06 {body}")
    assert o.user.calls == []


# Command events.


CROB_EVENTS = [
    # code, commanded state
    ("00", False),
    ("01", True),
    ("02", False),
    ("03", True),
    ("04", False),
    ("41", True),
    ("81", False),
    ("43", True),
    ("84", False),
    ("13", True),
    ("23", True),
]


@pytest.mark.parametrize(("code", "state"), CROB_EVENTS)
def test_a_crob_makes_an_event(code: str, state: bool) -> None:
    o = outstation()
    header = f"0c 01 17 01 05 {code} 01 00 00 00 00 00 00 00 00"
    o.talk(f"""
        > c1 05 {header} 00
        < c1 81 02 00 {header} 00
        > c2 01 3c 02 06
        < e2 81 00 00  0d 02 17 01 05 {0x80 if state else 0:02x} 00 68 e5 cf 8b 01
    """)


def test_an_analog_command_makes_an_event() -> None:
    o = outstation()
    o.talk("""
        > c1 05 29 02 17 01 07 fd ff 00
        < c1 81 04 00 29 02 17 01 07 fd ff 00
        > c2 01 2b 00 06
        < e2 81 00 00  2b 01 17 01 07 00 fd ff ff ff
    """)


def test_a_refused_command_makes_one_with_its_status() -> None:
    o = outstation()
    o.user.answers["operate"] = CommandStatus.LOCAL
    o.talk("""
        > c1 05 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        < c1 81 02 00 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 07
        > c2 01 0d 01 06
        < e2 81 00 00  0d 01 17 01 05 87
    """)


def test_a_select_makes_none_and_an_output_without_a_class_neither() -> None:
    o = outstation()
    o.talk("""
        > c1 03 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        < c1 81 00 00 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        > c2 05 0c 01 17 02 06 03 01 00 00 00 00 00 00 00 00 00 09 03 01 00 00 00 00 00 00 00 00 00
        < c2 81 00 00 0c 01 17 02 06 03 01 00 00 00 00 00 00 00 00 00 09 03 01 00 00 00 00 00 00 00 00 00
    """)


def test_the_kinds_of_the_points_are_their_own() -> None:
    o = outstation()
    assert o.database.has(PointKind.BINARY_OUTPUT, 5)
    o.talk("""
        > c1 05 29 02 17 01 05 fd ff 00          # an analog output 5 there is not
        < c1 81 00 00 29 02 17 01 05 fd ff 00
    """)
