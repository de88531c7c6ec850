from pathlib import Path

from bridge.service.configuration.check import describe
from bridge.service.configuration.config import load, parse
from tests.support.repository import CONFIGURATIONS

GOOD = CONFIGURATIONS / "good"
BOARD_LEDS = {"led1": 17, "led2": 27}
NO_FILES = "flight recorder: 4 MiB of memory; no files, for recorder.folder is not set"


def _text(name: str) -> str:
    return (GOOD / f"{name}.toml").read_text(encoding="utf-8")


def test_the_sample() -> None:
    assert describe(parse(_text("sample"), "bridge.toml")).splitlines() == [
        "bridge.toml: no errors",
        "",
        "MASTERS      SERVER              OUTSTATION  ADDRESS  LINE                        LED",
        "10.1.1.5     main 0.0.0.0:20000  pole-12     12       bay1 /dev/ttyAMA2 9600 8N1  led1",
        "10.1.2.0/24",
        "10.8.0.0/16",
        "",
        "LINE  OCTET     FRAME OF 292  RESPONSE TIMEOUT  FRAME TIMEOUT  REQUEST TTL  CONTROL TTL  TURNAROUND",
        "bay1  1.042 ms  304 ms        1305 ms           141 ms         10000 ms     5000 ms      2.000 ms",
        "",
        NO_FILES,
    ]


def test_where_the_metrics_are() -> None:
    text = f"[metrics]\n{_text('minimal')}"
    assert describe(parse(text, "bridge.toml")).splitlines()[-1] == "metrics at http://127.0.0.1:9815/metrics"


def _recorder(settings: str) -> str:
    text = f"[recorder]\n{settings}\n{_text('minimal')}"
    return describe(parse(text, "bridge.toml")).splitlines()[-1]


def test_what_the_recorder_takes_and_where_it_writes(tmp_path: Path) -> None:
    assert _recorder("enabled = false") == "flight recorder: off"
    assert _recorder("") == NO_FILES
    folder = tmp_path / "captures"
    settings = f'memory_mib = 8\ndisk_mib = 100\nfolder = "{folder}"'
    line = f"flight recorder: 8 MiB of memory; files around faults in {folder}, 100 MiB at most"
    assert _recorder(settings) == f"{line}; it is not there yet, and will be made"
    folder.touch()
    assert _recorder(settings) == f"{line}; this user cannot write there: Not a directory"
    folder.unlink()
    folder.mkdir()
    assert _recorder(settings) == line


def test_several_servers_lines_and_a_disabled_outstation() -> None:
    configuration = parse(_text("one_port_many_masters"), "bridge.toml", BOARD_LEDS)
    assert describe(configuration).splitlines() == [
        "bridge.toml: no errors",
        "",
        "MASTERS   SERVER                OUTSTATION          ADDRESS  LINE                        LED",
        "10.1.1.5  main 10.0.0.1:20000   pole-12             0        bay1 /dev/ttyAMA2 9600 8N1  led1",
        "10.1.1.6  main 10.0.0.1:20000   pole-13             65519    bay2 /dev/ttyAMA3 9600 8N1  led2",
        "any       other 10.0.0.2:20000  pole-14 (disabled)  0        bay2 /dev/ttyAMA3 9600 8N1  -",
        "",
        "LINE  OCTET     FRAME OF 292  RESPONSE TIMEOUT  FRAME TIMEOUT  REQUEST TTL  CONTROL TTL  TURNAROUND",
        "bay1  1.042 ms  304 ms        2304 ms           142 ms         10000 ms     5000 ms      2.000 ms",
        "bay2  1.042 ms  304 ms        2304 ms           142 ms         10000 ms     5000 ms      2.000 ms",
        "",
        NO_FILES,
    ]


def test_outstations_of_the_program_itself() -> None:
    described = describe(parse(_text("appliance"), "bridge.toml", BOARD_LEDS)).splitlines()
    assert described[2:6] == [
        "MASTERS   SERVER              OUTSTATION      ADDRESS  LINE                        LED",
        "10.1.1.5  main 0.0.0.0:20000  pole-12         12       bay1 /dev/ttyAMA2 9600 8N1  -",
        "10.1.1.5  main 0.0.0.0:20000  box             1        none: appliance             led1",
        "10.1.1.6  main 0.0.0.0:20000  box-for-others  1        none: appliance             -",
    ]
    assert not any("Warnings" in line for line in described)


def test_line_settings_and_derived_times() -> None:
    described = describe(parse(_text("one_session_many_outstations"), "bridge.toml")).splitlines()
    assert described[-4:-2] == [
        "north  9.167 ms  2677 ms       4677 ms           467 ms         10000 ms     7015 ms      18.000 ms",
        "south  0.573 ms  167 ms        2167 ms           123 ms         10000 ms     5000 ms      1.000 ms",
    ]
    assert "1200 8E1" in described[3]
    assert "19200 8N2" in described[7]


def test_what_lines_do_otherwise_than_by_default() -> None:
    described = describe(parse(_text("shared_lines"), "bridge.toml")).splitlines()
    assert described[-6:-2] == [
        "plain     33.333 ms  9733 ms       11733 ms          1433 ms        23467 ms     17600 ms     "
        "10000.000 ms",
        "",
        "kernel: direction rs485, RTS off while sending, 1 ms before, 100 ms after; "
        "sessions close with their last line; no broadcasts, denied by 'a' and 'b'",
        "switched: direction rts, 0.25 ms after; "
        "sessions close with their last line, and new ones are refused",
    ]


def test_warnings_stand_at_the_end() -> None:
    configuration = load(GOOD / "warnings.toml")
    assert len(configuration.warnings) == 14
    assert describe(configuration).splitlines()[-16:] == [
        "",
        "Warnings:",
        *(f"  {warning}" for warning in configuration.warnings),
    ]


def test_no_trailing_white_space() -> None:
    for path in GOOD.glob("*.toml"):
        text = describe(load(path, BOARD_LEDS))
        assert [line for line in text.split("\n") if line != line.rstrip()] == []
        assert not text.endswith("\n")
