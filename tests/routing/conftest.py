from tests.routing.turn_bench import bench

__all__ = ["bench"]
