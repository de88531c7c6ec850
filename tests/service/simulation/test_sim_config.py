"""Files that describe simulated RTUs: what they mean, and every problem of a wrong one at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.command import CommandStatus
from bridge.application.measurement import PointKind
from bridge.errors import ConfigurationError
from bridge.outstation.points import AnalogInput, BinaryOutput, EventClass
from bridge.service.simulation.sim import example
from bridge.service.simulation.sim_config import Rtu, load, parse
from bridge.service.simulation.sim_keys import CHANGE_KEYS, COMMAND_KEYS, POINT_KEYS, RTU_KEYS
from bridge.service.simulation.waveforms import Change, Shape


def one(text: str) -> Rtu:
    (rtu,) = parse(text, "rtu.toml")
    return rtu


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "f")
    assert all(problem.startswith("f: ") for problem in caught.value.problems)
    return [problem.removeprefix("f: ") for problem in caught.value.problems]


def test_an_empty_file_is_an_rtu_without_points() -> None:
    rtu = one("")
    assert (rtu.config.name, rtu.config.link_address, rtu.config.master_address) == ("rtu", 1024, None)
    assert (rtu.points, rtu.commands, rtu.attributes) == ((), (), ())


def test_settings() -> None:
    rtu = one("""
        [outstation]
        name = "pole"
        link_address = 7
        master_address = 3
        unsolicited = false
        longest_request = 300
        longest_response = 249
        controls_per_request = 4
        confirm_timeout_ms = 1500
        select_timeout_ms = 2500
        keep_alive_s = 0
        self_address = false
        answer_delay_ms = 30
        update_ms = 100
        needs_time = true
        [outstation.events]
        analog_input = 7
        binary_command = 0
    """)
    config = rtu.config
    assert (config.name, config.link_address, config.master_address) == ("pole", 7, 3)
    assert (config.longest_request, config.longest_response, config.controls_per_request) == (300, 249, 4)
    assert (config.confirm_timeout_s, config.select_timeout_s, config.keep_alive_s) == (1.5, 2.5, None)
    assert not config.unsolicited.is_supported
    assert not config.answers_self_address
    assert (rtu.answer_delay_s, rtu.update_s, rtu.needs_time) == (0.03, 0.1, True)
    sizes = rtu.event_sizes
    assert (sizes.analog_input, sizes.binary_command, sizes.counter) == (7, 0, 100)


def test_points() -> None:
    first, second, third = one("""
        [[point]]
        kind = "analog_input"
        indices = "4, 300"
        class = 2
        in_class_0 = false
        value = 12.5
        static_variation = 5
        event_variation = 7
        deadband = 0.5
        deadband_variation = 1
        change = { kind = "sine", period_s = 10, min = -1, max = 1 }
        [[point]]
        kind = "binary_output"
        index = 0
        command_class = 3
        command_variation = 1
    """).points
    config = AnalogInput(
        EventClass.CLASS_2,
        in_class_0=False,
        static_variation=5,
        event_variation=7,
        deadband=0.5,
        deadband_variation=1,
    )
    shape = Shape(period_s=10.0, low=-1, high=1)
    assert (first.index, first.config, first.value) == (4, config, 12.5)
    assert (first.change, second.change) == (Change("sine", shape), Change("sine", shape, delay_s=5.0))
    assert (second.index, second.config) == (300, config)
    assert third.config == BinaryOutput(
        EventClass.CLASS_1, command_class=EventClass.CLASS_3, command_variation=1
    )
    assert (third.value, third.change) == (False, None)


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("binary_input", "true", True),
        ("double_bit_input", '"on"', 2),
        ("double_bit_input", '"intermediate"', 0),
        ("counter", "4294967295", 4294967295),
        ("frozen_counter", "7", 7),
        ("analog_output", "-7", -7),
        ("octet_string", '"ä"', "ä".encode()),
    ],
)
def test_values(kind: str, written: str, value: object) -> None:
    (point,) = one(f'[[point]]\nkind = "{kind}"\nindex = 0\nvalue = {written}').points
    assert point.value == value
    assert type(point.value) is type(value)


@pytest.mark.parametrize("kind", PointKind)
def test_every_kind_has_a_default_value(kind: PointKind) -> None:
    (point,) = one(f'[[point]]\nkind = "{kind}"\nindex = 65535').points
    assert point.kind is kind


def test_random_walks_of_one_entry_differ_by_their_seed_and_counters_go_together() -> None:
    points = one("""
        [[point]]
        kind = "analog_input"
        indices = "0-1"
        change = { kind = "random_walk", seed = 5 }
        [[point]]
        kind = "counter"
        indices = "0-1"
        change = { kind = "count" }
    """).points
    changes = [point.change for point in points]
    assert [change.shape.seed for change in changes[:2] if change] == [5, 6]
    assert changes[2] == changes[3] == Change("count", Shape())


def test_commands() -> None:
    first, second, third = one("""
        [[point]]
        kind = "binary_input"
        indices = "8-9"
        [[point]]
        kind = "double_bit_input"
        indices = "1-2"
        [[command]]
        kind = "binary_output"
        indices = "0-1"
        feeds = [{ kind = "binary_input", index = 8 }, { kind = "double_bit_input", index = 1 }]
        delay_ms = 250
        [[command]]
        kind = "analog_output"
        index = 5
        status = "blocked"
    """).commands
    contact, breaker = PointKind.BINARY_INPUT, PointKind.DOUBLE_BIT_INPUT
    assert (first.index, first.feeds, first.delay_s) == (0, ((contact, 8), (breaker, 1)), 0.25)
    assert (second.index, second.feeds) == (1, ((contact, 9), (breaker, 2)))
    assert (third.kind, third.feeds, third.status) == (PointKind.ANALOG_OUTPUT, (), CommandStatus.BLOCKED)


def test_attributes() -> None:
    entries = one("""
        [[attribute]]
        number = 250
        value = "RTU"
        writable = true
        [[attribute]]
        set = 7
        number = 1
        value = -3
        [[attribute]]
        number = 203
        value = 1.5
        [[attribute]]
        number = 219
        value = true
    """).attributes
    assert [(each.attribute_set, each.number, each.attribute, each.is_writable) for each in entries] == [
        (0, 250, Attribute(AttributeType.VSTR, "RTU"), True),
        (7, 1, Attribute(AttributeType.INT, -3), False),
        (0, 203, Attribute(AttributeType.FLT, 1.5), False),
        (0, 219, Attribute(AttributeType.UINT, 1), False),
    ]


MANY = """
    [[outstation]]
    name = "a"
    link_address = 1
    [[outstation]]
    name = "b"
    link_address = 2
    [[point]]
    kind = "binary_input"
    index = 0
    [[point]]
    outstation = "b"
    kind = "binary_input"
    index = 1
