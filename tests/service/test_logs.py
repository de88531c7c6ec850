from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bridge.endpoints.events import note, warn
from bridge.service import logs
from bridge.service.logs import JsonFormatter, TextFormatter

MOMENT = datetime(2026, 11, 22, 14, 32, 46, 123_456, tzinfo=UTC).timestamp()


def _record(event: str, level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("bridge", level, __file__, 1, event, (), None)
    record.created = MOMENT
    record.fields = fields
    return record


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before afterwards."""
    root = logging.getLogger()
    asyncio_level = logging.getLogger("asyncio").level
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(asyncio_level)


def test_text_is_a_line_in_columns() -> None:
    record = _record("master connected", outstation="pole-12", peer="10.1.1.5:4021")
    assert TextFormatter().format(record) == (
        "14:32:46.123 INFO    master connected     outstation=pole-12 peer=10.1.1.5:4021"
    )


def test_text_without_fields_has_no_white_space_at_its_end() -> None:
    assert TextFormatter().format(_record("stopped", logging.WARNING)) == "14:32:46.123 WARNING stopped"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("pole-12,pole-13", "pole-12,pole-13"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
        ("[::1]:20000", "[::1]:20000"),
        (12, "12"),
        (None, "None"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("tab\there", '"tab\\there"'),
        ("grün", "grün"),
        ("größer als", '"größer als"'),
    ],
)
def test_text_quotes_what_would_not_be_one_value(value: object, shown: str) -> None:
    line = TextFormatter().format(_record("event", value=value, next=1))
    assert line == f"14:32:46.123 INFO    event                value={shown} next=1"


def test_text_leaves_empty_fields_out() -> None:
    assert (
        TextFormatter()
        .format(_record("frame dropped", outstation="", line="bay1"))
        .endswith("frame dropped        line=bay1")
    )


def test_json_is_one_object_with_everything() -> None:
    record = _record("line down", logging.WARNING, line="bay1", reason='no "such"\ndevice', baud=9600)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert list(json.loads(line).items()) == [
        ("time", "2026-11-22T14:32:46.123Z"),
        ("level", "warning"),
        ("event", "line down"),
        ("line", "bay1"),
        ("reason", 'no "such"\ndevice'),
        ("baud", 9600),
    ]


def test_json_takes_any_value() -> None:
    fields = json.loads(JsonFormatter().format(_record("event", what=object, where={"a": 1}, name="grün")))
    assert fields["what"] == "<class 'object'>"
    assert (fields["where"], fields["name"]) == ({"a": 1}, "grün")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_is_a_field_and_no_traceback(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = _record("task failed", logging.ERROR)
        record.exc_info = (type(error), error, error.__traceback__)
    line = formatter.format(record)
    assert "\n" not in line
    assert "Traceback" not in line
    assert "ValueError" in line


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_event_of_several_lines_is_one_line(formatter: logging.Formatter) -> None:
    # asyncio's own are: "Exception in callback f()\nhandle: <Handle f()>".
    line = formatter.format(_record("Exception in callback f()\nhandle: <Handle f()>", logging.ERROR))
    assert "\n" not in line
    assert "Exception in callback f()" in line
    assert "handle: <Handle f()>" in line


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["detail", "event", "problem"]),
        ("info", ["event", "problem"]),
        ("warning", ["problem"]),
        ("error", []),
    ],
)
def test_the_level_of_the_configuration(root: logging.Logger, level: str, expected: list[str]) -> None:
    stream = io.StringIO()
    logs.set_up(level, "json", stream)
    note("detail", level=logging.DEBUG)
    note("event")
    warn("problem")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == expected


def test_set_up_again_replaces_what_was_set_up(root: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.set_up("info", "json", first)
    logs.set_up("info", "text", second)
    note("event", outstation="pole-12")
    assert first.getvalue() == ""
    assert second.getvalue().endswith(" INFO    event                outstation=pole-12\n")


def test_asyncio_does_not_talk_about_itself(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.set_up("debug", "text", stream)
    logging.getLogger("asyncio").debug("Using selector: EpollSelector")
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    assert stream.getvalue().count("\n") == 1
