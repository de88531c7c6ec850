"""A bench line that takes no time and has one RTU, for tests of everything but the line."""

from __future__ import annotations

from pathlib import Path

from bridge.bench import BenchLine, Direction, Noise, NoiseMaker, Passage

__all__ = ["Direction", "Noise", "NoiseMaker", "Passage", "Wire"]


class Wire(BenchLine):
    """The bridge opens the symlink `device`, the RTU the pty `rtu`. What one writes, the other reads."""

    def __init__(self, device: Path) -> None:
        super().__init__(baud=None, device=device)

    @property
    def rtu(self) -> str:
        """Where the RTU opens the line."""
        return self.rtus[0].device
