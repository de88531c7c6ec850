from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from bridge.application.function import Function
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.framer import Discard, LinkErrorMode, LinkFramer
from bridge.service.recordings.explain import StreamExplainer, explain_frame
from tests.vectors import LINK_FRAMES

STATUS = LINK_FRAMES["request-link-status-m-1"]
READ = LINK_FRAMES["read-m-1"]
STATUS_LINE = "master 1 -> outstation 1024  REQUEST_LINK_STATUS  10 octets"


def frame(user_data: bytes, *, control: int = 0xC4, destination: int = 1024, source: int = 1) -> Frame:
    return Frame.build(Control.of(control), destination, source, user_data)


def request(function: int, objects: bytes = b"") -> Frame:
    return frame(b"\xc0\xc3" + bytes((function,)) + objects)


def object_lines(function: int, objects: str) -> list[str]:
    return explain_frame(request(function, bytes.fromhex(objects))).splitlines()[3:]


def explain_stream(octets: bytes) -> Iterator[str]:
    explainer = StreamExplainer()
    yield from explainer.receive(octets)
    yield from explainer.finish()


def explained(name: str) -> list[str]:
    (block,) = explain_stream(LINK_FRAMES[name])
    return block.splitlines()


# Frames


def test_a_read() -> None:
    assert explained("read-m-1") == [
        "master 1 -> outstation 1024  UNCONFIRMED_USER_DATA  27 octets",
        "  transport  FIR FIN seq 3",
        "  application  READ  FIR FIN seq 2",
        "    g60v2  all  (qualifier 06)",
        "    g60v3  all  (qualifier 06)",
        "    g60v4  all  (qualifier 06)",
        "    g60v1  all  (qualifier 06)",
    ]


def test_an_unsolicited_response() -> None:
    assert explained("unsolicited-o-2") == [
        "outstation 1024 -> master 1  UNCONFIRMED_USER_DATA  39 octets",
        "  transport  FIR FIN seq 6",
        "  application  UNSOLICITED_RESPONSE  FIR FIN CON UNS seq 1  IIN 00 00",
        "    g32v1  count 1, 16-bit index before each  (qualifier 28)",
        "      02 00 01 4d 00 00 00 02 01 28 01 00 03 00 81",
    ]


def test_indications_have_names() -> None:
    assert explained("unsolicited-o-1")[2].endswith("seq 0  IIN 80 00 DEVICE_RESTART")
    assert "IIN 12 03 CLASS_1_EVENTS NEED_TIME NO_FUNC_CODE_SUPPORT OBJECT_UNKNOWN" in explain_frame(
        frame(bytes.fromhex("c0c1811203"), control=0x44)
    )


def test_a_segment_that_is_not_first_is_a_continuation_in_hex() -> None:
    lines = explained("segment-o-1")
    assert lines[1] == "  transport  FIN seq 4"
    assert lines[2].startswith("  continuation  02 00 00 00 00 02")
    assert not any("application" in line for line in lines)
    shown = "".join(line.removeprefix("  continuation  ") for line in lines[2:])
    assert bytes.fromhex(shown) == Frame.of_octets(LINK_FRAMES["segment-o-1"]).user_data[1:]


def test_the_objects_of_a_response_are_whole_in_hex() -> None:
    lines = explained("response-o-3")
    assert lines[3] == "    g1v2  index 0 to 9  (qualifier 00)"
    assert bytes.fromhex("".join(lines[4:])) == Frame.of_octets(LINK_FRAMES["response-o-3"]).user_data[10:]


@pytest.mark.parametrize("name", LINK_FRAMES)
def test_every_captured_frame_is_one_block(name: str) -> None:
    (block,) = explain_stream(LINK_FRAMES[name])
    assert block == explain_frame(Frame.of_octets(LINK_FRAMES[name]))


# The link line


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (0xC0, "RESET_LINK_STATES  10 octets"),
        (0xD2, "TEST_LINK_STATES  10 octets  FCV FCB=0"),
        (0xF2, "TEST_LINK_STATES  10 octets  FCV FCB=1"),
        (0xE0, "RESET_LINK_STATES  10 octets  FCB=1 without FCV"),
        (0x9B, "LINK_STATUS  10 octets  DFC"),
        (0xA0, "ACK  10 octets  reserved bit set"),
        (0xB0, "ACK  10 octets  DFC, reserved bit set"),
        (0xC7, "undefined primary function 7  10 octets"),
        (0x87, "undefined secondary function 7  10 octets"),
    ],
)
def test_link_functions_and_the_bits_that_tell(control: int, words: str) -> None:
    assert explain_frame(frame(b"", control=control)) == f"master 1 -> outstation 1024  {words}"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0xFFEF, "outstation 65519"),
        (0xFFF0, "reserved address 0xFFF0"),
        (0xFFFC, "self-address 0xFFFC"),
        (0xFFFD, "broadcast 0xFFFD (no confirm)"),
        (0xFFFE, "broadcast 0xFFFE (confirm required)"),
        (0xFFFF, "broadcast 0xFFFF (confirm optional)"),
    ],
)
def test_addresses_that_are_no_device_have_names(address: int, words: str) -> None:
    line = explain_frame(frame(b"", control=0xC9, destination=address))
    assert line == f"master 1 -> {words}  REQUEST_LINK_STATUS  10 octets"


