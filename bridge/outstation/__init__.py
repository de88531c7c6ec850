"""One outstation's state: points, events, and what a master's requests do to them. Sans-I/O."""
