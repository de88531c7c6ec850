import random
import re
import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path

import pytest

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.endpoint import Endpoint
from bridge.errors import ConfigurationError
from bridge.link.framer import LinkErrorMode
from bridge.service.configuration.config import (
    ButtonConfig,
    Configuration,
    InputConfig,
    LedConfig,
    LineConfig,
    MetricsConfig,
    OutstationConfig,
    RelayConfig,
    ServerConfig,
    ServiceConfig,
    load,
    parse,
)
from bridge.service.configuration.keys import (
    BAUD_RATES,
    LINE_KEYS,
    OUTSTATION_KEYS,
    SERVER_KEYS,
    SERVICE_KEYS,
)
from bridge.service.configuration.metrics_keys import METRICS_KEYS
from bridge.service.configuration.panel_keys import BUTTON_KEYS, INPUT_KEYS, LED_KEYS, RELAY_KEYS
from bridge.service.configuration.physics import SYSTEM_LED
from bridge.service.configuration.recorder_keys import DEFAULTS, RECORDER_KEYS
from bridge.service.configuration.schema import Key
from bridge.service.paths import default_capture_folder
from hw.board import DEFAULT_BOARD
from tests.support.repository import CONFIGURATIONS, readme_toml

GOOD = sorted((CONFIGURATIONS / "good").glob("*.toml"))
BAD = sorted((CONFIGURATIONS / "bad").glob("*.toml"))
SAMPLE = (CONFIGURATIONS / "good" / "sample.toml").read_text(encoding="utf-8")
MINIMAL = (CONFIGURATIONS / "good" / "minimal.toml").read_text(encoding="utf-8")
ROUNDED = ("response_timeout_s", "frame_timeout_s", "babble_s")
BOARD_LEDS = {"system": 26, "led1": 17, "led2": 27}


LONG = "response_timeout_ms = 20000\n"
"""For lines whose turnaround is as long as one may be."""


