"""The outstations in a status: their LEDs, why one did not answer, and how fast they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from bridge.service.views.tables import (
    EMPTY,
    Cell,
    age,
    build,
    counts,
    milliseconds,
    name,
    number,
    unless_empty,
)

Outstation = Mapping[str, Any]

LED_STYLES: Final = {True: ("●", "bold green"), False: ("○", "dim")}
"""The symbol of an LED that is lit or not, and its style."""
_COLOURS: Final = {"green": "bold green", "red": "bold red", "amber": "bold yellow"}

_OVERVIEW: Final = (
    name("LED"),
    name("outstation"),
    number("address"),
    name("line"),
    name("master"),
    number("last answer ms"),
)
_ANSWERS: Final = (
    name("outstation"),
    number("requests"),
    number("answers"),
    unless_empty(number("unanswered")),
    number("timeouts"),
    unless_empty(number("late")),
    unless_empty(number("bad CRC")),
    unless_empty(number("wrong RTU")),
)
_TIMES: Final = (
    name("outstation"),
    number("p50 ms"),
    number("p95 ms"),
    number("p99 ms"),
    unless_empty(number("late/most ms")),
    number("timeout ms"),
    unless_empty(number("recommended ms")),
)
_TRAFFIC: Final = (
    name("outstation"),
    number("frames to RTU"),
    number("from RTU"),
    unless_empty(name("dropped frames")),
)


def overview(outstations: Sequence[Outstation]) -> RenderableType:
    """Return who is there, and how the LEDs are."""
    return build(_OVERVIEW, map(_overview_row, outstations))


def led(shown: Mapping[str, Any]) -> Text:
    """Return an LED as it is at this instant, what it says, and what it was asked to show instead."""
    return Text.assemble(symbol_style(shown), f" {led_words(shown)}")


def symbol_style(shown: Mapping[str, Any]) -> tuple[str, str]:
    """Return the symbol of an LED that is lit or not, and the style of its colour."""
    symbol, style = LED_STYLES[shown["lit"]]
    return symbol, _COLOURS.get(shown.get("colour", ""), style)


def led_words(shown: Mapping[str, Any]) -> str:
    """Return what an LED says, and what it was asked to show instead."""
    # A bridge that was started before an update says less of its LEDs.
    overlay = shown.get("overlay")
    said = str(shown["state"]) if overlay is None else f"{shown['state']}, {overlay}"
    return said.replace("_", " ")


def misses(outstations: Sequence[Outstation]) -> list[RenderableType]:
    """Return a sentence for each outstation about its last request without an answer."""
    return [
        miss(outstation["name"], diagnosis["last_miss"])
        for outstation, diagnosis in _diagnosed(outstations)
        if diagnosis["last_miss"] is not None
    ]


def miss(label: str, last: Mapping[str, Any]) -> Text:
    """Return the sentence about a request without an answer: whose, when, why, and what came since."""
    since, style = ("has answered since", "dim") if last["answered_since"] else ("no answer since", "red")
    return Text(f"{label}, {age(last['ago_s'])}: {last['sentence']} ({since})", style=style)


def answers(outstations: Sequence[Outstation]) -> list[RenderableType]:
    """Return what became of the requests to the outstations that were asked something."""
    rows = [_answers_row(outstation["name"], diagnosis) for outstation, diagnosis in _asked(outstations)]
    return [build(_ANSWERS, rows)] if rows else []


def times(outstations: Sequence[Outstation]) -> list[RenderableType]:
    """Return how fast those that answered did so, and which response timeouts are too short for that."""
    timed = [
        (outstation, diagnosis) for outstation, diagnosis in _asked(outstations) if _has_times(diagnosis)
    ]
    if not timed:
        return []
    table = build(_TIMES, (_times_row(outstation["name"], diagnosis) for outstation, diagnosis in timed))
    return [table, *(too_short(*each) for each in timed if is_too_short(each[1]))]


def is_too_short(diagnosis: Mapping[str, Any]) -> bool:
    """Say whether the response timeout in use is shorter than the one that the answers need."""
    recommended_s: float | None = diagnosis["recommended_timeout_s"]
    return recommended_s is not None and diagnosis["response_timeout_s"] < recommended_s


def too_short(outstation: Outstation, diagnosis: Mapping[str, Any]) -> Text:
    """Return the sentence about a response timeout that is too short."""
    recommended, in_use = (
        milliseconds(diagnosis[key]) for key in ("recommended_timeout_s", "response_timeout_s")
    )
    return Text(
        f"! {outstation['name']}: response_timeout_ms of line {outstation['line']} is {in_use}; "
        f"set {recommended} or more for its answers",
        style="yellow",
    )


def traffic(outstations: Sequence[Outstation]) -> list[RenderableType]:
    """Return the frames that passed."""
    bridged = [outstation for outstation in outstations if "frames_from_master" in outstation]
    return [build(_TRAFFIC, map(_traffic_row, bridged))] if bridged else []


def _diagnosed(outstations: Sequence[Outstation]) -> Iterator[tuple[Outstation, Mapping[str, Any]]]:
    # A bridge that was started before an update has no diagnosis in its status, a disabled outstation never.
    return ((each, each["diagnosis"]) for each in outstations if "diagnosis" in each)


def _asked(outstations: Sequence[Outstation]) -> Iterator[tuple[Outstation, Mapping[str, Any]]]:
    return (each for each in _diagnosed(outstations) if each[1]["requests"] > 0)


def _overview_row(outstation: Outstation) -> tuple[Cell, ...]:
    return (
        led(outstation["led"]),
        outstation["name"] if outstation["enabled"] else f"{outstation['name']} (disabled)",
        str(outstation["link_address"]),
        outstation["line"] or "(local)",
        outstation["master"] or "none",
        milliseconds(outstation.get("last_response_s")),
    )


def _answers_row(label: str, diagnosis: Mapping[str, Any]) -> tuple[Cell, ...]:
    requests, answered = diagnosis["requests"], diagnosis["answers"]
    # Not all of them are timeouts: a master that asks again ends the exchange before that.
    unanswered = requests - answered
    keys = ("timeouts", "late_answers", "crc_errors", "wrong_address_answers")
    return (label, str(requests), str(answered), str(unanswered), *(str(diagnosis[key]) for key in keys))


def _has_times(diagnosis: Mapping[str, Any]) -> bool:
    return diagnosis["response_times"] is not None


def _times_row(label: str, diagnosis: Mapping[str, Any]) -> tuple[Cell, ...]:
    percentiles = (milliseconds(diagnosis["response_times"][key]) for key in ("p50_s", "p95_s", "p99_s"))
    last_s, most_s = diagnosis["last_late_by_s"], diagnosis["most_late_by_s"]
    recommended = milliseconds(diagnosis["recommended_timeout_s"])
    return (
        label,
        *percentiles,
        EMPTY if last_s is None else f"{milliseconds(last_s)}/{milliseconds(most_s)}",
        milliseconds(diagnosis["response_timeout_s"]),
        Text(f"{recommended} !", style="yellow") if is_too_short(diagnosis) else recommended,
    )


def _traffic_row(outstation: Outstation) -> tuple[Cell, ...]:
    return (
        outstation["name"],
        str(outstation["frames_from_master"]),
        str(outstation["frames_to_master"]),
        counts(outstation["drops"]),
    )
