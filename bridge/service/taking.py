"""A status document is made part by part, so that whoever has more urgent work can do it in between."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

Taking = Generator[None, None, dict[str, Any]]
"""A document being made: it returns the document, and pauses where others may have their turn."""


def take(making: Taking) -> dict[str, Any]:
    """Return a document that is made without pauses: everything in it is of one moment."""
    while True:
        try:
            next(making)
        except StopIteration as end:
            return _document(end)


async def take_in_turns(making: Taking) -> dict[str, Any]:
    """Return a document; others have their turn of the event loop in each of its pauses."""
    while True:
        try:
            next(making)
        except StopIteration as end:
            return _document(end)
        await asyncio.sleep(0)


def _document(end: StopIteration) -> dict[str, Any]:
    document: dict[str, Any] = end.value
    return document