def _problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "f.toml", BOARD_LEDS)
    return caught.value.problems


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_file_is_refused_with_exactly_these_problems(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    with pytest.raises(ConfigurationError) as caught:
        load(path, BOARD_LEDS)
    assert [problem.removeprefix(f"{path}:").lstrip() for problem in caught.value.problems] == expected


def test_there_are_bad_files() -> None:
    assert len(BAD) >= 30


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_file_loads(path: Path) -> None:
    assert load(path, BOARD_LEDS).outstations


def test_the_sample_as_a_whole() -> None:
    assert parse(SAMPLE, "bridge.toml") == Configuration(
        source_name="bridge.toml",
        service=ServiceConfig(
            status_socket="/run/rtu-bridge/status.sock", log_level="info", log_format="text", gpio="auto"
        ),
        servers={
            "main": ServerConfig(
                name="main",
                listen=Endpoint.parse("0.0.0.0:20000"),
                link_error_mode=LinkErrorMode.DISCARD,
                half_open_timeout_s=15,
                send_stall_s=5.0,
                frame_timeout_s=1.0,
            )
        },
        lines={
            "bay1": LineConfig(
                name="bay1",
                device="/dev/ttyAMA2",
                baud=9600,
                parity="none",
                stop_bits=1,
                response_timeout_s=1.305,
                frame_timeout_s=0.141,
                request_ttl_s=10.0,
                control_ttl_s=5.0,
                exchange_limit_s=60.0,
                babble_s=6.0,
                broadcast_dead_time_s=0.3,
                turnaround_s=0.002,
                pre_transmit_s=0.0,
                post_transmit_s=0.0,
                direction="automatic",
                rts_on_send=True,
                when_down="hold",
            )
        },
        leds={"led1": LedConfig(name="led1", pin=17, active_low=False)},
        button=None,
        inputs={},
        relays={},
        outstations=(
            OutstationConfig(
                name="pole-12",
                server="main",
                masters=AddressFilter.parse(["10.1.1.5", "10.1.2.*", "10.8.0.0/16"]),
                line="bay1",
                link_address=12,
                led="led1",
                enabled=True,
                broadcast="allow",
            ),
        ),
        warnings=(),
    )


def test_defaults() -> None:
    minimal, sample = parse(MINIMAL, "f.toml"), parse(SAMPLE, "f.toml")
    assert minimal.service == sample.service
    assert minimal.servers == sample.servers
    assert minimal.leds == {}
    assert (minimal.outstations[0].led, minimal.outstations[0].enabled) == (None, True)
    line = minimal.lines["bay1"]
    assert (line.parity, line.stop_bits, line.request_ttl_s) == ("none", 1, 10.0)
    assert line.response_timeout_s == pytest.approx(2.304167)
    assert line.frame_timeout_s == pytest.approx(0.1416667)
    assert minimal.outstations[0].broadcast == "allow"
    assert (
        replace(line, response_timeout_s=1.305, frame_timeout_s=0.141, babble_s=6.0) == sample.lines["bay1"]
    )


def test_default_times_of_a_shared_line_follow_baud_rate_and_parity() -> None:
    text = MINIMAL.replace("baud = 9600", 'baud = 300\nparity = "odd"')
    line = parse(text, "f.toml").lines["bay1"]
    fragment_s = 9 * 292 * 11 / 300
    assert line.control_ttl_s == pytest.approx(1.5 * (2.0 + 292 * 11 / 300))
    assert line.exchange_limit_s == pytest.approx(16 * fragment_s)
    assert line.babble_s == pytest.approx(3.0 + fragment_s)
    assert line.turnaround_s == 0.073


def test_default_times_follow_the_times_that_are_written() -> None:
    def line(keys: str) -> LineConfig:
        return parse(MINIMAL.replace("9600", f"9600\n{keys}"), "f.toml").lines["bay1"]

    assert line("response_timeout_ms = 50000").exchange_limit_s == 100.0
    assert line("response_timeout_ms = 8000").control_ttl_s == 12.0
    assert line("request_ttl_ms = 3000").control_ttl_s == 3.0
    assert line("control_ttl_ms = 3000").request_ttl_s == 10.0


def test_lines_and_outstations_that_are_not_as_by_default() -> None:
    configuration = load(CONFIGURATIONS / "good" / "shared_lines.toml")
    kernel, switched, plain = configuration.lines.values()
    assert kernel == replace(
        plain,
        name="kernel",
        device="/dev/ttyAMA2",
        baud=9600,
        response_timeout_s=kernel.response_timeout_s,
        frame_timeout_s=kernel.frame_timeout_s,
        request_ttl_s=10.0,
        control_ttl_s=2.5,
        exchange_limit_s=30.0,
        babble_s=1.0,
        broadcast_dead_time_s=0.0,
        turnaround_s=pytest.approx(0.0035),
        pre_transmit_s=pytest.approx(0.001),
        post_transmit_s=0.1,
        direction="rs485",
        rts_on_send=False,
        when_down="close",
    )
    assert (switched.turnaround_s, switched.pre_transmit_s, switched.post_transmit_s) == (0.0, 0.0, 0.00025)
    assert (switched.direction, switched.rts_on_send, switched.when_down) == ("rts", True, "refuse")
    assert plain.turnaround_s == 10.0
    assert [outstation.broadcast for outstation in configuration.outstations] == [
        *("deny", "deny"),
        *("allow", "allow"),
    ]
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("0 ms", 0.0),
        ("0 bits", 0.0),
        ("2.5 ms", 0.0025),
        ("2.5ms", 0.0025),
        ("10000 ms", 10.0),
        ("20 bits", 20 / 9600),
        ("0.5bits", 0.5 / 9600),
        ("96000 bits", 10.0),
    ],
)
def test_a_delay_is_in_bits_or_ms(text: str, expected_s: float) -> None:
    configuration = parse(MINIMAL.replace("9600", f'9600\n{LONG}turnaround = "{text}"'), "f.toml")
    assert configuration.lines["bay1"].turnaround_s == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "20",
            "bits",
            "20 bit",
            "20 BITS",
            "20 s",
            "20 us",
            "-20 bits",
            "+20 bits",
            "1e3 ms",
            "0x10 ms",
        ),
        *("2,5 ms", ".5 ms", "5. ms", "2  ms", " 2 ms", "2 ms ", "2 ms\\n", "2\\tms", "nan ms", "inf ms"),
        *("٢ ms", "1_000 ms", "2 ms 5 bits", "9" * 10 + " ms"),
    ],
)
def test_what_is_no_delay(text: str) -> None:
    (problem,) = _problems(MINIMAL.replace("9600", f'9600\npre_transmit = "{text}"'))
    assert problem.startswith("f.toml: line.bay1.pre_transmit: ")
    assert problem.endswith(
        " is no delay in bits or ms; write a number from 0 and its unit, such as '20 bits' or '2.5 ms'"
    )


