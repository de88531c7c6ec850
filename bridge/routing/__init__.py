"""Which frame goes where, and when: addresses, the line's turns, freshness. Sans-I/O."""
