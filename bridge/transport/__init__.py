"""Transport function (IEEE 1815 clause 8): user data of frames to fragments and back. Sans-I/O."""