def test_the_readme_shows_every_key_with_its_default() -> None:
    block = readme_toml("\n## Configuration\n")
    shown = parse(block, "README.md").lines["bay1"]
    section = re.search(r"\[line\.bay1\].*?\n\n", block, re.DOTALL)
    assert section is not None
    assert set(re.findall(r"^(\w+) =", section[0], re.MULTILINE)) == set(LINE_KEYS)
    text = MINIMAL.replace("/dev/ttyAMA2", shown.device)
    default = asdict(parse(text, "f.toml").lines["bay1"])
    # Milliseconds are whole in a file.
    assert asdict(shown) == {
        label: pytest.approx(value, abs=0.00051) if label in ROUNDED else value
        for label, value in default.items()
    }


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("[service]", SERVICE_KEYS),
        ("[metrics]", METRICS_KEYS),
        ("[server.main]", SERVER_KEYS),
        ("[line.bay1]", LINE_KEYS),
        ("[[outstation]]", OUTSTATION_KEYS),
        ("[button]", BUTTON_KEYS),
        ("[input.door]", INPUT_KEYS),
        ("[relay.horn]", RELAY_KEYS),
        ("[recorder]", RECORDER_KEYS),
    ],
)
def test_the_readme_shows_every_key_and_marks_those_that_are_required(
    header: str, keys: Mapping[str, Key]
) -> None:
    block = readme_toml("\n## Configuration\n")
    section = block[block.index(header) :].partition("\n\n")[0]
    shown = dict(re.findall(r"^(\w+) = (.*)$", section, re.MULTILINE))
    assert set(shown) == set(keys)
    marked = {label for label, text in shown.items() if re.search(r"# required\b", text)}
    assert marked == {label for label, key in keys.items() if key.is_required}


def test_the_shortest_configuration_of_the_readme_is_right() -> None:
    assert not parse(readme_toml("The shortest `bridge.toml`"), "bridge.toml").warnings


def test_the_readme_shows_every_key_of_the_panel_with_its_default() -> None:
    block = readme_toml("\n## Configuration\n")
    tables = tomllib.loads(block)
    shown = parse(block, "README.md")
    assert {key for led in tables["led"].values() for key in led} == set(LED_KEYS)
    for keys, (table,) in (
        (BUTTON_KEYS, [tables["button"]]),
        (INPUT_KEYS, tables["input"].values()),
        (RELAY_KEYS, tables["relay"].values()),
    ):
        assert set(table) == set(keys)
    plain = parse(MINIMAL + "[button]\npin = 19\n[input.door]\npin = 24\n[relay.horn]\npin = 27\n", "f.toml")
    assert (shown.button, shown.inputs, shown.relays) == (plain.button, plain.inputs, plain.relays)


