"""What must be true of a soak. Every function yields a sentence for each thing that is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.soak.masters_rtus import DIRECT as CALLED_DIRECT
from tests.soak.masters_rtus import OPERATED, SELECTED, Executed
from tests.soak.masters_scada import CONTROLS, DIRECT, SBO, SUCCESS, Action

_CALLS = {SBO: (SELECTED, OPERATED), DIRECT: (CALLED_DIRECT,)}
_LATE_S = 0.5
"""A frame that is being sent when its session ends is finished: so much later it may be executed.

What would be sent late by mistake would be so by a response timeout or a time to live: more than that.
"""
_TIMEOUTS = frozenset({"FAILURE_RESPONSE_TIMEOUT"})
_NO_CONNECTION = frozenset({"FAILURE_NO_COMMS"})
LEAST_SHARE, MOST_SHARE = 0.6, 1.6
"""Of the mean of all masters, in a clean phase."""


def executions(name: str, actions: Iterable[Action], executed: Iterable[Executed]) -> Iterator[str]:
    """An RTU executes what its master issued: at most once, in time, and once at least when it succeeded."""
    issued = {action.number: action for action in actions if action.kind in CONTROLS}
    counts: Counter[tuple[int, str]] = Counter()
    for each in executed:
        action = issued.get(each.number)
        if action is None:
            yield f"{name} executed {each.call} {each.number}, which nobody issued"
            continue
        counts[each.number, each.call] += 1
        if each.call not in _CALLS[action.kind]:
            yield f"{name} executed {each.call} {each.number}, which was a {action.kind}"
        if not action.begun_s <= each.at_s <= action.ended_s + _LATE_S:
            late_s = each.at_s - action.ended_s
            yield f"{name} executed {each.call} {each.number} {late_s:.2f} s after its master's end of it"
    for (number, call), count in counts.items():
        if count > 1:
            yield f"{name} executed {call} {number} {count} times"
    for action in issued.values():
        operated = _CALLS[action.kind][-1]
        if action.is_success and not counts[action.number, operated]:
            yield f"{name} did not execute {operated} {action.number}, which succeeded"


def failures(name: str, actions: Iterable[Action], *, is_clean: bool, is_preempted: bool) -> Iterator[str]:
    """Nothing fails in a clean phase; otherwise requests time out, or lose their connection to another."""
    excused = frozenset() if is_clean else _TIMEOUTS | (_NO_CONNECTION if is_preempted else frozenset())
    for action in actions:
        if not action.is_success and action.result not in excused:
            yield f"{name}: {action.kind} {action.number} in {action.phase} ended in {action.result}"


def events(name: str, made: Sequence[int], heard: Iterable[int], *, is_clean: bool) -> Iterator[str]:
    """Every event reaches its master; in a clean run once, otherwise again where a confirm was lost."""
    heard = list(heard)
    missing = sorted(set(made) - set(heard))
    if missing:
        yield f"{name}: events {missing} never reached the master"
    if set(heard) - set(made):
        yield f"{name}: events {sorted(set(heard) - set(made))} never happened"
    if is_clean and heard != list(made):
        yield f"{name}: events came repeated or in disorder: {heard}"


def proportion(successes: Mapping[str, int]) -> Iterator[str]:
    """Each master has its share."""
    mean = sum(successes.values()) / len(successes)
    for name, count in successes.items():
        if not LEAST_SHARE * mean <= count <= MOST_SHARE * mean:
            yield f"{name} had {count} of a mean of {mean:.0f}"


def balance(status: Mapping[str, Any], sent: Mapping[int, int], *, slack: int) -> Iterator[str]:
    """Every frame that came in is accounted for. For a bridge at rest.

    `sent`: the frames to each RTU that were heard on the wire; `slack`: as many may have got lost with the
    adapter. What sessions received is known only of those that live: with an end, the sum is not made.
    """
    (server,), (line,), outstations = status["servers"], status["lines"], status["outstations"]
    for outstation in outstations:
        counted, heard = outstation["frames_from_master"], sent[outstation["link_address"]]
        if not heard <= counted <= heard + slack:
            yield f"{outstation['name']}: {counted} frames counted, {heard} heard on the wire"
    if line["waiting_frames"]:
        yield f"{line['waiting_frames']} frames wait"
    if server["session_ends"]:
        return
    sessions = server["sessions"]
    delivered = _total(outstations, lambda each: each["frames_to_master"])
    frames_sent = _total(sessions, lambda each: each["frames_sent"])
    if delivered != frames_sent:
        yield f"{delivered} frames delivered to masters, {frames_sent} sent to sessions"
    came = _total(sessions, lambda each: each["frames_received"]) + line["frames_heard"]
    dropped = _total([server, line, *outstations], lambda each: sum(each["drops"].values()))
    went = _total(outstations, lambda each: each["frames_from_master"]) + delivered
    if came != went + dropped:
        yield f"{came} frames came, {went} went on and {dropped} were dropped"


def cleanness(status: Mapping[str, Any], requests: Mapping[int, int]) -> Iterator[str]:
    """Of a clean phase that nothing went before: nothing was dropped, missed or discarded."""
    (server,), (line,) = status["servers"], status["lines"]
    for owner in (server, line, *server["sessions"], *status["outstations"]):
        if owner["drops"]:
            yield f"{owner.get('name') or owner['peer']} dropped {owner['drops']}"
    for owner in (line, *server["sessions"]):
        if owner["discards"]:
            yield f"{owner.get('name') or owner['peer']} discarded {owner['discards']}"
    for outstation in status["outstations"]:
        answered = {"answered": requests[outstation["link_address"]]}
        if outstation["exchanges"] != answered:
            yield f"{outstation['name']}: exchanges {outstation['exchanges']}, not {answered}"


def _total(rows: Iterable[Mapping[str, Any]], count: Callable[[Mapping[str, Any]], int]) -> int:
    return sum(map(count, rows))


def successes(actions: Iterable[Action], kinds: Iterable[str]) -> int:
    """Count the actions of these kinds that succeeded."""
    return sum(action.is_success and action.kind in kinds for action in actions)


__all__ = ["SUCCESS", "balance", "cleanness", "events", "executions", "failures", "proportion", "successes"]
