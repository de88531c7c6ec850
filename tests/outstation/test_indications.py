"""How long a broadcast is told of; what the application adds, and what it may not."""

from __future__ import annotations

import pytest

from bridge.application.function import Iin
from bridge.link.address import BROADCAST_CONFIRM, BROADCAST_NO_CONFIRM
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.database import Database
from bridge.outstation.handlers import OutstationApplication, OutstationInformation
from bridge.outstation.indications import Indications
from bridge.outstation.writes import Writes


class User(OutstationApplication, OutstationInformation):
    theirs: Iin | Exception = Iin(0)

    def __init__(self) -> None:
        self.failures: list[Exception] = []

    def indications(self) -> Iin:
        if isinstance(self.theirs, Exception):
            raise self.theirs
        return self.theirs

    def handler_failed(self, error: Exception) -> None:
        self.failures.append(error)


@pytest.fixture
def user() -> User:
    return User()


@pytest.fixture
def indications(user: User) -> Indications:
    database = Database()
    writes = Writes(database, AttributeStore(), user, user)
    writes.is_restarted = False
    return Indications(database.events, writes, user, user)


def test_one_response_tells_of_a_broadcast(indications: Indications) -> None:
    assert indications.now() == Iin(0)
    indications.broadcast_came(BROADCAST_NO_CONFIRM)
    assert indications.now() == Iin.BROADCAST
    assert not indications.needs_confirm
    indications.responded(asks_confirm=False)
    assert indications.now() == Iin(0)


def test_one_that_asked_for_a_confirm_is_told_of_until_it_is_confirmed(indications: Indications) -> None:
    indications.broadcast_came(BROADCAST_CONFIRM)
    indications.responded(asks_confirm=False)
    indications.confirmed()
    assert indications.needs_confirm, "what is confirmed did not ask for it"
    indications.responded(asks_confirm=True)
    assert indications.now() == Iin.BROADCAST
    indications.confirmed()
    assert (indications.now(), indications.needs_confirm) == (Iin(0), False)


def test_an_unsolicited_response_tells_of_it_with_its_confirm(indications: Indications) -> None:
    indications.broadcast_came(BROADCAST_NO_CONFIRM)
    indications.spoke_unasked()
    assert indications.now() == Iin.BROADCAST
    indications.confirmed()
    assert indications.now() == Iin(0)


def test_a_broadcast_that_comes_before_the_confirm_is_still_to_be_told_of(indications: Indications) -> None:
    indications.broadcast_came(BROADCAST_CONFIRM)
    indications.responded(asks_confirm=True)
    indications.broadcast_came(BROADCAST_CONFIRM)
    indications.confirmed()
    assert indications.now() == Iin.BROADCAST


def test_the_application_adds_its_own_and_no_other(indications: Indications, user: User) -> None:
    user.theirs = Iin.NEED_TIME | Iin.DEVICE_RESTART | Iin.LOCAL_CONTROL
    assert indications.now() == Iin.NEED_TIME | Iin.LOCAL_CONTROL
    user.theirs = ValueError("no")
    assert indications.now() == Iin(0)
    assert user.failures == [user.theirs]
