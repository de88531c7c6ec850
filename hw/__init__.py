"""What the appliance needs of its board: LEDs, and later ports. Knows nothing of DNP3 or of the bridge."""
