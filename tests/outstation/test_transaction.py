from __future__ import annotations

import pytest

from bridge.application.measurement import Flags, Measurement, PointKind
from bridge.errors import DuplicatePointError, PointError, PointValueError, UnknownPointError
from bridge.outstation.database import Database
from bridge.outstation.points import BinaryInput, Counter, EventClass
from bridge.outstation.values import EventDetection

BI, CT = PointKind.BINARY_INPUT, PointKind.COUNTER
C1 = EventClass.CLASS_1


@pytest.fixture
def database() -> Database:
    database = Database()
    for index in range(3):
        database.add(index, Counter(C1), Measurement(0))
    return database


def state(database: Database) -> tuple[object, ...]:
    return (
        database.version,
        database.class_0(),
        [database.indices(kind) for kind in PointKind],
        database.events.counts(),
    )


def event_values(database: Database) -> list[object]:
    database.events.select()
    return [event.measurement.value for event in database.events.selection()]


def test_nothing_is_seen_before_the_end_and_then_all_of_it(database: Database) -> None:
    heard: list[int] = []
    database.add_listener(lambda: heard.append(database.events.waiting(C1)))
    before = state(database)
    with database.transaction() as tx:
        tx.add(7, BinaryInput(C1), Measurement(False))
        tx.update(BI, 7, Measurement(True))
        tx.update(CT, 1, Measurement(5))
        tx.update(CT, 1, Measurement(6))
        tx.update(CT, 2, Measurement(9), detect=EventDetection.SUPPRESS)
        tx.set_flags(CT, 0, Flags.COMM_LOST, time_ms=4)
        assert state(database) == before
        assert heard == []
    assert heard == [4]
    assert database.get(BI, 7) == Measurement(True)
    assert database.get(CT, 0) == Measurement(0, Flags.COMM_LOST, 4)
    assert event_values(database) == [True, 5, 6, 0]


def test_an_exception_takes_everything_back(database: Database) -> None:
    before = state(database)

    def change() -> None:
        with database.transaction() as tx:
            tx.update(CT, 1, Measurement(5))
            tx.remove(CT, 2)
            tx.add(2, BinaryInput())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert state(database) == before


@pytest.mark.parametrize(
    "late", [(CT, 9, Measurement(1)), (CT, 1, Measurement(-1)), (BI, 1, Measurement(True))]
)
def test_one_wrong_change_refuses_all(database: Database, late: tuple[PointKind, int, Measurement]) -> None:
    before = state(database)

    def change() -> None:
        with database.transaction() as tx:
            tx.update(CT, 1, Measurement(5))
            tx.update(*late)

    with pytest.raises(PointError):
        change()
    assert state(database) == before


def test_a_refused_change_that_is_caught_is_left_out(database: Database) -> None:
    with database.transaction() as tx:
        with pytest.raises(PointValueError):
            tx.set_flags(CT, 1, 0x100)
        with pytest.raises(PointValueError):
            tx.add(5, Counter(), Measurement(True))
        with pytest.raises(DuplicatePointError):
            tx.add(1, Counter())
        tx.update(CT, 1, Measurement(5))
    assert database.get(CT, 1) == Measurement(5)
    assert not database.has(CT, 5)


def test_get_is_the_point_as_it_will_be(database: Database) -> None:
    with database.transaction() as tx:
        assert tx.get(CT, 1).value == 0
        tx.update(CT, 1, Measurement(5))
        tx.set_flags(CT, 1, 3)
        tx.update(CT, 1, Measurement(6), static=False)
        assert tx.get(CT, 1) == Measurement(5, 3)
        tx.remove(CT, 1)
        for use in (tx.get, tx.remove):
            with pytest.raises(UnknownPointError):
                use(CT, 1)
        tx.add(1, Counter())
        assert tx.get(CT, 1).flags == Flags.RESTART
    assert database.get(CT, 1).flags == Flags.RESTART
    assert event_values(database) == [5, 5, 6]


def test_points_that_others_change_meanwhile(database: Database) -> None:
    with database.transaction() as tx:
        tx.set_flags(CT, 1, Flags.LOCAL_FORCED)
        database.update(CT, 1, Measurement(8))
    assert database.get(CT, 1) == Measurement(8, Flags.LOCAL_FORCED)


@pytest.mark.parametrize("error", [UnknownPointError, DuplicatePointError])
def test_points_that_others_remove_or_add_meanwhile(database: Database, error: type[PointError]) -> None:
    def change() -> None:
        with database.transaction() as tx:
            tx.update(CT, 0, Measurement(77))
            tx.update(CT, 2, Measurement(5))
            tx.add(4, Counter())
            if error is UnknownPointError:
                database.remove(CT, 2)
            else:
                database.add(4, Counter())

    with pytest.raises(error):
        change()
    assert database.get(CT, 0).value == 0
    assert database.events.counts().total == 0


def test_an_ended_transaction_takes_nothing_more(database: Database) -> None:
    with database.transaction() as tx:
        pass
    with pytest.raises(PointError, match="the transaction is over"):
        tx.update(CT, 1, Measurement(5))


def test_transactions_beside_each_other(database: Database) -> None:
    with database.transaction() as outer:
        outer.update(CT, 0, Measurement(1))
        with database.transaction() as inner:
            inner.update(CT, 0, Measurement(2))
            assert inner.get(CT, 0).value == 2
        assert database.get(CT, 0).value == 2
    assert database.get(CT, 0).value == 1
    assert event_values(database) == [2, 1]
