"""Octets that real peers sent, with names."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def load(name: str) -> dict[str, bytes]:
    """Read `name: hex` lines; '#' starts a comment line."""
    vectors: dict[str, bytes] = {}
    for line in (HERE / name).read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            key, _, octets = line.partition(":")
            assert key not in vectors, f"{name}: {key} stands there twice"
            vectors[key] = bytes.fromhex(octets)
    return vectors


LINK_FRAMES = load("link_frames.txt")
