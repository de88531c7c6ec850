"""The appliance as an outstation of its own: what its points are, and where their values come from."""