def test_user_data_where_none_belongs_and_none_where_it_belongs() -> None:
    assert explain_frame(frame(b"\x01\x02", control=0xC9)).splitlines()[1:] == ["  user data  01 02"]
    assert explain_frame(frame(b"")).splitlines()[1:] == ["  no user data"]


# The application lines


def test_every_function_code_has_words() -> None:
    for octet in range(256):
        name = getattr(Function.of(octet), "name", f"undefined function {octet}")
        line = explain_frame(request(octet, b"\0\0")).splitlines()[2]
        assert line.startswith(f"  application  {name}  ")


@pytest.mark.parametrize("user_data", ["c0", "c0c1", "c0c181", "c0c18100"])
def test_a_fragment_without_its_whole_header(user_data: str) -> None:
    lines = explain_frame(frame(bytes.fromhex(user_data))).splitlines()
    rest = bytes.fromhex(user_data)[1:].hex(" ")
    assert lines[2:] == ([f"  application header incomplete  {rest}"] if rest else [])


@pytest.mark.parametrize(
    ("objects", "lines"),
    [
        ("01020005 09", ["g1v2  index 5 to 9  (qualifier 00)"]),
        ("010201 0500 0901", ["g1v2  index 5 to 265  (qualifier 01)"]),
        ("010202 05000000 09000100", ["g1v2  index 5 to 65545  (qualifier 02)"]),
        ("010203 0509", ["g1v2  virtual address 5 to 9  (qualifier 03)"]),
        ("020007 64", ["g2v0  count 100  (qualifier 07)"]),
        ("020008 6400", ["g2v0  count 100  (qualifier 08)"]),
        ("020009 64000000", ["g2v0  count 100  (qualifier 09)"]),
        ("010017 02 0507", ["g1v0  count 2, 8-bit index before each  (qualifier 17)", "  05 07"]),
        ("010028 01 00 0500", ["g1v0  count 1, 16-bit index before each  (qualifier 28)", "  05 00"]),
        (
            "46055b 01 0200 aabb 3c0106",
            [
                "g70v5  count 1, 16-bit size before each  (qualifier 5b)",
                "  02 00 aa bb",
                "g60v1  all  (qualifier 06)",
            ],
        ),
        ("3c0106 010099 05", ["g60v1  all  (qualifier 06)", "no readable object header  01 00 99 05"]),
        ("3c0106 0a", ["g60v1  all  (qualifier 06)", "no readable object header  0a"]),
        ("010001 0500", ["no readable object header  01 00 01 05 00"]),
        ("0100f0 0500", ["no readable object header  01 00 f0 05 00"]),
    ],
)
def test_headers_without_objects(objects: str, lines: list[str]) -> None:
    assert object_lines(Function.READ, objects) == [f"    {line}" for line in lines]


@pytest.mark.parametrize(
    ("objects", "lines"),
    [
        ("500100 0707 00", ["g80v1  index 7 to 7  (qualifier 00)", "  00"]),
        (
            "0c0107 00 0c0107 01 aabb 3c0106",
            ["g12v1  count 0  (qualifier 07)", "g12v1  count 1  (qualifier 07)", "  aa bb 3c 01 06"],
        ),
        ("46055b 02 0100aa 0900bb", ["g70v5  count 2, 16-bit size before each  (qualifier 5b)"]),
    ],
)
def test_objects_whose_size_only_the_table_knows_end_the_reading(objects: str, lines: list[str]) -> None:
    assert object_lines(Function.WRITE, objects)[: len(lines)] == [f"    {line}" for line in lines]


def test_sized_objects_that_are_cut_short_are_shown_as_they_are() -> None:
    assert object_lines(Function.WRITE, "46055b 02 0100aa 0900bb")[1:] == ["      01 00 aa 09 00 bb"]


