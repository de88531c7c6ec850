"""The field guide and the bench list name only what there is: commands, files, overlays, LEDs, boards."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from bridge.routing.diagnosis import Miss
from bridge.service.arguments import parser
from bridge.service.configuration import config
from hw.board import HEADER_LEDS, Verified
from hw.boards import BOARDS
from hw.looks import LedState
from tests.support.program import ROOT

DEPLOY = ROOT / "deploy/raspberrypi"
GUIDE, BENCH, MAIN = DEPLOY / "README.md", DEPLOY / "BENCH.md", ROOT / "README.md"
DOCUMENTS = (GUIDE, BENCH)
OVERLAYS = {path.stem for path in (DEPLOY / "overlays").glob("*.dts")}

OF_THE_SYSTEM = {
    "/boot/firmware/config.txt": "the firmware's settings on Raspberry Pi OS",
    "/dev/serial/by-id": "udev's own names",
    "/dev/serial/by-path": "udev's own names",
    "/dev/ttyUSB0": "the kernel's",
    "/dev/ttyUSB0:9600": "with a rate, for `rtu-bridge sim`",
    "/dev/ttySC0": "the kernel's",
    "/dev/ttySC1": "the kernel's",
    "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0": "an example of udev's names",
    "/proc/device-tree/aliases": "the kernel's",
    "/sys/module/rtu_bridge_tryboot/parameters/answered": "our module's",
    "/run/rtu-bridge-appliance/config.txt": "made by the first boot",
    "/proc/tty/driver/ttyAMA": "the kernel's",
    "/proc/sysrq-trigger": "the kernel's",
    "/tmp": "the system's",
    "root@box-feeder-7.local:/tmp": "the same on a box",
    "/sys/class/thermal/thermal_zone0/temp": "the kernel's",
    "config.txt": "the firmware's",
    "bootcode.bin": "the firmware's",
    "autoboot.txt": "the firmware's",
}
OF_THE_READER = {"before.json", "capture.pcap", "bridge.toml.txt", "rtu.toml"}
BUILT = {
    "rtu-bridge_*_arm64.deb",
    "dist/rtu-bridge_*_arm64.deb",
    "dist/rtu-bridge-VERSION-raspberrypi-arm64.img.xz",
    "dist/rtu-bridge-*-raspberrypi-arm64.update",
    "/tmp/rtu-bridge-*.update",
}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _fences(text: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the content of each block of code."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        yield match[1], match[2]


def _inline(text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


def _commands(text: str) -> list[str]:
    """Return every command line: what is in backticks in the text, and blocks without a language."""
    blocks = [line for language, block in _fences(text) if not language for line in block.splitlines()]
    lines = [*_inline(text), *(line.partition("  #")[0].strip() for line in blocks)]
    return [line.removeprefix("sudo ") for line in lines]


def _table(text: str, head: str) -> list[list[str]]:
    """Return the cells of the table whose first row begins so, without that row."""
    rows = text[text.index(f"\n{head}") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def _words_that_are_paths(code: str) -> Iterator[str]:
    for word in code.split():
        word = word.strip("\"',;").removeprefix("./")
        is_absolute = re.match(r"/[a-z]", word)  # and not /RE, a pin
        is_relative = re.search(r"\w/|\.(toml|txt|dts|md|py|sh|json|deb|bin|pcap)$", word)
        if (is_absolute or is_relative) and "=" not in word and "<" not in word:
            yield word.rstrip("/")


def _targets() -> set[str]:
    """Return the names that the tree itself gives to things on a box."""
    sys.path.insert(0, str(DEPLOY / "package"))
    try:
        copies: Mapping[str, str] = runpy.run_path(str(DEPLOY / "package/build_deb.py"))["_COPIES"]
    finally:
        sys.path.remove(str(DEPLOY / "package"))
    installed = {f"/{target}" for target in copies.values()}
    postinst = set(re.findall(r"^config=(\S+)", _text(DEPLOY / "package/debian/postinst"), re.M))
    appliance = set(re.findall(r'^[A-Z]+ = "([^"]+)"', _text(DEPLOY / "appliance/places.py"), re.M))
    links = re.findall(r'SYMLINK\+="([^"]+)"', _text(DEPLOY / "udev/70-rtu-bridge.rules"))
    return installed | postinst | appliance | {f"/dev/{link}" for link in links}


def _is_there(path: str, targets: set[str]) -> bool:
    if path in targets or path in OF_THE_SYSTEM or path in OF_THE_READER or path in BUILT:
        return True
    if re.fullmatch(r"/dev/rtu-usb-\d+(-[\d.]+)?", path):
        return "/dev/rtu-usb-$id" in targets
    return not path.startswith("/") and ((ROOT / path).exists() or (DEPLOY / path).exists())


def _is_taken(arguments: Sequence[str]) -> bool:
    try:
        parser().parse_args(arguments)
    except SystemExit as end:
        return end.code == 0
    return True


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_ours_is_one_that_the_program_takes(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [line for line in _commands(_text(document)) if line.startswith("rtu-bridge ")]
    assert len(ours) >= 2
    for line in ours:
        arguments = shlex.split(line.partition(" > ")[0])[1:]
        if len(arguments) == 1:  # named in a sentence, maybe without what it needs
            arguments.append("--help")
        assert _is_taken(arguments), f"{line}: {capsys.readouterr().err}"


def test_the_guide_has_the_commands_that_find_faults() -> None:
    said = " ".join(_commands(_text(GUIDE)))
    for command in ("loopback", "leds test", "leds locate", "hardware", "status", "check", "sim", "decode"):
        assert f"rtu-bridge {command}" in said


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_other_command_of_ours_is_in_the_tree(document: Path) -> None:
    for line in _commands(_text(document)):
        if line.startswith("make "):
            assert re.search(rf"^{re.escape(line.split()[1])}:", _text(ROOT / "Makefile"), re.M), line
        if line.startswith("rtu-bridge-"):
            assert (DEPLOY / "appliance" / line.split()[0]).is_file(), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_is_in_the_tree_or_has_its_place_on_the_box(document: Path) -> None:
    targets = _targets()
    paths = [path for code in _commands(_text(document)) for path in _words_that_are_paths(code)]
    assert len(paths) >= 5
    assert [path for path in paths if not _is_there(path, targets)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", _text(document))
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.is_file(), link
        titles = re.findall(r"^#+ (.+)$", _text(target), re.M)
        assert not anchor or anchor in {_slug(title) for title in titles}, link


def test_the_led_table_is_that_of_the_main_readme() -> None:
    columns = "| single LED | bi-colour LED | `status` says | means |"
    ours, theirs = (_table(_text(path), columns) for path in (GUIDE, MAIN))
    assert [row[:3] for row in ours] == [row[:3] for row in theirs]
    assert [row[2] for row in ours] == [state.value for state in LedState]


def test_the_led_pins_are_those_of_the_program() -> None:
    heads = re.search(r"^\| LED \|(.+)\|$", _text(GUIDE), re.M)
    assert heads is not None
    names = [name.strip() for name in heads[1].split("|")]
    (pins,) = _table(_text(GUIDE), "| LED | system |")
    assert dict(zip(names, map(int, pins[1:]), strict=True)) == dict(HEADER_LEDS)


def test_reasons_are_those_of_the_diagnosis() -> None:
    rows = _table(_text(GUIDE), "| you see |")
    named = {reason for row in rows for reason in re.findall(r"`(\w+)`", row[1])}
    assert len(named) > 5
    assert named <= {miss.value for miss in Miss}


def test_overlays_are_those_of_the_tree() -> None:
    rows = _table(_text(GUIDE), "| UART | TX, RX (CTS, RTS) |")
    for_image = {name for row in rows for name in re.findall(r"`dtoverlay=([\w-]+)`", "".join(row[4:]))}
    assert for_image == OVERLAYS
    ports = {port.name: port for port in BOARDS["pi-4"].ports}
    for name, pins, _, raspberry_pi_os, *_ in rows:
        port = ports[name.lower()]
        assert port.pins is not None
        expected = f"{port.pins.tx}, {port.pins.rx} ({port.pins.cts}, {port.pins.rts})"
        assert pins == expected
        assert raspberry_pi_os.strip("`") in port.config_lines


def test_rts_pins_are_those_of_the_boards() -> None:
    ports = {port.name: port for port in BOARDS["pi-4"].ports}
    rows = _table(_text(GUIDE), "| UART | RTS |")
    assert len(rows) == 5
    for name, pin, _ in rows:
        pins = ports[name.lower()].pins
        assert pins is not None
        assert pin == f"GPIO{pins.rts}"


def test_boards_are_as_verified_as_the_program_says() -> None:
    rows = _table(_text(GUIDE), "| `board` | what |")
    listed = {row[0].strip("`"): row for row in rows}
    named = {board.name for board in BOARDS.values() if not board.led_pins}
    assert set(listed) == named
    for name, (_, _, _, direction, verified) in listed.items():
        assert verified == BOARDS[name].verified.value
        assert {port.direction and port.direction.value for port in BOARDS[name].ports} == {direction}


def _examples() -> list[str]:
    return [block for language, block in _fences(_text(GUIDE)) if language == "toml"]


def test_the_example_is_a_configuration() -> None:
    (example,) = [each for each in _examples() if "[[outstation]]" in each]
    configuration = config.parse(example, "the guide", HEADER_LEDS)
    assert configuration.warnings == ()
    assert {outstation.led for outstation in configuration.outstations} == {"led1", "led2"}


def test_the_appliances_example_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = [each for each in _examples() if "[[outstation]]" not in each]
    monkeypatch.syspath_prepend(str(DEPLOY))
    from appliance import settings  # type: ignore[import-not-found,unused-ignore]

    parsed = settings.parse(example, "the guide")
    assert parsed.hostname == "box-feeder-7"
    assert parsed.network is not None
    assert parsed.time_servers == ("192.0.2.1",)


def _results() -> Sequence[Sequence[str]]:
    return _table(_text(BENCH), "| item | date |")


def test_the_bench_list_is_empty_or_whole() -> None:
    for item, *result in _results():
        assert all(result) or not any(result), f"{item}: date, board, kernel and result, or nothing"
        assert not result[0] or re.fullmatch(r"20\d\d-\d\d-\d\d", result[0]), f"{item}: {result[0]}"


def test_every_item_of_the_bench_list_has_a_row_and_says_what_to_expect() -> None:
    sections = dict(re.findall(r"^### (B\d+): .*?\n(.*?)(?=^### |\Z)", _text(BENCH), re.M | re.S))
    assert list(sections) == [f"B{number}" for number in range(1, len(sections) + 1)]
    rows = {match[1] for row in _results() if (match := re.match(r"\[(B\d+)\]", row[0]))}
    assert rows == set(sections)
    for number, text in sections.items():
        assert re.search(r"^Do: ", text, re.M), number
        assert re.search(r"^Expect: ", text, re.M), number


def test_no_board_is_called_tried_that_the_bench_list_does_not_have() -> None:
    tried = {row[2] for row in _results() if row[1]}
    for board in BOARDS.values():
        if board.verified is Verified.BENCH:
            assert any(board.name in name for name in tried), board.name
