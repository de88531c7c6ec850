"""Who is next, by the queue's own rules."""

from __future__ import annotations

import pytest

from bridge.link.frame import Frame
from bridge.routing.queue import Queue, Rank, Waiting, rank_of
from bridge.routing.stimulus import Reader
from tests.support import frames as f

_MOST_JUMPS = 4
_URGENT_S = 2.0
FREE = lambda _: 0.0  # noqa: E731


def waiting(
    session: str,
    rank: Rank = Rank.REQUEST,
    *,
    address: int = 12,
    arrived_s: float = 0.0,
    asking_since_s: float | None = None,
    expires_s: float = 9.0,
    frames: int = 1,
) -> Waiting:
    frame = f.request()
    reading = Reader().read_master(frame)
    return Waiting(session, address, (frame,) * frames, reading, rank, arrived_s, expires_s, asking_since_s)


def queue_of(*requests: Waiting) -> Queue:
    queue = Queue(urgent_s=_URGENT_S)
    for request in requests:
        queue.add(request)
    return queue


def taken(queue: Queue) -> str:
    chosen = queue.take(0.0, FREE)
    assert chosen is not None
    return str(chosen.session)


@pytest.mark.parametrize(
    ("frame", "rank"),
    [
        (f.confirm(1), Rank.ENDS_A_WAIT),
        (f.confirm(1, uns=True), Rank.ENDS_A_WAIT),
        (f.from_master(0), Rank.ENDS_A_WAIT),  # type: ignore[arg-type]
        (f.request(1, f.SELECT), Rank.CONTROL),
        (f.request(1, f.OPERATE), Rank.CONTROL),
        (f.request(1, 5), Rank.CONTROL),
        (f.request(1, f.DIRECT_OPERATE_NR), Rank.CONTROL),
        (f.request(1, f.READ), Rank.REQUEST),
        (f.request(1, f.WRITE), Rank.REQUEST),
        (f.link_status_request(), Rank.REQUEST),
    ],
)
def test_ranks(frame: Frame, rank: Rank) -> None:
    assert rank_of(Reader().read_master(frame)) is rank


def test_nothing_waits() -> None:
    queue = Queue(urgent_s=_URGENT_S)
    assert queue.take(0.0, FREE) is None
    assert queue.next_start(FREE) is None
    assert queue.next_expiry() is None
    assert (queue.frames, queue.frames_of("a")) == (0, 0)


def test_frames_are_counted() -> None:
    queue = queue_of(waiting("a", frames=3), waiting("b"), waiting("a"))
    assert (queue.frames, queue.frames_of("a"), queue.frames_of("b")) == (5, 4, 1)
    taken(queue)
    assert queue.frames == 2


def test_one_session_is_served_in_order() -> None:
    requests = [waiting("a") for _ in range(3)]
    queue = queue_of(*requests)
    assert [queue.take(0.0, FREE) for _ in range(3)] == requests


def test_sessions_take_turns() -> None:
    queue = queue_of(*[waiting("a") for _ in range(3)], *[waiting("b") for _ in range(2)], waiting("c"))
    assert [taken(queue) for _ in range(6)] == ["a", "b", "c", "a", "b", "a"]


def test_a_new_session_comes_behind() -> None:
    queue = queue_of(waiting("a"), waiting("b"), waiting("a"), waiting("b"))
    assert taken(queue) == "a"
    queue.add(waiting("c"))
    assert [taken(queue) for _ in range(4)] == ["b", "a", "c", "b"]


def test_hanging_up_and_coming_back_is_no_way_to_the_front() -> None:
    queue = queue_of(waiting("a"), waiting("b"))
    assert taken(queue) == "a"
    queue.forget("a")
    queue.add(waiting("a"))
    assert taken(queue) == "b"


def test_a_session_that_ended_is_forgotten() -> None:
    """Its turns of long ago give it no claim."""
    queue = queue_of(waiting("a"), waiting("b"), waiting("b"), waiting("b"))
    assert [taken(queue), taken(queue)] == ["a", "b"]
    queue.forget("a")
    queue.add(waiting("a"))
    assert taken(queue) == "b"


def test_the_outstations_of_a_session_take_turns() -> None:
    queue = queue_of(
        *[waiting("a", address=12) for _ in range(3)], *[waiting("a", address=13) for _ in range(2)]
    )
    served = [chosen.address for _ in range(5) if (chosen := queue.take(0.0, FREE))]
    assert served == [12, 13, 12, 13, 12]


def test_within_a_session_rank_goes_first() -> None:
    queue = queue_of(waiting("a"), waiting("a", Rank.CONTROL), waiting("a", Rank.ENDS_A_WAIT))
    chosen = [queue.take(0.0, FREE) for _ in range(3)]
    assert [each.rank for each in chosen if each] == sorted(Rank)