# Between the frames


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("00112233445566", "! 7 octets: noise  00 11 22 33 44 55 66"),
        ("00", "! 1 octet: noise  00"),
        ("056404", "! 3 octets: bad_length  05 64 04"),
        (STATUS[:-1].hex() + "00", "! 10 octets: header_crc  05 64 05 c9 00 04 01 00 98 00"),
        ((READ[:-1] + b"\0").hex(), "! 27 octets: body_crc  " + READ[:16].hex(" ") + " ..."),
        ("00056404056404", "! 7 octets: noise, bad_length x2  00 05 64 04 05 64 04"),
    ],
)
def test_what_was_discarded_and_why(before: str, line: str) -> None:
    assert list(explain_stream(STATUS + bytes.fromhex(before) + STATUS)) == [STATUS_LINE, line, STATUS_LINE]


def test_reasons_stand_where_their_octets_stood() -> None:
    octets = b"\x00" + STATUS + b"\x05\x64\x04" + STATUS + STATUS + b"\x11\x05\x64"
    assert list(explain_stream(octets)) == [
        "! 1 octet: noise  00",
        STATUS_LINE,
        "! 3 octets: bad_length  05 64 04",
        STATUS_LINE,
        STATUS_LINE,
        "! 3 octets: noise, incomplete frame  11 05 64",
    ]


def test_a_partial_frame_at_the_end_is_named_and_searched() -> None:
    cut = LINK_FRAMES["response-o-3"][:20]
    assert list(explain_stream(cut + STATUS[:4])) == [
        "! 24 octets: incomplete frame x2  " + cut[:16].hex(" ") + " ..."
    ]
    blocks = list(explain_stream(LINK_FRAMES["response-o-3"][:10] + STATUS))
    assert blocks == ["! 10 octets: incomplete frame  " + cut[:10].hex(" "), STATUS_LINE]


def test_no_octets_no_words() -> None:
    assert list(explain_stream(b"")) == []


def test_after_finish_it_begins_anew() -> None:
    explainer = StreamExplainer()
    assert list(explainer.receive(STATUS[:5])) == []
    assert list(explainer.finish()) == ["! 5 octets: incomplete frame  05 64 05 c9 00"]
    assert list(explainer.receive(STATUS)) == [STATUS_LINE]
    assert list(explainer.finish()) == []
    assert (explainer.frames, explainer.octets_discarded) == (1, 5)


def damaged(rng: random.Random) -> bytes:
    """Real frames, some cut or with a bit flipped, between random octets."""
    parts = []
    for _ in range(6):
        octets = bytearray(rng.choice(list(LINK_FRAMES.values())))
        if rng.random() < 0.4:
            octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            del octets[rng.randrange(len(octets)) :]
        parts += [bytes(octets), rng.choice([b"", b"", b"\x05\x64", rng.randbytes(rng.randrange(30))])]
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(40))
def test_blocks_and_reasons_are_the_framers_however_the_octets_were_cut(seed: int) -> None:
    rng = random.Random(seed)
    octets = damaged(rng)
    explainer = StreamExplainer()
    blocks: list[str] = []
    at = 0
    while at < len(octets):
        step = rng.choice([1, 7, 300])
        blocks += explainer.receive(octets[at : at + step])
        at += step
    blocks += explainer.finish()
    assert blocks == list(explain_stream(octets))

    framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=1.0)
    frames = framer.receive(octets, 0.0) + framer.on_deadline(1.0)
    assert [block for block in blocks if block[0] != "!"] == [explain_frame(found) for found in frames]
    assert reasons(blocks) == framer.counters.discards
    assert explainer.octets_discarded == framer.counters.octets_discarded


def reasons(blocks: list[str]) -> Counter[Discard]:
    found: Counter[Discard] = Counter()
    for block in blocks:
        if block[0] == "!":
            for name in block.split(": ")[1].split("  ")[0].split(", "):
                reason, _, times = name.replace("incomplete frame", "frame_timeout").partition(" x")
                found[Discard(reason)] += int(times or 1)
    return found


def test_random_user_data_never_raises() -> None:
    rng = random.Random(1815)
    controls = [0x44, 0xC4, 0x73, 0xD3, *(int(function) for function in LinkFunction)]
    for _ in range(1500):
        user_data = bytes((0xC0, rng.randrange(256), rng.choice([*range(34), 129, 130, 255])))
        user_data += rng.randbytes(rng.randrange(60))
        under_test = frame(user_data[rng.randrange(2) :], control=rng.choice(controls))
        assert re.fullmatch(r"[ -~\n]+", explain_frame(under_test))


def test_random_octets_never_raise() -> None:
    rng = random.Random(64)
    for _ in range(100):
        octets = bytes(rng.choice((0x05, 0x64, rng.randrange(256))) for _ in range(rng.randrange(200)))
        assert all(block.startswith("! ") for block in explain_stream(octets))
