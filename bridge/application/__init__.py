"""Application layer (IEEE 1815 clause 4): fragments to requests and responses and back. Sans-I/O."""
