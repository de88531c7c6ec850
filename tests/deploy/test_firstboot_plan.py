"""What is to be done about the files of the card, and those that were right last."""

from __future__ import annotations

import pytest

from deploy.raspberrypi.appliance import plan
from deploy.raspberrypi.appliance.files import LONGEST_OCTETS, Source
from deploy.raspberrypi.appliance.plan import Card, Plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0l2yqMZ1yFmE3cYl1mJm3o0cI4m1r3sZ0Wq1Kq3x0H tech@laptop"
BRIDGE = """
[server.main]
listen = "192.0.2.10:20000"
[line.bay1]
device = "/dev/ttyS0"
baud = 9600
[[outstation]]
name = "rtu-1"
server = "main"
masters = ["192.0.2.1"]
line = "bay1"
link_address = 1
"""
OTHER_BRIDGE = BRIDGE.replace("20000", "20001")
RUNNING = "rtu-bridge-appliance/bridge.toml"
WIRED = "systemd/network/10-rtu-bridge-wired.network"


def source(name: str, content: str | bytes | None) -> Source:
    return Source(name, content.encode() if isinstance(content, str) else content)


def made(
    bridge: str | bytes | None = BRIDGE,
    kept: str | None = None,
    *,
    settings: str | bytes | None = None,
    kept_settings: str | None = None,
    preseed: str | None = None,
    problem: str | None = None,
) -> Plan:
    card = {"bridge.toml": bridge, "appliance.toml": settings, "rpi-preseed.toml": preseed}
    last = {"bridge.toml": kept, "appliance.toml": kept_settings}
    if problem is not None:
        return plan.make(Card(problem=problem), {name: source(name, text) for name, text in last.items()})
    return plan.make(
        Card({name: source(name, text) for name, text in card.items() if text is not None}),
        {name: source(name, text) for name, text in last.items()},
    )


def run_file(made_plan: Plan, name: str) -> str | None:
    return next((file.text for file in made_plan.run_files if file.name == name), None)


def test_a_right_configuration_runs_and_is_kept() -> None:
    result = made()

    assert run_file(result, RUNNING) == BRIDGE
    assert result.keep["bridge.toml"] == BRIDGE.encode()
    assert result.problems == ()
    assert result.has_configuration
    assert run_file(result, plan.MARKER) is None


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (BRIDGE.replace("9600", "9601").encode(), "line.bay1.baud"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (bytes(4096), "is empty"),
        (b"[server", "bridge.toml:1"),
        ("[service]\n".encode("utf-16"), "is not UTF-8"),
        (b"a." * 5000 + b"b = 1", "nested too deep"),
        (b"[" * 5000, "bridge.toml"),
        (b"x = " + b"9" * 5000, "bridge.toml"),
        (None, "is not there; put it on the card"),
    ],
)
def test_instead_of_a_wrong_one_the_last_good_one_runs(octets: bytes | None, said: str) -> None:
    result = made(octets, OTHER_BRIDGE)

    assert run_file(result, RUNNING) == OTHER_BRIDGE
    assert result.keep["bridge.toml"] == OTHER_BRIDGE.encode()
    assert said in result.problems[0]
    assert result.problems[-1] == "bridge.toml: the one that was right last is in force"
    assert run_file(result, plan.MARKER) == "".join(f"{problem}\n" for problem in result.problems)


@pytest.mark.parametrize("octets", [None, b"", b"nonsense", b"\xff\xfe"])
def test_without_a_last_good_one_nothing_listens_and_that_is_said(octets: bytes | None) -> None:
    result = made(octets)

    assert not result.has_configuration
    assert run_file(result, RUNNING) is None
    assert result.keep["bridge.toml"] is None
    assert "no bridge runs, and nothing listens" in result.problems[-1]
    assert "20000" not in (run_file(result, "rtu-bridge-appliance/firewall.nft") or "")
    assert run_file(result, WIRED)


def test_a_last_good_one_that_is_wrong_now_stays_kept_and_does_not_run() -> None:
    result = made("nonsense", "[server.old]\n")

    assert not result.has_configuration
    assert result.keep["bridge.toml"] == b"[server.old]\n"
    assert "is no longer" in result.problems[-1]


def test_what_the_card_says_of_a_file_is_passed_on() -> None:
    source_problem = Source("bridge.toml", problem="is no regular file; put a text file there")

    result = plan.make(Card({"bridge.toml": source_problem}), {"bridge.toml": source("bridge.toml", BRIDGE)})

    assert result.problems[0] == "bridge.toml: is no regular file; put a text file there"
    assert run_file(result, RUNNING) == BRIDGE