@pytest.mark.parametrize("rank", [Rank.ENDS_A_WAIT, Rank.CONTROL])
def test_what_matters_jumps_the_queue(rank: Rank) -> None:
    queue = queue_of(waiting("a"), waiting("b"), waiting("a", rank))
    assert taken(queue) == "a"
    queue = queue_of(waiting("a", rank), waiting("b"), waiting("a", rank))
    assert [taken(queue), taken(queue), taken(queue)] == ["a", "a", "b"]


def test_jumps_are_limited() -> None:
    queue = queue_of(*[waiting("a", Rank.CONTROL) for _ in range(20)], waiting("b"), waiting("b"))
    served = [taken(queue) for _ in range(12)]
    assert served == ["a"] * (1 + _MOST_JUMPS) + ["b"] + ["a"] * (1 + _MOST_JUMPS) + ["b"]


def test_jumps_within_a_session_are_limited() -> None:
    """Controls to one outstation do not starve the reads of another one of the same session."""
    queue = queue_of(*[waiting("a", Rank.CONTROL, address=12) for _ in range(20)], waiting("a", address=13))
    served = [chosen.address for _ in range(7) if (chosen := queue.take(0.0, FREE))]
    assert served == [12] * (1 + _MOST_JUMPS) + [13, 12]


@pytest.mark.parametrize(("now", "served"), [(9.0 - _URGENT_S - 0.1, "a"), (9.0 - _URGENT_S, "b")])
def test_what_is_about_to_expire_is_not_passed_by(now: float, served: str) -> None:
    queue = queue_of(waiting("a"), waiting("b", arrived_s=6.0))
    assert taken(queue) == "a"
    queue.add(waiting("a", Rank.CONTROL, expires_s=99.0))
    chosen = queue.take(now, FREE)
    assert chosen is not None
    assert chosen.session == served


@pytest.mark.parametrize(("now", "served"), [(3.0 + _URGENT_S - 0.1, "a"), (3.0 + _URGENT_S, "b")])
@pytest.mark.parametrize(("arrived_s", "asking_since_s"), [(3.0, None), (4.5, 3.0)])
def test_who_has_waited_long_is_not_passed_by(
    now: float, served: str, arrived_s: float, asking_since_s: float | None
) -> None:
    """Also with a request that took the place of an earlier one."""
    patient = waiting("b", arrived_s=arrived_s, asking_since_s=asking_since_s, expires_s=99.0)
    queue = queue_of(waiting("a"), patient)
    assert taken(queue) == "a"
    queue.add(waiting("a", Rank.CONTROL, arrived_s=4.9, expires_s=99.0))
    chosen = queue.take(now, FREE)
    assert chosen is not None
    assert chosen.session == served


def test_only_what_may_start_is_taken() -> None:
    queue = queue_of(waiting("a"), waiting("b"))
    starts = {"a": 5.0, "b": 2.0}
    assert queue.next_start(lambda each: starts[str(each.session)]) == 2.0
    assert queue.take(1.0, lambda each: starts[str(each.session)]) is None
    chosen = queue.take(2.0, lambda each: starts[str(each.session)])
    assert chosen is not None
    assert chosen.session == "b"
    assert queue.frames == 1


def test_what_is_unwanted_is_taken_out() -> None:
    queue = queue_of(waiting("a"), waiting("b"), waiting("a"))
    assert [each.session for each in queue.remove(lambda each: each.session == "a")] == ["a", "a"]
    assert [taken(queue)] == ["b"]


def test_what_is_equal_is_not_the_same() -> None:
    first, second = waiting("a"), waiting("a")
    queue = queue_of(first, second)
    assert queue.remove(lambda each: each is second) == [second]
    assert queue.take(0.0, FREE) is first


def test_what_waited_too_long_is_taken_out() -> None:
    queue = queue_of(waiting("a", expires_s=5.0), waiting("b", expires_s=3.0), waiting("c", expires_s=4.0))
    assert queue.next_expiry() == 3.0
    assert queue.remove_expired(2.9) == []
    assert [each.session for each in queue.remove_expired(4.0)] == ["b", "c"]
    assert queue.next_expiry() == 5.0


def test_the_expiry_is_never_told_too_late() -> None:
    queue = queue_of(waiting("a", expires_s=3.0), waiting("b", expires_s=5.0))
    taken(queue)
    expiry = queue.next_expiry()
    assert expiry is not None
    assert expiry <= 5.0
    assert queue.remove_expired(expiry) == []
    assert queue.next_expiry() == 5.0
