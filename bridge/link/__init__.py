"""Link layer (IEEE 1815 clause 9): octets to frames and back. Sans-I/O."""