def test_a_file_that_windows_gave_a_second_ending_is_recognised() -> None:
    result = plan.make(Card({"bridge.toml.txt": source("bridge.toml.txt", BRIDGE)}), {})

    assert result.problems[0] == "bridge.toml: is not there; rename bridge.toml.txt, which is there"


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    octets = b"\xef\xbb\xbf" + BRIDGE.replace("\n", "\r\n").encode()

    result = made(octets)

    assert result.problems == ()
    assert run_file(result, RUNNING) == BRIDGE.replace("\n", "\r\n")
    assert result.keep["bridge.toml"] == octets


def test_without_a_card_all_that_was_right_last_is_in_force() -> None:
    result = made(kept=BRIDGE, kept_settings='hostname = "pole-7"', problem="cannot be mounted; replace it")

    assert result.problems == ("the card: cannot be mounted; replace it",)
    assert run_file(result, RUNNING) == BRIDGE
    assert result.hostname == "pole-7"
    assert result.keep["appliance.toml"] == b'hostname = "pole-7"'


def test_without_a_card_and_anything_kept_it_says_so() -> None:
    result = made(problem="cannot be mounted; replace it")

    assert not result.has_configuration
    assert result.hostname == "rtu-bridge"
    assert len(result.problems) == 2
    assert "nothing listens" in result.problems[1]


def test_settings_that_are_taken_from_the_card_are_in_force_no_longer() -> None:
    result = made(kept_settings='hostname = "pole-7"')

    assert result.hostname == "rtu-bridge"
    assert result.keep["appliance.toml"] is None
    assert result.problems == ()


@pytest.mark.parametrize("wrong", ['hostname = "a b"', "", 'hostname = "x'])
def test_wrong_settings_leave_the_last_good_ones_and_the_bridge(wrong: str) -> None:
    result = made(settings=wrong, kept_settings='hostname = "pole-7"')

    assert result.hostname == "pole-7"
    assert result.keep["appliance.toml"] == b'hostname = "pole-7"'
    assert run_file(result, RUNNING) == BRIDGE
    assert result.problems[0].startswith("appliance.toml:")


def test_own_settings_come_before_those_of_imager() -> None:
    imager = f'config_version = "1.0"\n[system]\nhostname = "imager"\n[ssh]\nauthorized_keys = ["{KEY}"]\n'

    result = made(settings='hostname = "own"', preseed=imager)

    assert result.hostname == "own"
    assert run_file(result, "rtu-bridge-appliance/authorized_keys") == f"{KEY}\n"
    assert "tcp dport 22" in (run_file(result, "rtu-bridge-appliance/firewall.nft") or "")


def test_without_a_key_there_is_no_ssh() -> None:
    result = made()

    assert run_file(result, "rtu-bridge-appliance/authorized_keys") is None
    assert "tcp dport 22" not in (run_file(result, "rtu-bridge-appliance/firewall.nft") or "")


def test_the_firewall_admits_what_the_configuration_in_force_listens_on() -> None:
    rules = run_file(made("nonsense", OTHER_BRIDGE), "rtu-bridge-appliance/firewall.nft")

    assert rules is not None
    assert "ip daddr 192.0.2.10 tcp dport 20001 accept" in rules


def test_the_firewall_admits_the_metrics_where_they_are_for_others() -> None:
    for listen, is_admitted in (("0.0.0.0:9815", True), ("127.0.0.1:9815", False)):
        result = made(f'{OTHER_BRIDGE}[metrics]\nlisten = "{listen}"\n')
        rules = run_file(result, "rtu-bridge-appliance/firewall.nft")
        assert ("tcp dport 9815" in (rules or "")) is is_admitted


def test_warnings_are_noted_and_are_no_error() -> None:
    unused = BRIDGE + '[line.spare]\ndevice = "/dev/ttyS1"\nbaud = 9600\n'

    result = made(unused)

    assert result.problems == ()
    assert any("line.spare" in note for note in result.notes)


def test_only_the_wireless_password_is_kept_from_others() -> None:
    result = made(preseed='[wlan]\nssid = "plant"\npassword = "12345678"\n')

    modes = {file.name: file.mode for file in result.run_files}
    assert {name for name, mode in modes.items() if mode != 0o644} == {
        "rtu-bridge-appliance/wpa_supplicant.conf"
    }
    assert modes["rtu-bridge-appliance/wpa_supplicant.conf"] == 0o600
    assert set(modes) <= set(plan.RUN_FILES)


def test_the_longest_file_is_as_long_as_the_bridge_takes() -> None:
    result = made("#" * LONGEST_OCTETS, BRIDGE)

    assert "outstation" in result.problems[0]
