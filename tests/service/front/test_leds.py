"""From the wire to the pins: what `PanelLink` passes on, and what the mock pins of a whole bridge show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from bridge.endpoints.connection_state import ConnectionState
from bridge.endpoints.control import ask, control_path
from bridge.service.build import Bridge
from bridge.service.front.leds import PanelLink
from bridge.service.views.outstation_tables import led
from bridge.service.views.panel import render
from hw.colour import Colour
from hw.indicator import Indicator as HwIndicator
from hw.indicator import LedState
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.frames import link_status, link_status_request
from tests.support.masters import Master
from tests.support.ptys import Device, Pty
from tests.support.sites import Pins, running

pytestmark = pytest.mark.wire

CONNECTED, DISCONNECTED = ConnectionState.CONNECTED, ConnectionState.DISCONNECTED


@dataclass(eq=False)
class Indicator:
    """An `IndicatorEvents` that writes down what it hears."""

    heard: list[tuple[str, float]] = field(default_factory=list)

    def __getattr__(self, event: str) -> object:
        return lambda now: self.heard.append((event, now))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.heard]


@dataclass(eq=False)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Panel:
    """A link with its indicator, its clock, and how often it said that something changed."""

    def __init__(self) -> None:
        self.indicator, self.clock, self.changes = Indicator(), Clock(), 0
        self.notices = 0
        self.link = PanelLink(self.indicator, self.clock, self._count, self._notice)  # type: ignore[arg-type]

    def _notice(self) -> None:
        self.notices += 1

    def _count(self) -> None:
        self.changes += 1

    def exchange(self, after_s: float) -> None:
        self.clock.now += after_s
        self.link.request_sent()
        self.link.answer_received()


@pytest.fixture
def panel() -> Panel:
    return Panel()


# PanelLink


def test_what_is_routine_is_not_noticed(panel: Panel) -> None:
    link, clock = panel.link, panel.clock
    link.connection_state_changed(CONNECTED, "10.1.1.5:4021")
    for _ in range(5):
        panel.exchange(1.0)
    assert panel.notices == 1
    link.answer_missed()
    link.answer_missed()
    assert panel.notices == 3
    for _ in range(100):
        clock.now += 0.02
        link.noise_heard()
    assert panel.notices == 5, "noise for two seconds"
    link.connection_state_changed(DISCONNECTED, "10.1.1.5:4021")
    assert panel.notices == 6


def test_every_event_is_passed_on_with_its_time_and_told(panel: Panel) -> None:
    link, expected = panel.link, []
    for happen, event in (
        (lambda: link.connection_state_changed(CONNECTED, "10.1.1.5:1"), "master_connected"),
        (link.request_sent, "request_sent"),
        (link.answer_received, "answer_received"),
        (link.answer_missed, "answer_missed"),
        (link.noise_heard, "noise_heard"),
        (lambda: link.connection_state_changed(DISCONNECTED, "10.1.1.5:1"), "master_disconnected"),
    ):
        panel.clock.now += 1
        happen()
        expected.append((event, panel.clock.now))
    assert panel.indicator.heard == expected
    assert panel.changes == len(expected)


def test_fast_exchanges_are_thinned_out(panel: Panel) -> None:
    for _ in range(1000):
        panel.exchange(after_s=0.001)
    assert 10 <= len(panel.indicator.heard) <= 50
    assert set(panel.indicator.events) == {"request_sent", "answer_received"}
    assert panel.changes == len(panel.indicator.heard)


def test_slow_exchanges_are_all_passed_on(panel: Panel) -> None:
    for _ in range(10):
        panel.exchange(after_s=0.101)
    assert panel.indicator.events == ["request_sent", "answer_received"] * 10


@pytest.mark.parametrize("cycle_ms", range(10, 200, 10))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_thinning_hides_no_answer_from_the_indicator(cycle_ms: int, share: float) -> None:
    """However request and answer fall: it hears of polls, and that they are answered."""
    indicator, clock = HwIndicator(), Clock()
    link = PanelLink(indicator, clock, lambda: None)
    indicator.line_up(clock.now)
    link.connection_state_changed(CONNECTED, "10.1.1.5:1")
    link.request_sent()
    link.answer_missed()
    began_s = clock.now
    while clock.now < began_s + 70:
        link.request_sent()
        clock.now += share * cycle_ms / 1000
        link.answer_received()
        clock.now += (1 - share) * cycle_ms / 1000
        if clock.now > began_s + 3:
            assert indicator.state(clock.now) is LedState.ANSWERING


def test_what_is_missed_is_passed_on_however_fast(panel: Panel) -> None:
    panel.exchange(after_s=1)
    for _ in range(5):
        panel.link.answer_missed()
    assert panel.indicator.events[2:] == ["answer_missed"] * 5


def test_a_babble_is_thinned_out(panel: Panel) -> None:
    for _ in range(1000):
        panel.clock.now += 0.001
        panel.link.noise_heard()
    assert 8 <= len(panel.indicator.heard) <= 12
    assert panel.changes == len(panel.indicator.heard)
    panel.clock.now += 1
    panel.link.noise_heard()
    assert panel.indicator.heard[-1] == ("noise_heard", panel.clock.now)


def test_the_answer_after_a_missed_one_is_passed_on_however_soon(panel: Panel) -> None:
    panel.exchange(after_s=1)
    panel.link.answer_missed()
    panel.exchange(after_s=0.001)
    assert panel.indicator.events[-2:] == ["request_sent", "answer_received"]


def test_the_first_exchange_of_another_master_is_passed_on_however_soon(panel: Panel) -> None:
    panel.link.connection_state_changed(CONNECTED, "10.1.1.5:1")
    panel.exchange(after_s=1)
    panel.link.connection_state_changed(DISCONNECTED, "10.1.1.5:1")
    panel.link.connection_state_changed(CONNECTED, "10.1.1.5:2")
    panel.exchange(after_s=0.001)
    assert panel.indicator.events[-3:] == ["master_connected", "request_sent", "answer_received"]


# A whole bridge


def site(device: str) -> str:
    return (
        toml.service()
        + toml.server()
        + toml.line("bay1", device, response_timeout_ms=60)
        + toml.outstation("pole-12", 12, led="led1")
        + toml.outstation("pole-13", 13, master="127.0.0.2", led="low")
        + toml.table("[led.low]", pin=20, active_low=True)
    )


TWO_COLOURS = (
    toml.outstation("pole-14", 14, master="127.0.0.3", led="two")
    + toml.outstation("pole-15", 15, master="127.0.0.4")
    + toml.table("[led.two]", red=21, green=22)
)


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Pins:
    return Pins(monkeypatch)


@pytest.fixture
async def bridge(adapter: Pty, pins: Pins) -> AsyncIterator[Bridge]:
    async with running(site(adapter.device)) as bridge:
        yield bridge


def _state(bridge: Bridge, name: str = "pole-12") -> str:
    (outstation,) = (o for o in bridge.snapshot()["outstations"] if o["name"] == name)
    return str(outstation["led"]["state"])


async def test_a_master_lights_the_led_of_its_outstation_only(bridge: Bridge, pins: Pins) -> None:
    assert (_state(bridge), pins.is_high("led1"), pins.is_high("low")) == ("off", False, True)
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: pins.is_high("led1"), "the LED is lit")
        assert _state(bridge) == "idle"
        assert pins.is_high("low"), "the other outstation's LED, active low, stays dark"
        with await Master.connect(bridge.servers["main"].endpoint, "127.0.0.2"):
            await eventually(lambda: not pins.is_high("low"), "the other LED is lit")
        assert pins.is_high("led1")


async def test_a_master_that_leaves_makes_it_wink(bridge: Bridge, pins: Pins) -> None:
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: pins.is_high("led1"), "the LED is lit")
    await eventually(lambda: _state(bridge) == "lost", "the master is gone")
    await eventually(lambda: not pins.is_high("led1"), "dark after the first wink")
    await eventually(lambda: pins.is_high("led1"), "a wink")
    await eventually(lambda: not pins.is_high("led1"), "dark after it")
    assert _state(bridge) == "lost"


async def test_a_frame_blinks_it(bridge: Bridge, pins: Pins, adapter: Pty) -> None:
    with (
        Device(adapter, lambda frame: link_status(12).octets),
        await Master.connect(bridge.servers["main"].endpoint) as master,
    ):
        await eventually(lambda: pins.is_high("led1"), "the LED is lit")
        await master.send(link_status_request(12).octets)
        await eventually(lambda: not pins.is_high("led1"), "dark for the frame")
        await eventually(lambda: pins.is_high("led1"), "lit again")
        assert _state(bridge) == "answering"


async def test_a_silent_rtu_makes_it_flash_and_an_answer_ends_that(
    bridge: Bridge, pins: Pins, adapter: Pty
) -> None:
    with await Master.connect(bridge.servers["main"].endpoint) as master:
        for count in range(1, 4):
            await master.send(link_status_request(12).octets)
            missed = bridge.outstations["pole-12"].counters.outcomes
            await eventually(lambda n=count, m=missed: m.total() == n, "a missed answer")  # type: ignore[misc]
            if count == 1:
                await eventually(lambda: _state(bridge) == "missing", "one answer is missing")
        assert _state(bridge) == "silent"
        await eventually(lambda: not pins.is_high("led1"), "flashing: dark")
        await eventually(lambda: pins.is_high("led1"), "flashing: lit")
        with Device(adapter, lambda frame: link_status(12).octets):
            await master.send(link_status_request(12).octets)
            await eventually(lambda: _state(bridge) == "missing", "an answer ends the silence")


async def test_noise_on_the_line_shows_on_every_outstation_with_a_master(
    bridge: Bridge, adapter: Pty
) -> None:
    endpoint = bridge.servers["main"].endpoint
    with await Master.connect(endpoint), await Master.connect(endpoint, "127.0.0.2"):
        await eventually(lambda: (_state(bridge), _state(bridge, "pole-13")) == ("idle",) * 2, "both masters")
        adapter.write(b"\xff\x00\xff")
        await eventually(lambda: (_state(bridge), _state(bridge, "pole-13")) == ("noise",) * 2, "noise")


async def test_a_lost_line_makes_it_flash_and_the_system_led_too(
    bridge: Bridge, pins: Pins, adapter: Pty
) -> None:
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: _state(bridge) == "idle", "the master")
        adapter.unplug()
        await eventually(lambda: _state(bridge) == "silent", "the line is down")
        for led in ("led1", "system"):
            for level in (True, False) * 2:
                await eventually(
                    lambda name=led, high=level: pins.is_high(name) == high,  # type: ignore[misc]
                    f"{led} flashes",
                )


async def test_the_system_led_beats(bridge: Bridge, pins: Pins) -> None:
    for level in (True, False, True):
        await eventually(lambda high=level: pins.is_high("system") == high, "a beat")  # type: ignore[misc]


# Asked by people


@pytest.fixture
async def large(adapter: Pty, pins: Pins) -> AsyncIterator[Bridge]:
    async with running(site(adapter.device) + TWO_COLOURS) as bridge:
        yield bridge


def _led(bridge: Bridge, name: str) -> dict[str, Any]:
    (outstation,) = (o for o in bridge.snapshot()["outstations"] if o["name"] == name)
    return dict(outstation["led"])


async def _ask(bridge: Bridge, **request: object) -> dict[str, Any]:
    return await asyncio.to_thread(ask, control_path(bridge.configuration.service.status_socket), request)


async def test_a_lamp_test_lights_everything_and_then_it_is_as_before(large: Bridge, pins: Pins) -> None:
    assert await _ask(large, do="lamp_test", seconds=1.5) == {"done": "all LEDs are tested for 1.5 s"}
    colours = {_led(large, "pole-14")["colour"]}
    await eventually(lambda: pins.is_high("led1") and not pins.is_high("low"), "both are lit")
    assert large.snapshot()["system_led"] == large.snapshot()["system_led"] | {
        "name": "system",
        "overlay": "lamp_test",
        "pattern": "lamp test",
        "lit": True,
    }

    def is_over() -> bool:
        led = _led(large, "pole-14")
        if led["overlay"] is not None:
            colours.add(led["colour"])
        return led["overlay"] is None

    await eventually(is_over, "the test is over")
    assert colours == {"red", "green"}, "a second each"
    await eventually(lambda: not pins.is_high("led1") and pins.is_high("low"), "dark again")
    assert large.snapshot()["system_led"]["overlay"] is None


async def test_one_led_is_located_until_it_is_told_to_stop(large: Bridge, pins: Pins) -> None:
    done = {"done": "the LED of pole-12 flashes for 60 s"}
    assert await _ask(large, do="locate", outstation="pole-12") == done
    for level in (True, False) * 3:
        await eventually(lambda high=level: pins.is_high("led1") == high, "it flashes")  # type: ignore[misc]
    assert (_led(large, "pole-12")["overlay"], _led(large, "pole-12")["state"]) == ("locate", "off")
    assert (_led(large, "pole-13")["overlay"], _led(large, "pole-14")["overlay"]) == (None, None)
    assert await _ask(large, do="stop") == {"done": "all LEDs show again what happens"}
    await eventually(lambda: not pins.is_high("led1"), "dark again")
    assert _led(large, "pole-12")["overlay"] is None


async def test_what_cannot_be_located_is_said(large: Bridge) -> None:
    assert await _ask(large, do="locate", outstation="pole-15") == {"error": "outstation pole-15 has no LED"}
    assert _led(large, "pole-15")["overlay"] is None


async def test_the_panel_the_status_and_the_pins_agree(large: Bridge, pins: Pins, adapter: Pty) -> None:
    endpoint = large.servers["main"].endpoint
    with await Master.connect(endpoint), await Master.connect(endpoint, "127.0.0.3"):
        await eventually(lambda: pins.colour("two") is Colour.GREEN, "green")
        await eventually(lambda: pins.is_high("led1"), "lit")
        one, two = _led(large, "pole-12"), _led(large, "pole-14")
        assert one == one | {"kind": "single", "state": "idle", "pattern": "on", "colour": None, "lit": True}
        assert two == two | {"kind": "bicolour", "state": "idle", "pattern": "green", "colour": "green"}
        adapter.unplug()
        await eventually(lambda: pins.colour("two") is Colour.RED, "red")
        snapshot = large.snapshot()
    (shown,) = (o["led"] for o in snapshot["outstations"] if o["name"] == "pole-14")
    assert (shown["state"], shown["pattern"], shown["colour"], shown["lit"]) == ("silent", "red", "red", True)
    assert led(shown).markup == "[bold red]●[/bold red] silent"
    assert led(shown | {"overlay": "lamp_test", "colour": "amber"}).markup == (
        "[bold yellow]●[/bold yellow] silent, lamp test"
    )
    assert led({"state": "off", "lit": False}).markup == "[dim]○[/dim] off", "of a bridge before an update"
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render(snapshot))
    assert "; system LED" in capture.get().splitlines()[0]
    assert "line down" in capture.get().splitlines()[0]
