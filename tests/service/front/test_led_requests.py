from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.service.front.led_requests import Unlit, obey

LEDS = {"pole-12": "led1", "pole-13": None}


@dataclass
class Panel:
    """Notes what it is told."""

    told: list[tuple[object, ...]] = field(default_factory=list)

    def lamp_test(self, duration_s: float) -> None:
        self.told.append(("lamp_test", duration_s))

    def locate(self, name: str | None, duration_s: float) -> None:
        self.told.append(("locate", name, duration_s))

    def uncover(self) -> None:
        self.told.append(("uncover",))


@pytest.mark.parametrize(
    ("request_", "told", "done"),
    [
        ({"do": "lamp_test"}, ("lamp_test", 3.0), "all LEDs are tested for 3 s"),
        ({"do": "lamp_test", "seconds": 0.5}, ("lamp_test", 0.5), "all LEDs are tested for 0.5 s"),
        ({"do": "locate"}, ("locate", None, 60.0), "all LEDs flash for 60 s"),
        ({"do": "locate", "outstation": None}, ("locate", None, 60.0), "all LEDs flash for 60 s"),
        (
            {"do": "locate", "outstation": "pole-12", "seconds": 3600},
            ("locate", "led1", 3600.0),
            "the LED of pole-12 flashes for 3600 s",
        ),
        ({"do": "stop"}, ("uncover",), "all LEDs show again what happens"),
    ],
)
def test_carried_out(request_: dict[str, Any], told: tuple[object, ...], done: str) -> None:
    panel = Panel()
    assert obey(request_, panel, LEDS) == {"done": done}
    assert panel.told == [told]


SECONDS = '"seconds" must be a number above 0 and at most 3600'


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({}, '"do" must be one of lamp_test, locate, stop'),
        ({"do": "reboot"}, '"do" must be one of lamp_test, locate, stop'),
        ({"do": ["stop"]}, '"do" must be one of lamp_test, locate, stop'),
        ({"do": "stop", "seconds": 1}, "stop has no 'seconds'"),
        ({"do": "lamp_test", "outstation": "pole-12"}, "lamp_test has no 'outstation'"),
        ({"do": "lamp_test", "x" * 4000: 1}, f"lamp_test has no '{'x' * 56}..."),
        *(({"do": "lamp_test", "seconds": bad}, SECONDS) for bad in (0, -1, 3601, True, "3", None, [])),
        *(({"do": "locate", "seconds": bad}, SECONDS) for bad in (float("nan"), float("inf"), 10**400)),
        ({"do": "locate", "outstation": "pole-13"}, "outstation pole-13 has no LED"),
        ({"do": "locate", "outstation": "pole12"}, "there is no outstation 'pole12'; did you mean pole-12?"),
        ({"do": "locate", "outstation": 12}, "there is no outstation 12"),
        ({"do": "locate", "outstation": {}}, "there is no outstation {}"),
        ({"do": "locate", "outstation": ""}, "there is no outstation ''"),
    ],
    ids=repr,
)
def test_refused(request_: dict[str, Any], error: str) -> None:
    panel = Panel()
    assert obey(request_, panel, LEDS) == {"error": error}
    assert panel.told == []


@pytest.mark.parametrize(
    "request_", [{"do": "lamp_test"}, {"do": "locate"}, {"do": "locate", "outstation": "pole-12"}]
)
def test_where_no_led_can_light_nothing_is_done(request_: dict[str, Any]) -> None:
    panel = Panel()
    unlit = Unlit({"led1": "no GPIO chip"}, "no GPIO chip")
    assert obey(request_, panel, LEDS, unlit) == {"error": "no LED can light: no GPIO chip"}
    assert panel.told == []
    assert obey({"do": "stop"}, panel, LEDS, unlit) == {"done": "all LEDs show again what happens"}


def test_one_led_that_cannot_light() -> None:
    panel = Panel()
    unlit = Unlit({"led1": "GPIO16 is in use by spi0"})
    asked = {"do": "locate", "outstation": "pole-12"}
    error = "the LED of pole-12 cannot light: GPIO16 is in use by spi0"
    assert obey(asked, panel, LEDS, unlit) == {"error": error}
    assert panel.told == []
    assert "done" in obey({"do": "lamp_test"}, panel, LEDS, unlit)