def test_the_readme_shows_the_recorder_with_its_defaults() -> None:
    block = readme_toml("\n## Configuration\n")
    shown = parse(block, "README.md").recorder
    assert shown.folder == "/var/lib/rtu-bridge/captures"
    assert replace(shown, folder=None) == replace(DEFAULTS, folder=None)


def test_recordings_are_kept_where_systemd_keeps_the_services_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert default_capture_folder() is None
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/rtu-bridge")
    assert default_capture_folder() == "/var/lib/rtu-bridge/captures"
    monkeypatch.setenv("STATE_DIRECTORY", "nonsense")
    assert default_capture_folder() is None


def test_outstations_of_the_program_itself() -> None:
    site = load(CONFIGURATIONS / "good" / "appliance.toml", BOARD_LEDS)
    assert (site.service.name, site.service.location) == ("mill-lane", "Mill Lane, cabinet 3")
    rtu, box, other = site.outstations
    assert (rtu.line, rtu.local) == ("bay1", None)
    assert (box.line, box.local) == (None, "appliance")
    assert (box.master_address, box.unsolicited, box.controls) == (100, True, "allow")
    assert (other.master_address, other.unsolicited, other.controls) == (None, False, "deny")
    assert (site.inputs["door"].point, site.relays["horn"].point) == (30, 20)


def test_an_appliance_has_points_for_so_many_lines() -> None:
    lines = "".join(f'[line.l{number}]\ndevice = "/dev/l{number}"\nbaud = 9600\n' for number in range(45))
    local = '[[outstation]]\nname = "box"\nserver = "main"\nmasters = ["any"]\n'
    local += 'local = "appliance"\nlink_address = 1\n'
    assert _problems(MINIMAL + local + lines) == (
        "f.toml: outstation.box.local: has points for 45 lines, and there are 46; write at most 45",
    )
    assert len(parse(MINIMAL + lines, "f.toml").lines) == 46, "without an appliance there may be more"


def test_a_panel_with_everything() -> None:
    panel = load(CONFIGURATIONS / "good" / "panel.toml")
    assert panel.leds == {
        "feeder": LedConfig("feeder", None, True, red=5, green=6),
        "act": LedConfig("act", None, False, kernel="ACT"),
    }
    assert panel.button == ButtonConfig(pin=20, active_low=True, pull="up")
    assert panel.inputs == {
        "door": InputConfig("door", pin=21, active_low=False, pull="down", debounce_s=0.02),
        "gas": InputConfig("gas", pin=16, active_low=True, pull="up", debounce_s=0.0, point=21),
    }
    assert panel.relays == {"horn": RelayConfig("horn", pin=19, active_low=True)}


def test_a_pin_that_very_many_want_is_one_short_problem() -> None:
    relays = "".join(f"[relay.r{number}]\npin = 5\n" for number in range(500))
    (problem,) = _problems(MINIMAL + relays)
    assert problem.startswith("f.toml: relay.r1.pin: pin 5 is that of relay 'r0', relay 'r1', ")
    assert problem.endswith(", relay 'r11', … (500 in all); give each its own")


def test_default_timeouts_follow_baud_rate_and_parity() -> None:
    text = MINIMAL.replace("baud = 9600", 'baud = 1200\nparity = "odd"\nstop_bits = 2')
    line = parse(text, "f.toml").lines["bay1"]
    assert line.response_timeout_s == pytest.approx(2.0 + 292 * 12 / 1200)
    assert line.frame_timeout_s == pytest.approx(0.1 + 40 * 12 / 1200)
    assert (line.parity_bits, line.framing) == (1, "8O2")


def test_close_mode_and_whole_seconds() -> None:
    text = MINIMAL.replace(':20000"', ':20000"\nlink_error_mode = "close"\nsend_stall_s = 2')
    server = parse(text, "f.toml").servers["main"]
    assert server.link_error_mode is LinkErrorMode.CLOSE
    assert server.send_stall_s == 2.0
    assert isinstance(server.send_stall_s, float)


