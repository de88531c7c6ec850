"""The status as metrics."""
