"""LEDs of the appliance: what they mean (pure), and the pins that show it.

`indicator` says whether an LED is lit, `gpio` owns the pins, `driver` joins the two in one asyncio task, and
`board` says which pin is which. Nothing here imports `bridge`; only `gpio` imports gpiozero.
"""
