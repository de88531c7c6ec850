"""How fast the counters of a status grow, from two documents of one run of the bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]


class Rates:
    """Differences of counters between a document and an earlier one, per second.

    Without an earlier one, and from one of another run, there are none. Time is the bridge's own uptime: how
    long a document was on its way does not matter.
    """

    def __init__(self, document: Document, earlier: Document | None) -> None:
        self._elapsed_s = 0.0
        self._before: dict[tuple[str, ...], Mapping[str, Any]] = {}
        if earlier is not None and earlier["uptime_s"] < document["uptime_s"]:
            self._elapsed_s = document["uptime_s"] - earlier["uptime_s"]
            self._before = dict(_counted(earlier))

    def of(self, counted: Mapping[str, Any], key: str, *path: str) -> float | None:
        """Return how fast a counter grows, in 1/s; `path` is where in a document its holder is.

        None where it was not there before, and where it went back.
        """
        before = self._before.get(path, {}).get(key)
        if before is None or key not in counted or counted[key] < before:
            return None
        return float(counted[key] - before) / self._elapsed_s


def _counted(document: Document) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for kind in ("lines", "outstations"):
        for each in document[kind]:
            yield (kind, each["name"]), each
    for server in document["servers"]:
        yield ("servers", server["name"]), server
        for session in server["sessions"]:
            yield ("servers", server["name"], session["peer"]), session
