"""A simulated bus: masters, outstations and a half-duplex wire around `Turn`, in virtual time, by seed."""