def test_configuration_cannot_be_changed() -> None:
    configuration = parse(SAMPLE, "f.toml")
    with pytest.raises(FrozenInstanceError):
        configuration.warnings = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        configuration.servers["main"] = configuration.servers["main"]  # type: ignore[index]


def test_there_are_metrics_where_the_file_says_so() -> None:
    assert parse(MINIMAL, "f.toml").metrics is None
    for section, listen in (("", "127.0.0.1:9815"), ('listen = "[::1]:1234"\n', "[::1]:1234")):
        configuration = parse(f"[metrics]\n{section}{MINIMAL}", "f.toml")
        assert configuration.metrics == MetricsConfig(Endpoint.parse(listen))
        assert configuration.warnings == ()


@pytest.mark.parametrize("listen", ["0.0.0.0:9815", "[::]:9815", "192.0.2.7:9815"])
def test_metrics_for_everybody_are_a_warning(listen: str) -> None:
    configuration = parse(f'[metrics]\nlisten = "{listen}"\n{MINIMAL}', "f.toml")
    assert configuration.metrics == MetricsConfig(Endpoint.parse(listen))
    assert configuration.warnings == (
        f"f.toml: metrics.listen: '{listen}' shows the metrics to everybody who reaches this machine, "
        "without a password; write '127.0.0.1:9815', or let only a network of your own reach it",
    )


def test_warnings() -> None:
    assert load(CONFIGURATIONS / "good" / "warnings.toml").warnings == tuple(
        f"{CONFIGURATIONS / 'good' / 'warnings.toml'}: {warning}"
        for warning in (
            "server.spare: no outstation uses it; write server = 'spare' in one, or delete it",
            "line.spare: no outstation uses it; write line = 'spare' in one, or delete it",
            "line.bay1.request_ttl_ms: 1000 ms is shorter than the response timeout of 2304.2 ms: "
            "one silent RTU makes the requests behind it expire; write 2305 or more",
            "line.bay1.post_transmit: has no effect with direction 'automatic', which leaves RTS alone; "
            "write direction = 'rs485' or 'rts', or delete it",
            "line.bay1.rts_on_send: has no effect with direction 'automatic', which leaves RTS alone; "
            "write direction = 'rs485' or 'rts', or delete it",
            "line.bay2.control_ttl_ms: 2304 ms is shorter than the response timeout of 2304.2 ms: "
            "one silent RTU makes the controls behind it expire; write 2305 or more",
            "line.bay2.pre_transmit: 2.083 ms becomes 3 ms: the kernel takes whole milliseconds "
            "with direction 'rs485'; write '3 ms'",
            "line.bay3.control_ttl_ms: 10001 ms is longer than the request TTL of 10000 ms: "
            "a control is sent later than any other request; "
            "write at most 10000, or request_ttl_ms = 10001",
            "line.bay4.device: '/dev/ttyUSB0' may be another one after a reboot; "
            "write its name in /dev/serial/by-id",
            "line.bay4.broadcast_dead_time_ms: 2305 ms is not shorter than the control TTL of 2305 ms: "
            "controls expire while they wait for it to end; write less, or a longer control_ttl_ms",
            "line.bay5.device: '/dev/ttyACM11' may be another one after a reboot; "
            "write its name in /dev/serial/by-id",
            "line.bay5.control_ttl_ms: 2000 ms is shorter than the response timeout of 2304.2 ms: "
            "one silent RTU makes the controls behind it expire; write 2305 or more",
            "line.bay5.turnaround: 2000 ms is not shorter than the control TTL of 2000 ms: "
            "controls expire while they wait for it to end; write less, or a longer control_ttl_ms",
            "outstation.pole-13.broadcast: no broadcast goes to line 'bay1', "
            "for every RTU on a line hears it, so 'pole-12' will get none; "
            "write 'deny' there as well, or 'allow' here",
        )
    )


