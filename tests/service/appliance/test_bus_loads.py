from __future__ import annotations

import pytest

from bridge.endpoints.hub import LineHub
from bridge.endpoints.serial_port import SerialSettings
from bridge.service.appliance import bus_loads
from bridge.service.appliance.bus_loads import BusLoads
from tests.support.eventually import eventually
from tests.support.timings import timing


def hub(name: str, baud: int) -> LineHub:
    return LineHub(name, SerialSettings(device="/dev/none", baud=baud), timing())


async def test_each_line_has_a_load_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    hubs = {"a": hub("a", 9600), "b": hub("b", 1200)}
    loads = BusLoads(hubs)
    assert loads.share("a") == 0.0, "before it looks"
    loads.start()
    hubs["a"].octets_sent += 960
    hubs["b"].octets_sent += 12
    hubs["b"].counters.octets_in += 12
    assert loads.share("a") == pytest.approx(0.1, rel=0.01), "a second of the ten that count at least"
    assert loads.share("b") == pytest.approx(0.02, rel=0.01)
    with pytest.raises(KeyError):
        loads.share("c")
    loads.close()


async def test_it_looks_again_and_again_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_loads, "_PERIOD_S", 0.001)
    loads = BusLoads({"a": hub("a", 9600)})
    ((_, load),) = loads._lines
    loads.start()
    await eventually(lambda: len(load._samples) > 3, "some looks")
    loads.close()
    loads.close()
    seen = len(load._samples)
    others = BusLoads({"a": hub("a", 9600)})
    ((_, other_load),) = others._lines
    others.start()
    await eventually(lambda: len(other_load._samples) > 3, "some looks of another")
    others.close()
    assert len(load._samples) == seen
