from hw.wiring import BicolourPins, InputPin, KernelLed, LedPin, PanelWiring, RelayPin


def test_which_pins_are_active_low() -> None:
    wiring = PanelWiring(
        leds={
            "a": LedPin(1, active_low=True),
            "b": LedPin(2),
            "c": BicolourPins(3, 4, active_low=True),
            "d": BicolourPins(5, 6),
            "e": KernelLed("ACT"),
        },
        relays={"f": RelayPin(7, active_low=True), "g": RelayPin(8)},
        inputs={"h": InputPin(9, active_low=True), "i": InputPin(10)},
        button=InputPin(11, active_low=True),
    )
    assert wiring.active_low_pins == {1, 3, 4, 7, 9, 11}
    assert PanelWiring(button=InputPin(12)).active_low_pins == frozenset()
