"""The flight recorder: what passed lately, kept in memory within a bound, and written as pcapng."""
