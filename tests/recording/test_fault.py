from __future__ import annotations

import math

import pytest

from bridge.recording.fault import Due, Fault, FaultLimits, FaultWatch

LIMITS = FaultLimits(timeouts=3, crc_errors=2, burst_s=10.0, after_s=5.0, least_interval_s=100.0)
SINGLE = [Fault.PRE_EMPTED, Fault.LINE_DOWN, Fault.BABBLE]


@pytest.fixture
def watch() -> FaultWatch:
    return FaultWatch(LIMITS)


@pytest.mark.parametrize("fault", SINGLE)
def test_a_file_is_due_a_while_after_a_fault(watch: FaultWatch, fault: Fault) -> None:
    assert watch.next_deadline() is None
    watch.happened(fault, 0, 1.0)
    assert watch.next_deadline() == 6.0
    assert watch.on_deadline(5.9) is None
    assert watch.on_deadline(6.0) == Due(fault, 1.0, 0)
    assert watch.next_deadline() is None
    assert watch.on_deadline(7.0) is None


@pytest.mark.parametrize(("fault", "most"), [(Fault.TIMEOUTS, 3), (Fault.CRC_ERRORS, 2)])
class TestBursts:
    def test_it_takes_so_many(self, watch: FaultWatch, fault: Fault, most: int) -> None:
        for number in range(most - 1):
            watch.happened(fault, 0, float(number))
        assert watch.next_deadline() is None
        watch.happened(fault, 0, 9.0)
        assert watch.on_deadline(14.0) == Due(fault, 9.0, 0)

    def test_on_one_line(self, watch: FaultWatch, fault: Fault, most: int) -> None:
        for number in range(20):
            watch.happened(fault, number, 0.0)
        assert watch.next_deadline() is None

    def test_within_the_time(self, watch: FaultWatch, fault: Fault, most: int) -> None:
        for number in range(20):
            watch.happened(fault, 0, number * 10.1)
        assert watch.next_deadline() is None

    def test_one_that_goes_on_asks_once(self, watch: FaultWatch, fault: Fault, most: int) -> None:
        dues = []
        for second in range(1000):
            watch.happened(fault, 0, float(second))
            dues.append(watch.on_deadline(float(second)))
        assert [due for due in dues if due] == [Due(fault, most - 1.0, 0)]

    def test_after_a_pause_it_is_another(self, watch: FaultWatch, fault: Fault, most: int) -> None:
        for start in (0.0, 500.0):
            for number in range(most):
                watch.happened(fault, 0, start + number)
            assert watch.on_deadline(math.inf) is not None
            watch._not_before.clear()


def test_what_happens_until_it_is_written_is_in_it(watch: FaultWatch) -> None:
    watch.happened(Fault.LINE_DOWN, 0, 1.0)
    watch.happened(Fault.PRE_EMPTED, 1, 3.0)
    assert watch.on_deadline(6.0) == Due(Fault.LINE_DOWN, 1.0, 0)
    assert watch.next_deadline() is None


def test_a_line_that_flaps_is_written_at_intervals(watch: FaultWatch) -> None:
    dues = []
    for second in range(1000):
        watch.happened(Fault.LINE_DOWN, 0, float(second))
        due = watch.on_deadline(float(second))
        if due is not None:
            dues.append((second, due.in_vain))
    assert dues[:3] == [(5, 0), (110, 99), (215, 99)]


def test_another_fault_has_its_own_interval(watch: FaultWatch) -> None:
    watch.happened(Fault.LINE_DOWN, 0, 0.0)
    watch.on_deadline(5.0)
    watch.happened(Fault.LINE_DOWN, 0, 6.0)
    assert watch.next_deadline() is None
    watch.happened(Fault.BABBLE, 0, 7.0)
    assert watch.on_deadline(12.0) == Due(Fault.BABBLE, 7.0, 1)
