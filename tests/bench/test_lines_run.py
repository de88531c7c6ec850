"""The bench of many lines itself: its quick form measures what is installed, and no answer is lost or torn.

No time is asserted: the machine's speed is not the program's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from tests.bench import lines, rig
from tests.bench.lines import DEFAULT_PEERS, Result
from tests.bench.peers import PEERS, Site

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(rig.compiler() is None, reason="the bench's load needs a C compiler"),
]

PLAN = replace(lines.QUICK, rounds=2, warm_up_s=0.05, seconds=0.3)


@pytest.fixture(scope="module")
def result() -> Result:
    return lines.run(PLAN, [PEERS[key] for key in DEFAULT_PEERS])


def test_every_bridge_is_measured_or_missing(result: Result) -> None:
    assert [each.key for each in result.bridges] == list(DEFAULT_PEERS)
    for each in result.bridges:
        expected = "missing" if PEERS[each.key].missing() else "measured"
        assert (each.key, each.status, each.rounds) == (each.key, expected, 2 * (expected == "measured"))


def test_no_answer_is_lost_or_damaged(result: Result) -> None:
    for each, block in result.measured:
        assert (each.key, block.lost, block.damaged) == (each.key, 0, 0)
    assert lines.clean(result)


def test_the_wire_bounds_what_goes_through(result: Result) -> None:
    for _, block in result.measured:
        # An exchange that began in the warm-up counts where it ends.
        most = block.seconds / PLAN.wire_s + result.plan.rounds
        assert 0 < block.fewest <= block.exchanges / PLAN.lines <= most
        assert 0 < block.p50_us <= block.p99_us <= block.worst_us
        assert block.cpu_s > 0
        assert block.rss_kib > 0


def test_ser2net_is_its_own_yardstick(result: Result) -> None:
    for each, block in result.measured:
        ratio = result.ratio(block, lambda b: b.cpu_share)
        assert (ratio == 1) if each.key == "ser2net" else (ratio is None or ratio > 0)


def test_the_three_forms_name_every_bridge(result: Result) -> None:
    for each, _ in result.measured:
        assert each.label in lines.terminal(result)
        assert f"| {each.label} |" in lines.markdown(result)
    raw = json.loads(lines.as_json(result))
    assert [each["key"] for each in raw["bridges"]] == list(DEFAULT_PEERS)


def test_a_bridge_that_is_not_installed_is_missing_not_an_error() -> None:
    absent = replace(PEERS["ser2net"], missing=lambda: "ser2net is not installed")
    result = lines.run(PLAN, [absent])
    assert "missing: ser2net is not installed" in lines.terminal(result)
    assert lines.clean(result)


def test_a_bridge_that_ends_is_reported_with_its_last_words() -> None:
    broken = replace(PEERS["c"], command=lambda _: ["sh", "-c", "echo no such line; exit 3"])
    result = lines.run(replace(PLAN, lines=1), [broken])
    assert result.bridges[0].status == "failed"
    assert result.bridges[0].reason == "ended with status 3: no such line"
    assert not lines.clean(result)


DAMAGES = r"""
import socket, sys, threading, tty
def passes(read, write, last):
    while octets := read(4096):
        write(octets[:-1] + bytes([octets[-1] ^ last]))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
line = open(sys.argv[2], "r+b", buffering=0)
tty.setraw(line)
master = listener.accept()[0]
threading.Thread(target=passes, args=(master.recv, line.write, 0)).start()
passes(line.read, master.sendall, 1)
"""


def test_a_bridge_that_damages_octets_is_found_out() -> None:
    def command(site: Site) -> list[str]:
        return [sys.executable, "-c", DAMAGES, *map(str, site.lines[0])]

    result = lines.run(replace(PLAN, lines=1, rounds=1), [replace(PEERS["c"], command=command)])
    assert not lines.clean(result)
    assert "damaged" in result.bridges[0].reason
