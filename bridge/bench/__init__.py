"""The bench: serial wires without hardware, for trying out settings and for tests."""

from bridge.bench.loop import Bench
from bridge.bench.noise import Noise, NoiseMaker
from bridge.bench.process import BridgeProcess
from bridge.bench.values import BRIDGE, Direction, Duplex, MediumCounters, Passage
from bridge.bench.wire import BenchLine, RtuEnd

__all__ = [
    "BRIDGE",
    "Bench",
    "BenchLine",
    "BridgeProcess",
    "Direction",
    "Duplex",
    "MediumCounters",
    "Noise",
    "NoiseMaker",
    "Passage",
    "RtuEnd",
]