"""


def test_points_are_in_all_outstations_or_in_the_one_that_they_name() -> None:
    first, second = parse(MANY, "f")
    assert [point.index for point in first.points] == [0]
    assert [point.index for point in second.points] == [0, 1]


def test_what_all_outstations_share_is_wrong_once() -> None:
    wrong = MANY + '[[point]]\nkind = "binary_input"\nindices = "0-5"\n'
    assert problems(wrong) == ["point.#3: point binary_input 0 is that of point.#1 too; write each once"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[outstation]\nname = 'a b'", "name: 'a b' is no name of letters"),
        ("[outstation]\nlink_address = 65535", "link_address: 65535 (0xFFFF) is a broadcast address"),
        ("[outstation]\nmaster_address = 'all'", "master_address: 'all' is no address; write 'any'"),
        ("[outstation]\nunsolicitet = true", "unsolicitet: is no key here; did you mean 'unsolicited'?"),
        ("[outstation]\nlongest_response = 248", "248 is out of range; write 249 to 65535"),
        ("[outstation.events]\ncounter = -1", "outstation.events.counter: -1 is out of range"),
        ("outstation = []", "outstation: is empty; write a table of outstation"),
        ("outstation = [1]", "outstation: entry 1 is an integer; write tables only"),
        ("[point]\nkind = 'counter'", "point: this is a table; write an array of tables, such as [[point]]"),
        ("[[point]]\nindex = 0", 'point.#1.kind: is missing; write kind = "analog_input"'),
        ("[[point]]\nkind = 'counter'", "point.#1.index: is missing; write index = 0 or indices ="),
        ("[[point]]\nkind = 'counter'\nindex = 0\nindices = '1'", "indices: stands beside index"),
        ("[[point]]\nkind = 'counter'\nindex = 65536", "65536 is out of range; write 0 to 65535"),
        ("[[point]]\nkind = 'counter'\nindices = '5-2'", "'5-2' ends before it begins; write single ones"),
        ("[[point]]\nkind = 'counter'\nindices = 'x'", "'x' is no range of indices; write single ones"),
        ("[[point]]\nkind = 'counter'\nindices = '0-5,3'", "names an index twice; name each once"),
        ("[[point]]\nkind = 'counter'\nindices = '0-70000'", "70000 is out of range; write 0 to 65535"),
        ("[[point]]\nkind = 'analog'\nindex = 0", "'analog' is not possible here; write 'binary_input'"),
        ("[[point]]\nkind = 'counter'\nindex = 0\nclass = 4", "4 is not possible here; write 0, 1, 2 or 3"),
        ("[[point]]\nkind = 'counter'\nindex = 0\nvalue = -1", "-1 is no value of kind counter; write 0 to"),
        ("[[point]]\nkind = 'binary_input'\nindex = 0\nvalue = 1", "write true or false"),
        ("[[point]]\nkind = 'analog_input'\nindex = 0\nvalue = inf", "inf is no value of kind analog_input"),
        ("[[point]]\nkind = 'octet_string'\nindex = 0\nvalue = ''", "write text of 1 to 255 octets"),
        (
            "[[point]]\nkind = 'counter'\nindex = 0\nstatic_variation = 3",
            "point.#1.static_variation: g20 has no variation 3; write 1, 2, 5 or 6",
        ),
        (
            "[[point]]\nkind = 'counter'\nindex = 0\ncommand_class = 1",
            "point.#1.command_class: a point of kind counter has none; leave it out",
        ),
        (
            "[[point]]\nkind = 'counter'\nindex = 0\nchange = { kind = 'sine' }",
            "point.#1.change.kind: sine is nothing for a counter; write 'count'",
        ),
        (
            "[[point]]\nkind = 'frozen_counter'\nindex = 0\nchange = { kind = 'count' }",
            "point.#1.change: a point of kind frozen_counter does not change by itself; leave it out",
        ),
        (
            "[[point]]\nkind = 'analog_input'\nindex = 0\nchange = { kind = 'sine', min = 5, max = 1 }",
            "point.#1.change.min: 5 is over max, 1; write the smaller one as min",
        ),
        ("[[command]]\nkind = 'binary_input'\nindex = 0", "write 'binary_output' or 'analog_output'"),
        (
            "[[command]]\nkind = 'binary_output'\nindex = 0\nfeeds = { kind = 'binary_input' }",
            "command.#1.feeds: there is no binary_input 0; write a [[point]] for it",
        ),
        (
            "[[command]]\nkind = 'binary_output'\nindex = 0\nfeeds = { kind = 'analog_input' }",
            "command.#1.feeds.kind: binary_output feeds no analog_input; write 'binary_input' or",
        ),
        ("[[command]]\nkind = 'analog_output'\nindex = 0\nstatus = 'no'", "write 'success', 'timeout'"),
        ("[[attribute]]\nnumber = 254\nvalue = 1", "254 is out of range; write 1 to 253"),
        (f"[[attribute]]\nnumber = 250\nvalue = '{'x' * 256}'", "write a shorter one"),
        (
            "[outstation]\nname = 'rtu'\n[[attribute]]\noutstation = 'rtv'\nnumber = 1\nvalue = 1",
            "attribute.#1.outstation: there is no outstation 'rtv'; did you mean 'rtu'?",
        ),
        (
            "[[outstation]]\n[[outstation]]\nname = 'b'",
            "outstation.#2.link_address: 1024 is that of outstation.#1 too; write another",
        ),
    ],
)
def test_one_problem(text: str, problem: str) -> None:
    (found,) = problems(text)
    assert problem in found


def test_all_problems_at_once() -> None:
    found = problems("""
        [outstation]
        name = ""
        frobnicate = 1
        [[point]]
        kind = "counter"
        index = "0"
        value = "x"
        [[command]]
        kind = "binary_output"
        index = 0
        feeds = { kind = "counter" }
        [[attribute]]
        number = 0
    """)
    assert [problem.partition(":")[0] for problem in found] == [
        "outstation.frobnicate",
        "outstation.name",
        "point.#1.index",
        "point.#1.value",
        "command.#1.feeds.kind",
        "attribute.#1.number",
        "attribute.#1.value",
    ]
    assert all(";" in problem for problem in found)


def test_a_feed_is_not_missed_where_its_point_may_be_the_wrong_one() -> None:
    text = "[[point]]\nkind = 'binary_inputs'\nindex = 0\n[[command]]\nkind = 'binary_output'\nindex = 0\n"
    (found,) = problems(text + "feeds = { kind = 'binary_input' }")
    assert found.startswith("point.#1.kind: ")


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "rtu.toml"
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(file)
    file.write_text("x = ", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"rtu\.toml:1"):
        load(file)
    file.write_text("[outstation]\nlink_address = 5", encoding="utf-8")
    assert load(file)[0].config.link_address == 5


def test_the_example_shows_every_kind_of_point_that_has_a_value_of_its_own() -> None:
    (rtu,) = example()
    assert {point.kind for point in rtu.points} == set(PointKind) - {PointKind.FROZEN_ANALOG}
    assert {command.kind for command in rtu.commands} == {PointKind.BINARY_OUTPUT, PointKind.ANALOG_OUTPUT}


@pytest.mark.parametrize("keys", [RTU_KEYS, POINT_KEYS, COMMAND_KEYS, CHANGE_KEYS])
def test_the_example_of_a_key_is_that_key(keys: object) -> None:
    assert isinstance(keys, dict)
    for label, key in keys.items():
        assert key.example.startswith(label) or key.example.startswith("["), label
