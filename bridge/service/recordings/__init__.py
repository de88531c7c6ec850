"""The flight recorder's files and command, and captures of any kind in words."""
