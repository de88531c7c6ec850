"""What a technician sees and touches: LEDs, button, contacts, relays."""
