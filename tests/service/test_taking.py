"""A document is the same whether it is made at once or in turns; in turns others come in between."""

from __future__ import annotations

import asyncio

from bridge.service.taking import Taking, take, take_in_turns


def _making() -> Taking:
    document = {}
    for part in ("a", "b", "c"):
        yield
        document[part] = len(document)
    return document


def test_at_once() -> None:
    assert take(_making()) == {"a": 0, "b": 1, "c": 2}


async def test_in_turns_others_come_in_between() -> None:
    made: list[str] = []

    def making() -> Taking:
        for part in ("a", "b", "c"):
            made.append(part)
            yield
        return {"parts": len(made)}

    document = asyncio.create_task(take_in_turns(making()))
    seen = []
    while not document.done():
        await asyncio.sleep(0)
        seen.append("".join(made))
    assert await document == {"parts": 3}
    assert {"a", "ab", "abc"} <= set(seen)