def test_port_0_never_collides() -> None:
    text = MINIMAL.replace("0.0.0.0:20000", "0.0.0.0:0") + '[server.other]\nlisten = "0.0.0.0:0"\n'
    assert len(parse(text, "f.toml").servers) == 2


def test_a_disabled_outstation_is_checked_like_the_others() -> None:
    again = MINIMAL[MINIMAL.index("[[outstation]]") :].replace("pole-12", "pole-13") + "enabled = false\n"
    assert _problems(MINIMAL + again) == (
        "f.toml: outstation.pole-13.link_address: on line 'bay1' link address 12 is that of outstations "
        "'pole-12' and 'pole-13'; give each RTU on a line its own",
    )


def test_leds_exist_on_the_board_or_in_the_file() -> None:
    text = MINIMAL + 'led = "led2"\n'
    assert parse(text, "f.toml", BOARD_LEDS).outstations[0].led == "led2"
    assert parse(text + "[led.led2]\npin = 5\n", "f.toml").outstations[0].led == "led2"
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "f.toml")
    assert caught.value.problems == (
        "f.toml: outstation.pole-12.led: there is no LED 'led2'; add [led.led2]",
    )


def test_the_system_led_is_the_one_that_the_board_has() -> None:
    assert DEFAULT_BOARD.led_pins[SYSTEM_LED]
    text = MINIMAL + 'led = "led1"\n[led.system]\npin = 5\n'
    assert parse(text, "f.toml", DEFAULT_BOARD.led_pins).leds == {"system": LedConfig("system", 5, False)}


def test_the_pin_of_a_board_led_that_is_not_used_is_free() -> None:
    text = MINIMAL + 'led = "mine"\n[led.mine]\npin = 17\n'
    assert parse(text, "f.toml", BOARD_LEDS).leds["mine"].pin == 17


def test_the_last_moments_of_a_timeout_that_is_long_enough() -> None:
    assert parse(MINIMAL.replace("9600", "9600\nresponse_timeout_ms = 305"), "f.toml")
    assert "at least 305" in _problems(MINIMAL.replace("9600", "9600\nresponse_timeout_ms = 304"))[0]
    assert parse(MINIMAL.replace("9600", "9600\nframe_timeout_ms = 2"), "f.toml")
    assert "at least 2" in _problems(MINIMAL.replace("9600", "9600\nframe_timeout_ms = 1"))[0]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("babble_ms = 305", "babble_ms = 304"),
        ("exchange_limit_ms = 2305", "exchange_limit_ms = 2304"),
        ("request_ttl_ms = 5000\ncontrol_ttl_ms = 5000", "request_ttl_ms = 5000\ncontrol_ttl_ms = 5001"),
        (f'{LONG}turnaround = "96000 bits"', f'{LONG}turnaround = "96001 bits"'),
        ('turnaround = "2304 ms"', 'turnaround = "2305 ms"'),
        ('direction = "rs485"\npre_transmit = "960 bits"', 'direction = "rs485"\npre_transmit = "961 bits"'),
        ('direction = "rs485"\npost_transmit = "100 ms"', 'direction = "rs485"\npost_transmit = "100.1 ms"'),
        ('direction = "rts"\npost_transmit = "10000 ms"', 'direction = "rts"\npost_transmit = "10001 ms"'),
        (
            f'{LONG}direction = "rs485"\nturnaround = "10000 ms"',
            f'{LONG}direction = "rs485"\nturnaround = "10001 ms"',
        ),
        ("broadcast_dead_time_ms = 0", "broadcast_dead_time_ms = -1"),
    ],
)
def test_the_last_value_that_is_right(right: str, wrong: str) -> None:
    assert parse(MINIMAL.replace("9600", f"9600\n{right}"), "f.toml")
    (problem,) = _problems(MINIMAL.replace("9600", f"9600\n{wrong}"))
    key = wrong.splitlines()[-1].partition(" ")[0]
    assert problem.startswith(f"f.toml: line.bay1.{key}: ")


