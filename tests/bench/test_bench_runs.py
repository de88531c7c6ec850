"""The bench itself: its quick form measures what is installed, and every frame comes back whole.

No time is asserted: the machine's speed is not the program's.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.bench import bridges, frames, report, rig
from tests.bench.peers import PEERS
from tests.bench.report import Result

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(rig.compiler() is None, reason="the bench's RTU needs a C compiler"),
]

ALWAYS = ("pty", "c")
OTHERS = tuple(key for key in PEERS if key not in ALWAYS)
PLAN = replace(bridges.QUICK, rounds=2, frames=100)


@pytest.fixture(scope="module")
def result() -> Result:
    return bridges.run(PLAN, [PEERS[key] for key in (*ALWAYS, *OTHERS)])


def test_every_peer_has_a_row(result: Result) -> None:
    assert [peer.key for peer in result.peers] == [*ALWAYS, *OTHERS]
    for peer in result.peers:
        expected = "missing" if PEERS[peer.key].missing() else "measured"
        assert (peer.key, peer.status, peer.reason if expected == "measured" else "") == (
            peer.key,
            expected,
            "",
        )


def test_every_request_is_answered_and_no_answer_is_torn(result: Result) -> None:
    for peer in result.peers:
        for size, block in peer.sizes.items():
            assert (peer.key, size, block.damaged, block.unanswered) == (peer.key, size, 0, 0)
            assert 0 < block.answered == block.sent


def test_the_figures_are_plausible(result: Result) -> None:
    for peer in result.peers:
        if peer.status == "missing":
            continue
        assert set(peer.sizes) == set(PLAN.sizes)
        assert peer.uart is not None
        for block in (*peer.sizes.values(), peer.uart):
            assert block.p50 <= block.p99
            assert block.segments >= 1
        if peer.key != "pty":
            assert peer.rss_kib is not None
            assert peer.peak_kib is not None
            assert 0 < peer.rss_kib <= peer.peak_kib
            assert peer.start_ms is not None
            assert peer.first_answer_ms is not None
            assert 0 < peer.start_ms <= peer.first_answer_ms


def test_the_c_bridge_is_its_own_yardstick(result: Result) -> None:
    c = result.peer("c")
    assert c is not None
    assert result.ratio(c, "c") == 1


def test_the_three_forms_name_every_measured_peer(result: Result) -> None:
    measured = [peer for peer in result.peers if peer.status == "measured"]
    for peer in measured:
        assert peer.label in report.terminal(result)
        assert f"| {peer.label} |" in report.markdown(result)
    raw = json.loads(report.as_json(result))
    assert [peer["key"] for peer in raw["peers"]] == [peer.key for peer in result.peers]


def test_a_peer_that_is_not_installed_is_missing_not_an_error() -> None:
    absent = replace(PEERS["socat"], missing=lambda: "socat is not installed")
    result = bridges.run(replace(PLAN, rounds=1), [absent])
    assert result.peers[0].status == "missing"
    assert "socat is not installed" in report.terminal(result)
    assert bridges.clean(result)


def test_a_peer_that_does_not_start_is_reported_with_its_last_words() -> None:
    broken = replace(PEERS["c"], command=lambda _: ["sh", "-c", "echo no such line; exit 3"])
    result = bridges.run(replace(PLAN, rounds=1), [broken])
    assert result.peers[0].status == "failed"
    assert result.peers[0].reason == "ended with status 3: no such line"
    assert not bridges.clean(result)


# ------------------------------------------------------------------------------------------ its frames


def test_crc_check_value() -> None:
    assert frames.crc(b"123456789") == bytes.fromhex("82EA")


@pytest.mark.parametrize("octets", [10, 100, 292])
def test_requests_and_answers_have_exactly_the_size_asked_for(octets: int) -> None:
    traffic = frames.exchange(octets)
    assert {len(frame) for frame in (*traffic.requests, *traffic.answers)} == {octets}


def test_a_size_no_frame_has_is_refused() -> None:
    with pytest.raises(ValueError, match="12"):
        frames.exchange(12)
