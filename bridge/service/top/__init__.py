"""The live view of a bridge in a terminal: status documents and keys go in, pictures come out."""