def test_the_longest_delays_that_a_problem_names_are_right() -> None:
    for baud in BAUD_RATES:
        text = MINIMAL.replace("9600", f'{baud}\ndirection = "rs485"\npre_transmit = "101 ms"')
        (problem,) = _problems(text)
        named = re.search(r"or '(\d+ bits)'", problem)
        assert named is not None
        line = parse(text.replace("101 ms", named[1]), "f.toml").lines["bay1"]
        assert line.pre_transmit_s == pytest.approx(0.1)


@pytest.mark.parametrize("octets", [b"\xef\xbb\xbf" + SAMPLE.encode(), SAMPLE.replace("\n", "\r\n").encode()])
def test_what_windows_editors_write(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "bridge.toml"
    path.write_bytes(octets)
    assert load(path).outstations == parse(SAMPLE, "").outstations


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin, utf16, missing = tmp_path / "latin.toml", tmp_path / "utf16.toml", tmp_path / "missing.toml"
    latin.write_bytes(b"# first line\n# M\xfchle\n")
    utf16.write_bytes(SAMPLE.encode("utf-16"))
    expected = {
        latin: f"{latin}:2: octet 0xFC is not UTF-8 text; save the file as UTF-8",
        utf16: f"{utf16}:1: octet 0xFF is not UTF-8 text; save the file as UTF-8",
        missing: f"{missing}: there is no such file; name one that exists",
        tmp_path: f"{tmp_path}: is a directory; name a file in it",
        latin / "f.toml": f"{latin / 'f.toml'}: cannot be read: Not a directory; name a readable file",
    }
    for path, problem in expected.items():
        with pytest.raises(ConfigurationError) as caught:
            load(path)
        assert caught.value.problems == (problem,)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, whom the mode of a file does not stop.
    (tmp_path / "f.toml").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "f.toml")
    assert caught.value.problems == (
        f"{tmp_path / 'f.toml'}: may not be read by this user; "
        "give it the permission, or run as another user",
    )


def test_text_that_breaks_the_toml_reader() -> None:
    assert _problems("a = " + "[" * 100_000) == ("f.toml: is nested too deep; write tables of depth two",)
    (digits,) = _problems("a = " + "9" * 5000)
    assert digits.startswith("f.toml: Exceeds the limit")


ODD_VALUES = (
    *("1", "-1", "0", "1.5", "inf", "nan", "true", '""', '"x"', "[]", '[""]', "[[]]", "{}", "2024-01-01"),
    *("0x" + "f" * 5000, "07:30:00", '"' + "y" * 500 + '"', '"\\u0000\\n\\u2028"', "{ a = { b = 1 } }"),
)


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: value[:20])
def test_any_value_for_any_key_is_right_or_a_problem_of_one_line(value: str) -> None:
    lines = SAMPLE.splitlines()
    for number, line in enumerate(lines):
        key = re.match(r"(\w+) = ", line)
        if key is not None:
            _expect_problems_of_one_line(
                "\n".join([*lines[:number], f"{key[1]} = {value}", *lines[number + 1 :]])
            )


def test_damaged_files_are_right_or_problems_of_one_line() -> None:
    rng = random.Random(1815)
    for _ in range(1500):
        text = list(SAMPLE)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(text))
            text[at : at + rng.randint(0, 8)] = rng.choice(
                ["", "\n", '"', "[", "]", "=", "0", "é", "\\", "."]
            )
        _expect_problems_of_one_line("".join(text))


def _expect_problems_of_one_line(text: str) -> None:
    for problem in _problems_or_none(text):
        assert problem.startswith("f.toml:")
        assert problem.isprintable(), problem
        assert ";" in problem


def _problems_or_none(text: str) -> tuple[str, ...]:
    try:
        parse(text, "f.toml", BOARD_LEDS)
    except ConfigurationError as error:
        return error.problems
    return ()
