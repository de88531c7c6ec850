"""The status for people, as text."""
