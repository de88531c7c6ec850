"""What an LED can show at one instant. Pure."""

from enum import Enum


class Colour(Enum):
    """The colour of an LED; a single LED shows every colour but OFF as lit."""

    OFF = "off"
    GREEN = "green"
    RED = "red"
    AMBER = "amber"
    """Red and green at once."""

    @property
    def is_lit(self) -> bool:
        """Whether the LED is on at all."""
        return self is not Colour.OFF
