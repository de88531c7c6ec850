"""The program: configuration, composition, and the commands."""
