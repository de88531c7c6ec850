"""The configuration file: its keys, and all that can be wrong with it."""
